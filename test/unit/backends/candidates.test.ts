import { describe, expect, test } from 'vitest';
import { orderCandidates } from '../../../src/backends/candidates.ts';
import type { Candidate, Target } from '../../../src/backends/target.ts';
import { type Facts, FakeHerd, runner } from '../answers/fake-herd.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';
import { target } from './stage.ts';

function order(
  targets: readonly Target[],
  facts: Readonly<Record<string, Facts>> = {},
  model: string | undefined = 'llama3.2',
  random: () => number = () => 0.5,
): string[] {
  const herd = new FakeHerd(targets.map((one) => one.upstream));
  for (const [name, fact] of Object.entries(facts)) herd.know(name, fact);
  return orderCandidates(targets, model, herd, random, fakeExchange()).map(nameOf);
}

/** `order` for a request that names no model. */
function orderUnnamed(targets: readonly Target[], facts: Readonly<Record<string, Facts>> = {}): string[] {
  const herd = new FakeHerd(targets.map((one) => one.upstream));
  for (const [name, fact] of Object.entries(facts)) herd.know(name, fact);
  return orderCandidates(targets, undefined, herd, () => 0.5, fakeExchange()).map(nameOf);
}

/** The last resort in parentheses. */
function nameOf({ target: { upstream }, isLastResort }: Candidate): string {
  return isLastResort ? `(${upstream.name})` : upstream.name;
}

const three = [target('a'), target('b'), target('c')];
const has: Facts = { models: ['llama3.2:latest'] };
const lacks: Facts = { models: ['mistral:latest'] };

describe('placement', () => {
  test('knowing nothing, the order of the file', () => {
    expect(order(three)).toEqual(['a', 'b', 'c']);
  });

  test('a box that has the model before one that may have it; one that lacks it is the last resort', () => {
    expect(order(three, { a: lacks, c: has })).toEqual(['c', 'b', '(a)']);
  });

  test('names compare as Ollama compares them', () => {
    expect(order(three, { b: { models: ['LLAMA3.2'] }, a: lacks, c: lacks })).toEqual(['b', '(a)', '(c)']);
  });

  test('a target that is configured for the model counts as having it, unless its box is known to lack it', () => {
    const declared = [target('a'), target('b', { declares: 'Llama3.2:latest' })];
    expect(order(declared)).toEqual(['b', 'a']);
    expect(order(declared, { b: lacks })).toEqual(['a', '(b)']);
    expect(order(declared, {}, 'mistral')).toEqual(['a', 'b']);
  });

  test('when every box lacks the model, all are asked: one may have learned it meanwhile', () => {
    expect(order(three, { a: lacks, b: lacks, c: lacks })).toEqual(['a', 'b', 'c']);
  });

  test('a box that is down comes last, even with the model', () => {
    expect(order(three, { a: { ...has, isAlive: false }, b: has })).toEqual(['b', 'c', 'a']);
  });

  test('a box that is down and of which nothing is known does not hide that the others lack the model', () => {
    expect(order([target('a'), target('b')], { a: { isAlive: false }, b: { ...lacks, isAlive: true } })).toEqual(['b', 'a']);
    // Was it known to have the model, it is the only hope.
    expect(order([target('a'), target('b')], { a: { ...has, isAlive: false }, b: { ...lacks, isAlive: true } })).toEqual([
      'a',
      '(b)',
    ]);
  });

  test('of those that have it, the one with the model in memory first, then the one with less to do', () => {
    expect(order(three, { a: has, b: has, c: { ...has, running: [runner('llama3.2:latest')], inFlight: 9 } })).toEqual([
      'c',
      'a',
      'b',
    ]);
    expect(order(three, { a: { ...has, inFlight: 2 }, b: { ...has, inFlight: 1 }, c: has })).toEqual(['c', 'b', 'a']);
  });

  test('another model in memory is no reason', () => {
    expect(order(three, { a: has, b: { ...has, running: [runner('mistral:latest')] }, c: has })).toEqual(['a', 'b', 'c']);
  });

  test('failover groups come before all that is known of the models', () => {
    const groups = [target('late', { group: 1 }), target('early', { group: 0 })];
    expect(order(groups, { late: { ...has, running: [runner('llama3.2')] }, early: {} })).toEqual(['early', 'late']);
  });

  test('a group whose boxes are down does not keep its turn: every request would wait for them first (T4)', () => {
    const groups = [target('late', { group: 1 }), target('early', { group: 0 })];
    expect(order(groups, { late: has, early: { ...has, isAlive: false } })).toEqual(['late', 'early']);
  });
});

describe('no model named', () => {
  const declared = [target('a', { declares: 'x' }), target('b', { declares: 'y' }), target('c', { declares: 'z' })];

  test('the first target that answers gives its own default, whatever is in memory elsewhere', () => {
    expect(orderUnnamed(declared, { c: { models: ['z'], running: [runner('z')] }, a: { inFlight: 5 } })).toEqual(['a', 'b', 'c']);
    expect(orderUnnamed(declared, { a: { isAlive: false } })).toEqual(['b', 'c', 'a']);
  });

  test('groups and what a box is known to lack count all the same', () => {
    expect(orderUnnamed([target('a', { declares: 'x', group: 1 }), target('b', { declares: 'y' })])).toEqual(['b', 'a']);
    expect(orderUnnamed(declared, { a: { models: ['other'] } })).toEqual(['b', 'c', '(a)']);
  });

  test('without any default the candidates have no model', () => {
    const herd = new FakeHerd([]);
    const found = orderCandidates([target('a'), target('b')], undefined, herd, () => 0, fakeExchange());
    expect(found.map(({ model }) => model)).toEqual([undefined, undefined]);
  });
});

test('each candidate has the model that its own target asks for, told whether it is a box', () => {
  const targets = [
    target('a', { modelFor: (requested, isBox) => `${requested}-${isBox}` }),
    target('b', { kind: 'openai', modelFor: (requested, isBox) => `${requested}-${isBox}` }),
  ];
  const herd = new FakeHerd(targets.map((one) => one.upstream));
  expect(orderCandidates(targets, 'm', herd, () => 0, fakeExchange()).map(({ model }) => model)).toEqual(['m-true', 'm-false']);
  expect(orderCandidates(targets.slice(1), 'm', herd, () => 0, fakeExchange()).map(({ model }) => model)).toEqual(['m-false']);
});

describe('weights', () => {
  /** Numbers that come again in the same order with every run (mulberry32). */
  function seeded(seed: number): () => number {
    let state = seed;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let bits = Math.imul(state ^ (state >>> 15), 1 | state);
      bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
      return ((bits ^ (bits >>> 14)) >>> 0) / 4294967296;
    };
  }

  test('share out in proportion, and the others stay for when the first one fails', () => {
    const weighted = [target('a', { weight: 3 }), target('b', { weight: 1 }), target('c', { weight: 0 })];
    const random = seeded(1);
    const firsts = { a: 0, b: 0 } as Record<string, number>;
    for (let round = 0; round < 4_000; round++) {
      const names = order(weighted, {}, 'llama3.2', random);
      expect([...names].sort()).toEqual(['a', 'b']);
      firsts[names[0] ?? ''] = (firsts[names[0] ?? ''] ?? 0) + 1;
    }
    // 3000 and 1000, four standard deviations of 27 either way.
    expect(firsts.a).toBeGreaterThan(2_890);
    expect(firsts.a).toBeLessThan(3_110);
  });

  test('written weights switch placement by memory and load off', () => {
    const weighted = [target('a', { weight: 1 }), target('b', { weight: 1 })];
    const draws = [0.9, 0.1];
    const facts = { b: { ...has, running: [runner('llama3.2')] }, a: { ...has, inFlight: 3 } };
    expect(order(weighted, facts, 'llama3.2', () => draws.shift() ?? 0)).toEqual(['a', 'b']);
  });

  test('but not what keeps a box from serving at all', () => {
    const weighted = [target('a', { weight: 1000 }), target('b', { weight: 1 })];
    expect(order(weighted, { a: { isAlive: false } })).toEqual(['b', 'a']);
    expect(order(weighted, { a: lacks, b: has })).toEqual(['b', '(a)']);
  });

  test('one written weight makes 1 of those that have none', () => {
    const draws = [0.5, 0.6];
    expect(order([target('a', { weight: 1 }), target('b')], {}, 'm', () => draws.shift() ?? 0)).toEqual(['b', 'a']);
  });

  test('weight 0 is never tried, not even alone', () => {
    expect(order([target('a', { weight: 0 })])).toEqual([]);
    expect(order([target('a', { weight: 0 }), target('b', { weight: 0 })])).toEqual([]);
  });
});

test('one target needs no knowledge', () => {
  expect(order([target('a')], { a: { isAlive: false, models: [] } })).toEqual(['a']);
  expect(order([])).toEqual([]);
});
