import { describe, expect, it } from 'vitest';
import { compileCel } from '../../../src/cel/compile-cel.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';

async function evaluated(source: string, body: unknown): Promise<unknown> {
  const exchange = fakeExchange({ body: typeof body === 'string' ? body : JSON.stringify(body) });
  await exchange.bodies.read(exchange);
  return compileCel(source).evaluate(exchange);
}

describe('what an evaluation may cost', () => {
  it('is 200,000 items walked through, all loops together', async () => {
    const items = Array(446).fill(1);
    const squared = 'json(request.body).with(l, l.all(x, l.all(y, y == 1)))';
    // 446 + 446² = 199,362; one more each: 447 + 447² = 200,256.
    expect(await evaluated(squared, items)).toBe(true);
    await expect(evaluated(squared, [...items, 1])).rejects.toThrow('it walks through more than 200000 items');
    const nested = 'json(request.body).with(l, l.exists(x, l.exists(y, l.exists(z, z == 2))))';
    const startedMs = performance.now();
    await expect(evaluated(nested, Array(5_000).fill(1))).rejects.toThrow('more than 200000 items');
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });

  it.each([
    'l.all(x, true)',
    'l.exists(x, false)',
    'l.exists_one(x, false)',
    'l.map(x, x)',
    'l.map(x, true, x)',
    'l.filter(x, true)',
  ])('is counted in %s', async (loop) => {
    const source = `json(request.body).with(l, ${loop})`;
    await evaluated(source, Array(200_000).fill(1));
    await expect(evaluated(source, Array(200_001).fill(1))).rejects.toThrow('more than 200000 items');
  });

  it('is counted over maps, and anew for each evaluation', async () => {
    const map = JSON.stringify(Object.fromEntries(Array.from({ length: 100_001 }, (_, index) => [`k${index}`, 0])));
    expect(await evaluated('json(request.body).all(k, true)', map)).toBe(true);
    expect(await evaluated('json(request.body).all(k, true)', map)).toBe(true);
    await expect(evaluated('json(request.body).with(m, m.all(k, true) && m.mapValues(v, v).size() > 0)', map)).rejects.toThrow(
      'items',
    );
  });

  it('is 64 MiB read again or made', { timeout: 30_000 }, async () => {
    const body = JSON.stringify('x'.repeat(4_000_000));
    const read = (times: number) => `[${Array(times).fill('1').join(', ')}].map(i, json(request.body).size()).size()`;
    expect(await evaluated(read(15), body)).toBe(15n);
    await expect(evaluated(read(17), body)).rejects.toThrow('its values are too large');
    const long = 'string(request.body).replace("x", "0123456789".replace("", "0123456789"))';
    await expect(evaluated(long, body)).rejects.toThrow('its values are too large');
    await expect(evaluated('string(request.body).split("x")', body)).rejects.toThrow('more than 200000 items');
  });

  it('is linear for patterns, whose texts have 4 Mi characters at most', async () => {
    const startedMs = performance.now();
    expect(await evaluated('string(request.body).matches("(a*)*b")', 'a'.repeat(50_000))).toBe(false);
    expect(performance.now() - startedMs).toBeLessThan(1_000);
    const text = 'a'.repeat(4 * 1_024 * 1_024);
    expect(await evaluated('string(request.body).matches("^a")', text)).toBe(true);
    await expect(evaluated('string(request.body).matches("^a")', `${text}a`)).rejects.toThrow('4 Mi characters');
  });

  it('bounds values that are nested deeply', async () => {
    const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    expect(await evaluated('json(request.body).size()', nested(200))).toBe(1n);
    await expect(evaluated('json(request.body).size()', nested(300))).rejects.toThrow('nested more than 256 deep');
    await expect(evaluated('json(request.body).size()', nested(100_000))).rejects.toThrow('nested more than 256 deep');
  });
});
