/** A whole gateway over a simulated herd, in this process, in virtual time. */
import { openGateway } from '../../../src/entry/open.ts';
import type { Opened } from '../../../src/entry/opened.ts';
import type { Settings } from '../../../src/entry/settings.ts';
import type { Peer } from '../../../src/platform.ts';
import { createFakeClock, type FakeClock } from '../fake-clock.ts';
import { plainSettings } from '../settings.ts';
import { createHerd, type SimulatedHerd } from './herd.ts';
import { type Asked, play, type Seen } from './player.ts';
import { createRandom } from './random.ts';
import type { HerdEvent, Trace } from './trace.ts';

export interface VirtualStage {
  readonly clock: FakeClock;
  readonly herd: SimulatedHerd;
  readonly opened: Opened;
  ask(asked: Asked): Promise<Response>;
  happen(event: HerdEvent): void;
  /** Moves time on until the promise has settled; throws when nothing is left that could settle it, or after `limitMs`. */
  until<T>(promise: Promise<T>, limitMs?: number): Promise<T>;
  play(trace: Trace): Promise<readonly Seen[]>;
}

/** Addresses of the boxes of a trace. */
export function urlsOf(trace: Pick<Trace, 'boxes'>): string[] {
  return trace.boxes.map((_, at) => `http://box-${at + 1}.herd:11434`);
}

export function herdYaml(urls: readonly string[], more = ''): string {
  return ['fleet:', '  boxes:', ...urls.map((url) => `  - url: ${url}`), more].join('\n');
}

/**
 * `yaml`: the configuration; left out, the boxes and nothing else. Probes have found all boxes when this settles. What the gateway
 * leaves to chance (the pauses between probes) follows a seed from then on, so that a run can be had again.
 */
export async function openVirtual(trace: Pick<Trace, 'boxes'>, yaml = herdYaml(urlsOf(trace)), seed = 1): Promise<VirtualStage> {
  Math.random = createRandom(seed).next;
  const clock = createFakeClock();
  const urls = urlsOf(trace);
  const herd = createHerd({ clock, boxes: trace.boxes.map((box, at) => ({ ...box, url: urls[at] ?? '' })) });
  const result = await openGateway(settingsOf(yaml), herd.platform);
  if (!result.ok) throw new Error(result.problems.join('\n'));
  const { opened } = result;
  opened.herd.start();
  await clock.advance(1_000);
  const stage: VirtualStage = {
    clock,
    herd,
    opened,
    ask: (asked) => askGateway(opened, asked),
    happen: happenTo(herd),
    until: (promise, limitMs) => until(clock, promise, limitMs),
    play: (told) => until(clock, play(told, stage)),
  };
  return stage;
}

/** What a trace tells of boxes happens to them. */
export function happenTo({ boxes }: Pick<SimulatedHerd, 'boxes'>): (event: HerdEvent) => void {
  return ({ box, what }) => {
    const one = boxes[box];
    if (what === 'comes back') one?.comeBack();
    else one?.die(what === 'dies' ? 'refusing' : 'silent');
  };
}

/** Models that were begun to be loaded, on all boxes. */
export function loadsOf({ boxes }: Pick<SimulatedHerd, 'boxes'>): number {
  return boxes.reduce((sum, { scheduler }) => sum + scheduler.loads.started, 0);
}

export function settingsOf(text: string): Settings {
  return plainSettings(text, { config: { text, name: 'herd.yaml' }, allowAnonymous: true });
}

async function askGateway(opened: Opened, { path, body, headers, leaving }: Asked): Promise<Response> {
  const host = 'localhost:3000';
  const peer: Peer = {
    port: opened.ports[0],
    address: () => '127.0.0.1',
    onGone: (listener) => {
      if (leaving.aborted) listener();
      else leaving.addEventListener('abort', listener, { once: true });
    },
    waitUntil: () => undefined,
  };
  const request = new Request(`http://${host}${path}`, { method: 'POST', headers: { host, ...headers }, body });
  const answered = opened.gateway.fetch(request, peer);
  const gone = new Promise<never>((_, reject) => {
    leaving.addEventListener('abort', () => reject(leaving.reason), { once: true });
  });
  gone.catch(() => undefined);
  const response = await Promise.race([answered, gone]).catch(async (thrown: unknown) => {
    // Whoever has left takes no answer: what comes all the same is dropped, as a runtime does it.
    Promise.resolve(answered).then(
      (late) => late.body?.cancel().catch(() => undefined),
      () => undefined,
    );
    throw thrown;
  });
  return response;
}

const dayMs = 86_400_000;

export async function until<T>(clock: FakeClock, promise: Promise<T>, limitMs = dayMs): Promise<T> {
  let isSettled = false;
  const settled = () => {
    isSettled = true;
  };
  promise.then(settled, settled);
  const endMs = clock.now() + limitMs;
  await clock.settle();
  while (!isSettled) {
    const { nextDueMs } = clock;
    if (nextDueMs === undefined) await clock.settle();
    if (isSettled) break;
    if (clock.nextDueMs === undefined) throw new Error('nothing is left that could go on');
    if (clock.now() > endMs) throw new Error(`not settled after ${limitMs} ms`);
    await clock.advance(clock.nextDueMs);
  }
  return await promise;
}
