import { describe, expect, it } from 'vitest';
import type { RunningModel } from '../../../../src/fleet/asking/answers.ts';
import { Capacity, roomOf } from '../../../../src/fleet/rates/capacity.ts';

const options = { weight: 1, slots: undefined, reserveBytes: 0, vramBytes: undefined, maxLoaded: undefined, headers: {} };
const unknown = { bytes: undefined, models: undefined };

describe('the room', () => {
  it('is what was configured, less what the owner keeps, before what was learnt', () => {
    expect(roomOf({ ...options, vramBytes: 24, reserveBytes: 4, maxLoaded: 2 }, { bytes: 10, models: 9 })).toEqual({
      bytes: 20,
      models: 2,
    });
    expect(roomOf({ ...options, reserveBytes: 4 }, { bytes: 10, models: undefined })).toEqual({ bytes: 10, models: undefined });
    expect(roomOf(undefined, unknown)).toEqual(unknown);
  });
});

describe('learning', () => {
  const laterMs = Date.UTC(2026, 0, 1);
  const running = (bytes: number, expiresAt = '2026-01-01T00:05:00Z'): RunningModel => ({
    name: '',
    digest: '',
    item: '',
    sizeBytes: bytes,
    vramBytes: bytes,
    contextLength: 4_096,
    expiresAt,
  });
  const looks = (...seen: Record<string, RunningModel>[]) => {
    const capacity = new Capacity();
    for (const [index, one] of seen.entries()) capacity.saw(new Map(Object.entries(one)), index, laterMs);
    return capacity;
  };

  it('takes the memory for full when one vanishes before its time while another comes', () => {
    expect(looks({ a: running(10) }, { b: running(8) }).room.bytes).toBe(17);
    expect(looks({ a: running(10) }, { b: running(8) }, { c: running(4), b: running(8) }).room.bytes).toBe(17);
    expect(looks({ a: running(10) }, { b: running(8) }, { c: running(6) }).room.bytes).toBe(13);
  });

  it('learns nothing from a model that only goes or only comes, or whose time was over', () => {
    expect(looks({ a: running(10) }, {}, { b: running(8) }).room).toEqual(unknown);
    expect(looks({ a: running(10, '2026-01-01T00:00:03Z') }, { b: running(8) }).room).toEqual(unknown);
  });

  it('learns from what goes for a load whose model is listed only when it is there', () => {
    const look = (isLoading: boolean) => {
      const capacity = new Capacity();
      capacity.saw(new Map([['a', running(10)]]), 0, laterMs, false);
      capacity.saw(new Map(), 1, laterMs, isLoading);
      capacity.saw(new Map(), 2, laterMs, isLoading);
      capacity.saw(new Map([['b', running(8)]]), 3, laterMs, false);
      return capacity.room.bytes;
    };
    expect(look(true)).toBe(17);
    // Somebody has taken it out: that was no load.
    expect(look(false)).toBeUndefined();
  });

  it('believes its eyes: what was seen in memory at once fits', () => {
    const capacity = looks({ a: running(10) }, { b: running(8) }, { a: running(10), b: running(8) });
    expect(capacity.room.bytes).toBe(18);
  });

  it('learns a limit of models where there was room in bytes', () => {
    const capacity = looks(
      { a: running(30), b: running(30) },
      {},
      { c: running(1), d: running(1) },
      { d: running(1), e: running(1) },
    );
    expect(capacity.room).toEqual({ bytes: undefined, models: 2 });
  });

  it('remembers what a model took up, for 256 models', () => {
    const capacity = looks({ a: { ...running(10), vramBytes: 0 } }, {});
    expect([capacity.bytesOf('a'), capacity.bytesOf('b')]).toEqual([10, undefined]);
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, number) => [`m${number}`, running(1)]));
    expect([looks(many).bytesOf('m255'), looks(many).bytesOf('m256')]).toEqual([1, undefined]);
  });

  describe('what is not known to fit', () => {
    it('is in doubt, the more models are there the more', () => {
      const capacity = looks({ a: running(10) });
      expect(capacity.doubtOf(10, 1)).toBe(0);
      expect(capacity.doubtOf(15, 2)).toBeCloseTo(1 / 3);
      expect(capacity.doubtOf(20, 3)).toBe(0.5);
    });

    it('is in no doubt where as much was seen at once', () => {
      const capacity = looks({ a: running(10), b: running(8) }, { a: running(10) });
      expect(capacity.doubtOf(18, 2)).toBe(0);
      expect(capacity.doubtOf(19, 2)).toBeCloseTo(1 / 3);
      expect(capacity.doubtOf(18, 3)).toBe(0.5);
    });

    it('is doubted most with as many models as were too many before, until more are seen', () => {
      const evicting = [
        { a: running(10), b: running(9) },
        { b: running(9), c: running(10) },
      ];
      expect(looks(...evicting).doubtOf(15, 3)).toBe(0.8);
      expect(looks(...evicting).doubtOf(15, 2)).toBe(0);
      const many = { a: running(1), b: running(1), c: running(1) };
      expect(looks(...evicting, many).doubtOf(19, 4)).toBe(0.6);
      expect(looks(...evicting, many).doubtOf(19, 3)).toBe(0);
    });
  });
});
