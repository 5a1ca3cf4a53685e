import { describe, expect, test } from 'vitest';
import { orderCandidates } from '../../../src/backends/candidates.ts';
import { createHealthState, createTargetHealth } from '../../../src/backends/health.ts';
import type { Candidate, Target } from '../../../src/backends/target.ts';
import { compileCel } from '../../../src/cel/compile-cel.ts';
import { type Facts, FakeHerd, runner } from '../answers/fake-herd.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';
import { evictable, target } from './stage.ts';

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

  test('a box that is out of service comes after all others that may serve, even those that are down', () => {
    const cordoned: Facts = { ...has, isCordoned: true };
    expect(order(three, { a: cordoned, b: has, c: has })).toEqual(['b', 'c', 'a']);
    expect(order(three, { a: cordoned, b: { ...has, isAlive: false }, c: lacks })).toEqual(['b', 'a', '(c)']);
    // Nobody else has it: its own refusal says more than their 404.
    expect(order(three, { a: cordoned, b: lacks, c: lacks })).toEqual(['a', '(b)', '(c)']);
    const weighted = [target('a', { weight: 9 }), target('b', { weight: 1 })];
    expect(order(weighted, { a: cordoned, b: has }, 'llama3.2', () => 0.99)).toEqual(['b', 'a']);
    const grouped = [target('a', { group: 0 }), target('b', { group: 1 })];
    expect(order(grouped, { a: cordoned, b: has })).toEqual(['b', 'a']);
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

describe('eviction', () => {
  test('those that are evicted come after all others, but before those that are down', () => {
    const sick = evictable('a');
    sick.evict();
    const row = [sick.candidate.target, target('b', { group: 1 }), target('c', { group: 2 })];
    expect(order(row)).toEqual(['b', 'c', 'a']);
    expect(order(row, { b: { isAlive: false }, c: { isAlive: false } })).toEqual(['a', 'b', 'c']);
  });

  test('even with the model, with written weights and without a model', () => {
    const sick = evictable('a', { weight: 1_000_000 });
    sick.evict();
    const row = [sick.candidate.target, target('b', { weight: 1 })];
    expect(order(row, { a: has })).toEqual(['b', 'a']);
    expect(orderUnnamed([evictedTarget('a'), target('b')])).toEqual(['b', 'a']);
  });

  test('all evicted: as if none were', () => {
    expect(order([evictedTarget('a'), evictedTarget('b')])).toEqual(['a', 'b']);
  });
});

function evictedTarget(name: string): Target {
  const sick = evictable(name);
  sick.evict();
  return sick.candidate.target;
}

describe('upstreams that are no boxes and share the load', () => {
  const pool = {};
  /** With a score from 0 to 1. */
  const vendor = (name: string, health: number, group = 0): Target =>
    target(name, { kind: 'openai', pool, group, health: createTargetHealth({ ...createHealthState(), health }, noRule) });
  const noRule = { isUnhealthy: () => false, eviction: undefined };
  const drawing = (...draws: number[]) => {
    let at = 0;
    return () => draws[at++] ?? 0;
  };

  test('the better one of two that are drawn, then the rest, best first', () => {
    const row = [vendor('a', 0.5), vendor('b', 0.9), vendor('c', 0.7)];
    expect(order(row, {}, 'm', drawing(0, 0.7))).toEqual(['c', 'b', 'a']);
    expect(order(row, {}, 'm', drawing(0.4, 0))).toEqual(['b', 'c', 'a']);
    expect(order(row, {}, 'm', drawing(0, 0))).toEqual(['a', 'b', 'c']);
    expect(order(row, {}, 'm', drawing(0.999_999, 0.999_999))).toEqual(['c', 'b', 'a']);
  });

  test('what is under way counts against one', () => {
    const slow = { ...createHealthState(), latencySeconds: 1 };
    const row = ['a', 'b'].map((name) => target(name, { kind: 'openai', pool, health: createTargetHealth({ ...slow }, noRule) }));
    expect(order(row, { a: { inFlight: 1 } }, 'm', drawing(0, 0.9))).toEqual(['b', 'a']);
    expect(order(row, { b: { inFlight: 1 } }, 'm', drawing(0, 0.9))).toEqual(['a', 'b']);
  });

  test('group by group', () => {
    const row = [vendor('a', 0.1, 0), vendor('b', 0.2, 0), vendor('c', 0.3, 1), vendor('d', 0.4, 1)];
    expect(order(row, {}, 'm', drawing(0, 0.9, 0, 0.9))).toEqual(['b', 'a', 'd', 'c']);
  });

  test('a request without a model, too', () => {
    expect(orderUnnamed([vendor('a', 0.5), vendor('b', 0.9)])).toEqual(['b', 'a']);
  });

  test('not where the configuration does not let them: file order', () => {
    const [a, b] = [vendor('a', 0.1), vendor('b', 0.9)];
    expect(
      order(
        [
          { ...a, pool: undefined },
          { ...b, pool: undefined },
        ],
        {},
        'm',
        drawing(0, 0.9),
      ),
    ).toEqual(['a', 'b']);
    expect(order([a, { ...b, pool: {} }], {}, 'm', drawing(0, 0.9))).toEqual(['a', 'b']);
  });

  test('boxes keep their placement beside them', () => {
    const mixed = [target('box', { pool }), vendor('b', 0.1), vendor('c', 0.9), target('other', { pool })];
    expect(order(mixed, {}, 'm', drawing(0, 0.9))).toEqual(['box', 'c', 'b', 'other']);
  });
});

describe('sessions', () => {
  const affinity = compileCel('request.headers["x-session"]');
  const row = ['a', 'b', 'c', 'd'].map((name) => target(name, { affinity }));
  const orderFor = (
    session: string | undefined,
    targets: readonly Target[] = row,
    facts: Readonly<Record<string, Facts>> = {},
  ) => {
    const herd = new FakeHerd(targets.map((one) => one.upstream));
    for (const [name, fact] of Object.entries(facts)) herd.know(name, fact);
    const exchange = fakeExchange({ headers: session === undefined ? {} : { 'x-session': session } });
    return orderCandidates(targets, 'llama3.2', herd, () => 0.5, exchange).map(nameOf);
  };
  const names = (session: string) => orderFor(session)[0];

  test('one of them has it, however busy, and others have others', () => {
    const first = orderFor('alice')[0] ?? '';
    expect(orderFor('alice', row, { [first]: { inFlight: 100 } })[0]).toBe(first);
    expect(new Set(['alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'grace'].map(names)).size).toBeGreaterThan(1);
  });

  test('while it is evicted or down the next one has it, and the others keep theirs', () => {
    for (const session of ['alice', 'bob', 'carol', 'dave']) {
      const [first, second] = orderFor(session);
      expect(orderFor(session, row, { [first ?? '']: { isAlive: false } })[0]).toBe(second);
      const gone = row.map((one) => (one.upstream.name === first ? { ...evictedTarget(first ?? ''), affinity } : one));
      expect(orderFor(session, gone)[0]).toBe(second);
      const other = row.map((one) => (one.upstream.name === second ? { ...evictedTarget(second ?? ''), affinity } : one));
      expect(orderFor(session, other)[0]).toBe(first);
    }
  });

  test('not where the model is not, and only in the first group that can serve', () => {
    const [first] = orderFor('alice');
    expect(orderFor('alice', row, { [first ?? '']: lacks, a: first === 'a' ? lacks : {} })[0]).not.toBe(first);
    const grouped = row.map((one) => ({ ...one, group: one.upstream.name === first ? 1 : 0 }));
    expect(orderFor('alice', grouped).at(-1)).toBe(first);
  });

  test('a request without a session is placed as usual', () => {
    expect(orderFor(undefined, row, { a: { inFlight: 1 } })).toEqual(['b', 'c', 'd', 'a']);
    expect(orderFor('', row, { a: { inFlight: 1 } })).toEqual(['b', 'c', 'd', 'a']);
  });

  test('written weights are kept: the heavier one has more sessions', () => {
    const weighted = [target('a', { affinity, weight: 9 }), target('b', { affinity, weight: 1 })];
    let count = 0;
    for (let index = 0; index < 1_000; index++) if (orderFor(`s${index}`, weighted)[0] === 'a') count++;
    expect(count).toBeGreaterThan(850);
    expect(count).toBeLessThan(950);
  });
});
