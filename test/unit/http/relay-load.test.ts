import { describe, expect, it } from 'vitest';
import { loadChecker, loadSigner, maxRunners, type RelayLoad, readLoad, runnerHash } from '../../../src/http/relay-load.ts';

const secret = 'sixteen letters and more';
const token = 'payload.signature';
const load: RelayLoad = {
  atMs: 1234.6,
  runners: [
    { hash: '1a', busy: 2, waiting: 7, slots: 2 },
    { hash: 'zz9', busy: 3, waiting: 0, slots: undefined },
  ],
};
const sign = loadSigner(secret);
const check = loadChecker(secret);

describe('how busy a relay is', () => {
  it('comes over as it was', async () => {
    const value = await sign(load, token);
    expect(value).toMatch(/^1235;1a:2:7:2,zz9:3:0:\.[\w-]{43}$/);
    expect(readLoad(value)).toEqual({ ...load, atMs: 1235 });
    expect(await check(value, token)).toBe(true);
    const idle = await sign({ atMs: 5, runners: [] }, token);
    expect([readLoad(idle), await check(idle, token)]).toEqual([{ atMs: 5, runners: [] }, true]);
  });

  it('counts for one request, with one secret, and as it was said', async () => {
    const value = await sign(load, token);
    expect(await check(value, 'payload.other')).toBe(false);
    expect(await loadChecker(`${secret}!`)(value, token)).toBe(false);
    expect(await check(value.replace('2:7', '2:0'), token)).toBe(false);
    expect(await check(value.slice(0, value.indexOf('.')), token)).toBe(false);
  });

  it('names 32 runners and no more, the busiest first, in less than a kilobyte', async () => {
    const runners = Array.from({ length: 500 }, (_, at) => ({
      hash: runnerHash(`sha256:${at}`),
      busy: at,
      waiting: 1,
      slots: 4,
    }));
    const value = await sign({ atMs: 999_999_999_999, runners }, token);
    expect(value.length).toBeLessThan(1_024);
    const told = readLoad(value)?.runners ?? [];
    expect([told.length, told[0]?.busy, told.at(-1)?.busy]).toEqual([32, 499, 468]);
    expect(maxRunners).toBe(32);
    expect(readLoad(value.replace('.', ',1a:1:1:1.'))).toBeUndefined();
  });

  it.each([
    '',
    '.',
    'x.AAAA',
    '1;.',
    '12;1a:2:7.AAAA',
    '12;1a:-2:7:1.AAAA',
    '12;1a:2:9999999:1.AAAA',
    '12;1a:2:7:1,.AAAA',
    '12;1A:2:7:1.AAAA',
    '1e9;.AAAA',
    `12;${'1a:1:1:1,'.repeat(100_000)}.AAAA`,
  ])('reads nothing out of %.40s', async (value) => {
    const isEmpty = value === '1;.';
    expect(readLoad(value)).toEqual(isEmpty ? { atMs: 1, runners: [] } : undefined);
    expect(await check(value, token)).toBe(false);
  });
});
