import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { Exchange } from '../../../src/exchange.ts';
import { createBodyReader } from '../../../src/protocols/body-reader.ts';
import { createBodyBudget } from '../../../src/protocols/read-body.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';

const limits = { maxBodyBytes: 100, bodyTimeoutMs: 1_000 };

function exchangeWith(body: string): Exchange {
  return fakeExchange({ body });
}

describe('the reader of bodies', () => {
  it('reads once, however often and by however many it is asked', async () => {
    const bodies = createBodyReader(limits, createBodyBudget(1_000));
    const exchange = exchangeWith('hello');
    const [first, second] = await Promise.all([bodies.read(exchange), bodies.read(exchange)]);
    expect(new TextDecoder().decode(first)).toBe('hello');
    expect(second).toBe(first);
    expect(await bodies.read(exchange)).toBe(first);
  });

  it('holds a body to the limit of whoever asks first, where that is less than the plan’s', async () => {
    const bodies = createBodyReader(limits, createBodyBudget(1_000));
    await expect(bodies.read(exchangeWith('12345678901'), 10)).rejects.toMatchObject({ code: 'body_too_large' });
    expect(await bodies.read(exchangeWith('1234567890'), 10)).toHaveLength(10);
    await expect(bodies.read(exchangeWith('x'.repeat(101)), 1_000)).rejects.toMatchObject({ code: 'body_too_large' });
    expect(await bodies.read(exchangeWith('x'.repeat(100)), 1_000)).toHaveLength(100);
  });

  it('gives its memory back when it is released, once', async () => {
    const budget = createBodyBudget(10);
    const bodies = createBodyReader(limits, budget);
    const exchange = exchangeWith('1234567890');
    await bodies.read(exchange);
    expect(budget.take(1)).toBe(false);
    bodies.release(exchange);
    bodies.release(exchange);
    expect(budget.take(10)).toBe(true);
    expect(budget.take(1)).toBe(false);
  });

  it('counts what a policy puts in its place, and refuses what there is no memory for', async () => {
    const budget = createBodyBudget(10);
    const bodies = createBodyReader(limits, budget);
    const exchange = exchangeWith('12345');
    await bodies.read(exchange);
    expect(() => bodies.replace(exchange, new Uint8Array(11))).toThrow(expect.objectContaining({ code: 'overloaded' }));
    expect(exchange.heldBody).toHaveLength(5);
    bodies.replace(exchange, new Uint8Array(9));
    expect([budget.take(2), budget.take(1)]).toEqual([false, true]);
    bodies.replace(exchange, new Uint8Array(3));
    bodies.release(exchange);
    expect([budget.take(10), budget.take(9)]).toEqual([false, true]);
  });

  it('keeps it for as long as somebody holds it', async () => {
    const budget = createBodyBudget(5);
    const bodies = createBodyReader(limits, budget);
    const exchange = exchangeWith('12345');
    await bodies.read(exchange);
    exchange.bodyHolds++;
    bodies.release(exchange);
    expect([exchange.heldBody?.length, budget.take(1)]).toEqual([5, false]);
    exchange.bodyHolds--;
    bodies.release(exchange);
    expect([exchange.heldBody, budget.take(5)]).toEqual([undefined, true]);
  });

  it('shows policies no coded bytes, also where the coded ones are what is sent on', async () => {
    const budget = createBodyBudget(10_000);
    const bodies = createBodyReader(limits, budget);
    const gzipped = gzipSync('hello');
    const request = new Request('http://h/', { method: 'POST', headers: { 'content-encoding': 'gzip' }, body: gzipped });
    const exchange = { ...exchangeWith('x'), request };
    expect(await bodies.readAsSent(exchange)).toEqual(new Uint8Array(gzipped));
    expect(exchange.heldBody).toBeUndefined();
    expect(new TextDecoder().decode(await bodies.read(exchange))).toBe('hello');
    expect(exchange.heldBody).toHaveLength(5);
    bodies.release(exchange);
    expect([budget.take(10_001), budget.take(10_000)]).toEqual([false, true]);
  });
});
