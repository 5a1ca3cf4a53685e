import { describe, expect, it } from 'vitest';
import type { RunningModel } from '../../../../src/fleet/asking/answers.ts';
import { KeepAlives } from '../../../../src/fleet/rates/keep-alives.ts';

/** Milliseconds since the epoch. */
const noon = Date.UTC(2026, 0, 1, 12);

function running(expiresMs: number): RunningModel {
  const expiresAt = new Date(expiresMs).toISOString();
  return { name: '', digest: '', item: '', sizeBytes: 1, vramBytes: 1, contextLength: 4_096, expiresAt };
}

/** Looks at a model `chat`: seconds after noon at which it was looked at, and at which it said that it would expire. */
function looked(...looks: readonly (readonly [number, number | undefined])[]) {
  const keepAlives = new KeepAlives();
  for (const [atS, expiresS] of looks) {
    const models: [string, RunningModel][] = expiresS === undefined ? [] : [['chat', running(noon + expiresS * 1_000)]];
    keepAlives.saw(new Map(models), noon + atS * 1_000);
  }
  const { leastMs, mostMs } = keepAlives.of('chat');
  return { leastMs, mostMs };
}

describe('keep_alive as /api/ps lets it be known', () => {
  it('is at least what is left of it, and no more is known of a model that was there at the first look', () => {
    expect(looked([0, 200])).toEqual({ leastMs: 200_000, mostMs: Number.POSITIVE_INFINITY });
    expect(looked([0, 200], [10, 200])).toEqual({ leastMs: 200_000, mostMs: Number.POSITIVE_INFINITY });
  });

  it('lies between two looks where the model came or was used between them', () => {
    expect(looked([0, undefined], [5, 304])).toEqual({ leastMs: 299_000, mostMs: 304_000 });
    expect(looked([0, 200], [5, 304])).toEqual({ leastMs: 299_000, mostMs: 304_000 });
  });

  it('is known better with each use', () => {
    expect(looked([0, 200], [5, 304], [10, 306])).toEqual({ leastMs: 299_000, mostMs: 301_000 });
  });

  it('is another one when a call has changed it', () => {
    expect(looked([0, 200], [5, 304], [10, 3_608])).toEqual({ leastMs: 3_598_000, mostMs: 3_603_000 });
    expect(looked([0, 200], [5, 304], [10, 68])).toEqual({ leastMs: 58_000, mostMs: 63_000 });
  });

  it('is never below 0: while a model is busy the old time stands there, which may be over', () => {
    expect(looked([0, -30])).toEqual({ leastMs: 0, mostMs: Number.POSITIVE_INFINITY });
  });

  it('is nothing for a model that is not listed, and no more is remembered than was listed last', () => {
    expect(looked([0, 200], [5, undefined])).toEqual({ leastMs: 0, mostMs: Number.POSITIVE_INFINITY });
    const keepAlives = new KeepAlives();
    keepAlives.saw(new Map(Array.from({ length: 50 }, (_, number) => [`m${number}`, running(noon)])), noon);
    expect(keepAlives.size).toBe(50);
    keepAlives.saw(new Map([['m1', running(noon)]]), noon);
    expect(keepAlives.size).toBe(1);
  });
});
