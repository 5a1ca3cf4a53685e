/**
 * What the herd is asked for, written down before anything runs: seeded random, no clock. The same traces are played in virtual
 * time by the tests (test/unit/herd) and through real sockets by `npm run bench:herd`.
 */
import { createRandom, type Random, textOf } from '../../test/support/herd/random.ts';
import type { HerdModel } from '../../test/support/herd/setting.ts';
import type { Talk, Trace, Turn } from '../../test/support/herd/trace.ts';

const gigabyte = 1_000_000_000;

/** Six models of 4 to 8 GB: loads of 5 to 9 s. Popular ones first. */
export const models: readonly HerdModel[] = [
  { name: 'llama3.2:latest', sizeBytes: 4 * gigabyte },
  { name: 'qwen3:8b', sizeBytes: 5 * gigabyte },
  { name: 'mistral:latest', sizeBytes: 5 * gigabyte },
  { name: 'gemma3:12b', sizeBytes: 8 * gigabyte },
  { name: 'phi4:latest', sizeBytes: 7 * gigabyte },
  { name: 'codestral:latest', sizeBytes: 8 * gigabyte },
];

const twoModelsEach = { models, maxLoaded: 2, contextLength: 32_768, keepAliveMs: 1_800_000 };
const threeBoxes = [twoModelsEach, twoModelsEach, twoModelsEach];

function question(random: Random, characters = 400): Turn {
  return { user: textOf(random, random.whole(characters / 4, characters)), outputTokens: random.whole(16, 64), thinkMs: 0 };
}

function single(random: Random, atMs: number, model: string): Talk {
  const system = 'You are a helpful assistant.';
  return { atMs, model, surface: '/v1/chat/completions', isStream: true, system, turns: [question(random)] };
}

/** Single questions that come by chance; `modelAt` says for which model. */
function questions(
  random: Random,
  { count, perSecond, modelAt }: { count: number; perSecond: number; modelAt(index: number): string },
): Talk[] {
  let atMs = 0;
  return Array.from({ length: count }, (_, index) => {
    atMs += random.gapMs(perSecond);
    return single(random, Math.round(atMs), modelAt(index));
  });
}

const names = models.map(({ name }) => name);
const nameOf = (index: number): string => names[index] ?? '';

/** 300 questions for six models on three boxes that hold two each. */
export function mixed(seed = 1): Trace {
  const random = createRandom(seed);
  return {
    name: 'mixed',
    about: '300 questions for six models, by chance, over three boxes that hold two each',
    boxes: threeBoxes,
    talks: questions(random, { count: 300, perSecond: 0.5, modelAt: () => random.pick(names) }),
    events: [],
  };
}

/** One of three boxes goes, and comes back with nothing in memory. Without it the others still hold all four models. */
export function dying(seed = 2): Trace {
  const random = createRandom(seed);
  return {
    name: 'dying',
    about: '300 questions for four models; one of the three boxes is gone from 200 s to 400 s',
    boxes: threeBoxes,
    talks: questions(random, { count: 300, perSecond: 0.5, modelAt: () => random.pick(names.slice(0, 4)) }),
    events: [
      { atMs: 200_000, box: 1, what: 'dies' },
      { atMs: 400_000, box: 1, what: 'comes back' },
    ],
  };
}

/** Conversations that grow: each turn sends everything that was said before. */
export function chat(seed = 3): Trace {
  const random = createRandom(seed);
  let atMs = 0;
  const talks = Array.from({ length: 50 }, (): Talk => {
    atMs += random.gapMs(0.09);
    return {
      atMs: Math.round(atMs),
      model: random.pick(names.slice(0, 2)),
      surface: '/v1/chat/completions',
      isStream: true,
      system: textOf(random, 8_000),
      turns: Array.from({ length: 6 }, (_, index) => ({
        ...question(random, 2_000),
        thinkMs: index === 0 ? 0 : random.whole(4_000, 14_000),
      })),
    };
  });
  return {
    name: 'chat',
    about: '50 conversations of six turns with two models, up to ten at once; prompts of 2 000 to 5 000 tokens',
    boxes: threeBoxes.map((box) => ({ ...box, parallel: 2 })),
    talks,
    events: [],
  };
}

/** Quiet, and then twenty at once for one model; four times. */
export function bursts(seed = 4): Trace {
  const random = createRandom(seed);
  const quiet = questions(random, { count: 120, perSecond: 0.3, modelAt: () => random.pick(names.slice(0, 4)) });
  const bursting = [60_000, 150_000, 240_000, 330_000].flatMap((atMs, index) =>
    Array.from({ length: 20 }, () => single(random, atMs + random.whole(0, 2_000), nameOf(index))),
  );
  return {
    name: 'bursts',
    about: '120 questions for four models, and four times twenty at once for one of them',
    boxes: threeBoxes,
    talks: [...quiet, ...bursting].sort((a, b) => a.atMs - b.atMs),
    events: [],
  };
}

/** What everybody asks for changes: one model has seven tenths of all questions, and every 200 s it is another one. */
export function shift(seed = 5): Trace {
  const random = createRandom(seed);
  const modelAt = (index: number) => (random.next() < 0.7 ? nameOf(Math.floor(index / 100)) : random.pick(names.slice(0, 5)));
  return {
    name: 'shift',
    about: '300 questions, seven tenths of them for one model; every 100 questions it is another one',
    boxes: threeBoxes,
    talks: questions(random, { count: 300, perSecond: 0.5, modelAt }),
    events: [],
  };
}

export const traces: readonly Trace[] = [mixed(), chat(), bursts(), shift(), dying()];
