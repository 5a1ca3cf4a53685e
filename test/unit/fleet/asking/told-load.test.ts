import { describe, expect, it } from 'vitest';
import { ToldLoad } from '../../../../src/fleet/asking/told-load.ts';
import { loadChecker, loadSigner, runnerHash } from '../../../../src/http/relay-load.ts';

const secret = 'what both ends know';
const token = 'payload.signature';
const check = loadChecker(secret);
const sign = loadSigner(secret);

const busyWith = (atMs: number, busy: number, waiting: number, slots: number | undefined = 2) =>
  sign({ atMs, runners: [{ hash: runnerHash('sha256:a'), busy, waiting, slots }] }, token);

describe('what a relay tells of its queue', () => {
  it('is what others have there, beside the calls of this process', async () => {
    const own = [{ key: 'sha256:a', busy: 3 }];
    const load = new ToldLoad(() => own);
    const value = await sign(
      {
        atMs: 1,
        runners: [
          { hash: runnerHash('sha256:a'), busy: 2, waiting: 5, slots: 2 },
          { hash: runnerHash('sha256:b'), busy: 1, waiting: 9, slots: undefined },
        ],
      },
      token,
    );
    await load.hear(value, token, 0, check);
    own.length = 0;
    expect(load.of('sha256:a', 0)).toEqual({ calls: 4, elsewhere: 1, slots: 2 });
    expect(load.of('sha256:b', 0)).toEqual({ calls: 10, elsewhere: 2, slots: undefined });
    expect(load.of('sha256:c', 0)).toEqual({ calls: 0, elsewhere: 3, slots: undefined });
  });

  it('is never less than nothing', async () => {
    const load = new ToldLoad(() => [{ key: 'sha256:a', busy: 3 }]);
    await load.hear(await busyWith(1, 1, 0), token, 0, check);
    expect(load.of('sha256:a', 0)).toMatchObject({ calls: 0 });
  });

  it('counts for half a minute', async () => {
    const load = new ToldLoad(() => []);
    await load.hear(await busyWith(1, 2, 5), token, 1_000, check);
    expect([load.of('sha256:a', 31_000)?.calls, load.of('sha256:a', 31_001)]).toEqual([7, undefined]);
  });

  it('is overtaken by what was said later, and not by what only comes later', async () => {
    const load = new ToldLoad(() => []);
    await load.hear(await busyWith(20, 2, 5), token, 0, check);
    await load.hear(await busyWith(10, 1, 0), token, 1, check);
    expect(load.of('sha256:a', 1)?.calls).toBe(7);
    await load.hear(await busyWith(21, 1, 0), token, 2, check);
    expect(load.of('sha256:a', 2)?.calls).toBe(1);
  });

  it('counts only when it was signed, for this very request', async () => {
    const load = new ToldLoad(() => []);
    const value = await busyWith(1, 2, 5);
    await load.hear(value, 'another.token', 0, check);
    await load.hear(value, token, 0, loadChecker('another secret'));
    await load.hear('1;1a:1:1:1', token, 0, check);
    await load.hear(`${'9'.repeat(14)};.AAAA`, token, 0, check);
    expect(load.of('sha256:a', 0)).toBeUndefined();
    await load.hear(value, token, 0, check);
    expect(load.of('sha256:a', 0)?.calls).toBe(7);
  });

  it('is forgotten with the relay, also where it is still being checked', async () => {
    const load = new ToldLoad(() => []);
    const hearing = load.hear(await busyWith(1, 2, 5), token, 0, check);
    load.forget();
    await hearing;
    expect(load.of('sha256:a', 0)).toBeUndefined();
    // The clock of another relay stands elsewhere.
    await load.hear(await busyWith(50, 2, 5), token, 0, check);
    load.forget();
    await load.hear(await busyWith(1, 1, 0), token, 0, check);
    expect(load.of('sha256:a', 0)?.calls).toBe(1);
  });
});
