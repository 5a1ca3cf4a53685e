import fc from 'fast-check';
import { expect, test } from 'vitest';
import { affinityDraw } from '../../../src/backends/affinity.ts';
import { target } from './stage.ts';

const names = ['a', 'b', 'c', 'd'];

function chosenFor(session: string, among: readonly string[]): string | undefined {
  const draws = among.map((name) => ({ name, draw: affinityDraw(session, target(name)) }));
  return draws.sort((first, second) => second.draw - first.draw)[0]?.name;
}

// Written down once: another hash would send every session elsewhere at the next update.
test('the same value goes to the same place, after every restart', () => {
  expect(['alice', 'bob', 'carol', 'dave', 'ütf-8 ✓', ''].map((session) => chosenFor(session, names))).toEqual([
    'b',
    'a',
    'b',
    'b',
    'c',
    'd',
  ]);
});

test('whoever goes away moves nobody else', () => {
  fc.assert(
    fc.property(fc.string(), fc.constantFrom(...names), (session, gone) => {
      const before = chosenFor(session, names);
      if (before === gone) return;
      expect(
        chosenFor(
          session,
          names.filter((name) => name !== gone),
        ),
      ).toBe(before);
    }),
  );
});

test('many values spread evenly', () => {
  const counts = new Map<string, number>();
  for (let index = 0; index < 4_000; index++) {
    const chosen = chosenFor(`session-${index}`, names) ?? '';
    counts.set(chosen, (counts.get(chosen) ?? 0) + 1);
  }
  for (const name of names) expect(counts.get(name)).toBeGreaterThan(900);
});

test('a draw is above 0 and below 1, whatever the value', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (session) => {
      const draw = affinityDraw(session, target('a', { declares: 'm' }));
      expect(draw).toBeGreaterThan(0);
      expect(draw).toBeLessThan(1);
    }),
  );
});

test('one upstream with two models is two places', () => {
  const [first, second] = [target('a', { declares: 'x' }), target('a', { declares: 'y' })];
  expect(affinityDraw('s', first)).not.toBe(affinityDraw('s', second));
});
