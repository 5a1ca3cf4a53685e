import { describe, expect, it } from 'vitest';
import { onlyPortOf } from '../../../src/entry/one-door.ts';

describe('onlyPortOf', () => {
  it('takes the only bind', () => {
    expect(onlyPortOf([3000], undefined, 'a Worker')).toEqual({ ok: true, port: 3000 });
    expect(onlyPortOf([3000], ' ', 'a Worker')).toEqual({ ok: true, port: 3000 });
  });

  it('wants one of several named', () => {
    expect(onlyPortOf([3000, 4000], undefined, 'a Worker')).toEqual({
      ok: false,
      problem: 'a Worker serves one bind and the configuration has 2 (ports 3000, 4000): name one, CORRAL_BIND=3000',
    });
    expect(onlyPortOf([3000, 4000], '4000', 'a Worker')).toEqual({ ok: true, port: 4000 });
  });

  it('knows a name that is none', () => {
    expect(onlyPortOf([3000, 4000], '5000', 'a Worker')).toEqual({
      ok: false,
      problem: 'CORRAL_BIND=5000 names no bind of the configuration; its ports are 3000, 4000',
    });
  });
});
