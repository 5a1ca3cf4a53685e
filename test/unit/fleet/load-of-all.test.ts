import { expect, it } from 'vitest';
import type { Box } from '../../../src/fleet/box.ts';
import { loadOfAll } from '../../../src/fleet/load-of-all.ts';
import type { LineLoad } from '../../../src/fleet/slots/slots.ts';
import { runnerHash } from '../../../src/http/relay-load.ts';

function boxWith(load: readonly LineLoad[], inMemory: readonly string[] = [], limit: number | undefined = 4): Box {
  const slots = {
    load: () => load,
    busy: (model: string) => load.find(({ key }) => key === `sha256:${model}`)?.busy ?? 0,
    waiting: () => 0,
    limitOf: () => limit,
  };
  const box = { slots, running: inMemory.map((name) => ({ name })), runnerKeyOf: (model: string) => `sha256:${model}` };
  return box as unknown as Box;
}

const a = { key: 'sha256:a:latest', busy: 2, waiting: 3, slots: 2 };
const hash = runnerHash(a.key);

it('is what the boxes have to do, one runner after the other', () => {
  expect(loadOfAll([boxWith([])], 7)).toEqual({ atMs: 7, runners: [] });
  expect(loadOfAll([boxWith([{ ...a, slots: undefined }])], 7).runners).toEqual([
    { hash, busy: 2, waiting: 3, slots: undefined },
  ]);
});

it('takes boxes with the same model for one', () => {
  const other = { ...a, busy: 1, waiting: 0, slots: 1 };
  expect(loadOfAll([boxWith([a]), boxWith([other])], 7).runners).toEqual([{ hash, busy: 3, waiting: 3, slots: 3 }]);
  // Where nothing is known of one, it serves what it is at.
  const unknown = { ...other, slots: undefined };
  expect(loadOfAll([boxWith([a]), boxWith([unknown])], 7).runners).toEqual([{ hash, busy: 3, waiting: 3, slots: 3 }]);
});

it('counts the slots of a box that is idle and has the model in memory', () => {
  expect(loadOfAll([boxWith([a]), boxWith([], ['a'])], 7).runners).toEqual([{ hash, busy: 2, waiting: 3, slots: 6 }]);
  expect(loadOfAll([boxWith([a]), boxWith([], ['b'])], 7).runners).toEqual([{ hash, busy: 2, waiting: 3, slots: 2 }]);
  expect(loadOfAll([boxWith([a], ['a'])], 7).runners).toEqual([{ hash, busy: 2, waiting: 3, slots: 2 }]);
});
