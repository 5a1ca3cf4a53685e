/** Random faults and random clients, all of them from a seed: what happens to the herd is written down before it happens. */
import type { SimulatedBox } from '../../support/herd/box.ts';
import { createRandom, type Random, textOf } from '../../support/herd/random.ts';
import type { HerdModel } from '../../support/herd/setting.ts';
import type { SurfacePath, Talk } from '../../support/herd/trace.ts';

const gigabyte = 1_000_000_000;

export const models: readonly HerdModel[] = [
  { name: 'one:latest', sizeBytes: 3 * gigabyte },
  { name: 'two:latest', sizeBytes: 5 * gigabyte },
  { name: 'three:latest', sizeBytes: 8 * gigabyte },
  { name: 'embedder:latest', sizeBytes: gigabyte / 4, capabilities: ['embedding'] },
];

const surfaces: readonly SurfacePath[] = ['/v1/chat/completions', '/v1/messages', '/v1/responses', '/api/chat', '/api/generate'];
const embeddings: readonly SurfacePath[] = ['/api/embed', '/v1/embeddings'];

export interface Fault {
  readonly atMs: number;
  readonly about: string;
  strike(boxes: readonly SimulatedBox[]): void;
}

/** `count` clients within `spanMs`: a few of them at once, some impatient. */
export function clientsOf(seed: number, count: number, spanMs: number): readonly Talk[] {
  const random = createRandom(seed);
  const bursts = Array.from({ length: 4 }, () => random.next() * spanMs);
  return Array.from({ length: count }, () => {
    const isInBurst = random.next() < 0.1;
    const atMs = isInBurst ? random.pick(bursts) + random.next() * 200 : random.next() * spanMs;
    return clientOf(random, Math.round(atMs), isInBurst);
  });
}

function clientOf(random: Random, atMs: number, isInBurst: boolean): Talk {
  const embeds = random.next() < 0.1;
  const isImpatient = random.next() < 0.15;
  const leaveAfterMs = isImpatient ? Math.round(10 ** (1 + random.next() * 3.6)) : undefined;
  return {
    atMs,
    model: embeds
      ? 'embedder:latest'
      : isInBurst
        ? 'one:latest'
        : random.weighted(['one:latest', 'two:latest', 'three:latest'], [5, 3, 1]),
    surface: random.pick(embeds ? embeddings : surfaces),
    isStream: !embeds && random.next() < 0.8,
    system: textOf(random, random.whole(10, 500)),
    turns: [{ user: textOf(random, random.whole(10, 1_000)), outputTokens: random.whole(1, 64), thinkMs: 0, leaveAfterMs }],
  };
}

/** Something goes wrong about every twelve seconds, and is over before long. */
export function faultsOf(seed: number, boxCount: number, spanMs: number): readonly Fault[] {
  const random = createRandom(seed ^ 0x5eed);
  const faults: Fault[] = [];
  for (let atMs = 0; atMs < spanMs; atMs += random.gapMs(1 / 12)) faults.push(...faultAt(random, Math.round(atMs), boxCount));
  return faults;
}

type Lasting = readonly [about: string, begin: (box: SimulatedBox) => void, end: (box: SimulatedBox) => void];

const lasting: readonly Lasting[] = [
  ['dies', (box) => box.state === 'up' && box.die('refusing'), (box) => box.comeBack()],
  ['falls into a black hole', (box) => box.state === 'up' && box.die('silent'), (box) => box.comeBack()],
  ['runs out of memory', setting({ outOfMemory: true }), setting({ outOfMemory: false })],
  ['has a slow disk', setting({ slowness: 5 }), setting({ slowness: 1 })],
  ['is busy', busy(true), busy(false)],
];

function busy(isBusy: boolean): (box: SimulatedBox) => void {
  return (box) => void Object.assign(box, { isBusy });
}

function setting(faults: { outOfMemory?: boolean; slowness?: number }): (box: SimulatedBox) => void {
  return (box) => void Object.assign(box.scheduler.faults, faults);
}

function faultAt(random: Random, atMs: number, boxCount: number): readonly Fault[] {
  const index = random.whole(0, boxCount - 1);
  const on = (told: string, act: (box: SimulatedBox) => void, at = atMs): Fault => ({
    atMs: at,
    about: `box ${index + 1} ${told}`,
    strike(boxes) {
      const box = boxes[index];
      if (box !== undefined) act(box);
    },
  });
  const kind = random.whole(0, 8);
  const found = lasting[kind];
  if (found !== undefined) {
    const [about, begin, end] = found;
    return [on(about, begin), on(`no more ${about}`, end, atMs + random.whole(3_000, 40_000))];
  }
  if (kind < 8) {
    const afterTokens = random.whole(0, 30);
    return [on(`loses a runner after ${afterTokens} tokens`, (box) => box.crashNext(afterTokens))];
  }
  const { name } = random.pick(models);
  return [on(`loses its runner of ${name}`, (box) => box.crashRunner(name))];
}
