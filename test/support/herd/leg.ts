/** Both ends of the leg to a relay in one process and in virtual time: a Corral in front → a tunnel → a relay → a simulated box. */
import { openGateway } from '../../../src/entry/open.ts';
import type { Opened } from '../../../src/entry/opened.ts';
import type { Settings } from '../../../src/entry/settings.ts';
import { WebBody } from '../../../src/entry/web-body.ts';
import { respondWeb } from '../../../src/entry/web-respond.ts';
import { GatewayError } from '../../../src/errors.ts';
import { contentLengthOf, endToEndHeaders } from '../../../src/http/hop-headers.ts';
import type { Clock, Peer, Platform, UpstreamRequest, UpstreamResponse } from '../../../src/platform.ts';
import { createFakeClock, type FakeClock } from '../fake-clock.ts';
import { createHerd, type SimulatedHerd } from './herd.ts';
import type { BoxSetting } from './setting.ts';
import { herdYaml, settingsOf } from './virtual.ts';

export const relaySecret = 'what-both-ends-of-the-leg-know';

export interface LegSetting {
  /** One relay stands before each of these. */
  readonly boxes: readonly Partial<BoxSetting>[];
  /** The tunnel's patience; Cloudflare's is 100 s. */
  readonly tunnelSilenceMs?: number;
  readonly front?: Partial<Settings>;
  readonly relay?: Partial<Settings>;
  /** Lines of YAML of the front, below `fleet:`. */
  readonly frontYaml?: string;
  readonly relayYaml?: string;
  /** What the front says of each relay in `fleet.boxes`, such as `access: true`. */
  readonly frontBoxes?: readonly string[];
  readonly frontScheme?: 'http' | 'https';
  /** False: the front looks at nothing by itself. */
  readonly frontProbes?: boolean;
  /** The wall clock of the front is ahead by so much. */
  readonly frontAheadMs?: number;
  /** Sees, or answers in the relay's place, what goes through the tunnel. */
  readonly intercept?: (request: Request) => Response | undefined;
}

export type AskFront = (
  path: string,
  body: object,
  init?: { headers?: Record<string, string>; leaving?: AbortSignal },
) => Promise<Response>;

export interface LegStage {
  readonly clock: FakeClock;
  readonly herd: SimulatedHerd;
  readonly front: Opened;
  readonly relays: readonly Opened[];
  /** Requests that went through the tunnel, copies without bodies. */
  readonly passed: Request[];
  readonly frontReports: string[];
  ask: AskFront;
  /** One more Corral in front, of those relays alone (0 is the first). Its probes have been there when this settles. */
  openFront(relays: readonly number[]): Promise<{ readonly front: Opened; readonly ask: AskFront }>;
  until<T>(promise: Promise<T>, limitMs?: number): Promise<T>;
  /** Moves time on; unlike `clock.advance` it waits for signatures, which are made in real time. */
  advance(ms: number): Promise<void>;
}

export async function openLeg(setting: LegSetting): Promise<LegStage> {
  const clock = createFakeClock();
  const herd = createHerd({ clock, boxes: setting.boxes.map((box, at) => ({ ...box, url: `http://box-${at + 1}.herd:11434` })) });
  const passed: Request[] = [];
  const relays: Opened[] = [];
  for (const { setting: box } of herd.boxes) {
    const told = { ...settingsOf(herdYaml([box.url], setting.relayYaml)), isRelay: true, relaySecret, ...setting.relay };
    relays.push(await opened(told, herd.platform));
  }
  const { frontScheme = 'http' } = setting;
  const relayUrls = relays.map((_, at) => `${frontScheme}://relay-${at + 1}.leg`);
  const frontReports: string[] = [];
  const frontClock: Clock = {
    ...clock,
    now: clock.now,
    after: clock.after,
    wallTime: () => clock.wallTime() + (setting.frontAheadMs ?? 0),
  };
  const platform: Platform = {
    ...herd.platform,
    clock: frontClock,
    report: (level, message) => frontReports.push(`${level} ${message}`),
    async send(request) {
      const at = relayUrls.indexOf(new URL(request.url).origin);
      const relay = relays[at];
      if (relay === undefined) throw new GatewayError('upstream_unresolved', 'nobody there');
      return await throughLeg(request, relay, clock, setting, passed);
    },
    respond: respondWeb,
  };
  const openFront = async (which: readonly number[]): Promise<Opened> => {
    const told = which.map((at) => [relayUrls[at], setting.frontBoxes?.[at] ?? []].flat().join('\n    '));
    return await opened({ ...settingsOf(herdYaml(told, setting.frontYaml)), relaySecret, ...setting.front }, platform);
  };
  const front = await openFront(relays.map((_, at) => at));
  for (const relay of relays) relay.herd.start();
  await advance(clock, 1_000);
  if (setting.frontProbes !== false) front.herd.start();
  await advance(clock, 1_000);
  return {
    clock,
    herd,
    front,
    relays,
    passed,
    frontReports,
    ask: askOf(front),
    async openFront(which) {
      const another = await openFront(which);
      another.herd.start();
      await advance(clock, 1_000);
      return { front: another, ask: askOf(another) };
    },
    until: (promise, limitMs = 86_400_000) => until(clock, promise, limitMs),
    advance: (ms) => advance(clock, ms),
  };
}

function askOf(front: Opened): AskFront {
  return async (path, body, { headers = {}, leaving } = {}) => {
    const host = 'localhost:3000';
    const request = new Request(`http://${host}${path}`, {
      method: 'POST',
      headers: { host, 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    const peer = peerOf(front, (listener) => leaving?.addEventListener('abort', listener, { once: true }));
    return await front.gateway.fetch(request, peer);
  };
}

/** WebCrypto works in real time beside the virtual one: while it is at it, no time passes. */
let signing = 0;
for (const name of ['importKey', 'sign', 'verify'] as const) {
  const original = crypto.subtle[name].bind(crypto.subtle) as (...given: unknown[]) => Promise<unknown>;
  const counted = (...given: unknown[]) => {
    signing++;
    return original(...given).finally(() => {
      signing--;
    });
  };
  Object.defineProperty(crypto.subtle, name, { value: counted, configurable: true });
}

/** Whoever has been signed for goes on, and may have the next thing signed: only when that is not so any more all has settled. */
async function settle(clock: FakeClock): Promise<void> {
  for (let quietTurns = 0; quietTurns < 3; quietTurns = signing > 0 ? 0 : quietTurns + 1) await clock.settle();
}

async function advance(clock: FakeClock, ms: number): Promise<void> {
  const endMs = clock.now() + ms;
  await settle(clock);
  while (clock.nextDueMs !== undefined && clock.now() + clock.nextDueMs <= endMs) {
    await clock.advance(clock.nextDueMs);
    await settle(clock);
  }
  await clock.advance(endMs - clock.now());
}

async function until<T>(clock: FakeClock, promise: Promise<T>, limitMs: number): Promise<T> {
  let isSettled = false;
  const settled = () => {
    isSettled = true;
  };
  promise.then(settled, settled);
  const endMs = clock.now() + limitMs;
  await settle(clock);
  while (!isSettled) {
    if (clock.nextDueMs === undefined) throw new Error('nothing is left that could go on');
    if (clock.now() > endMs) throw new Error(`not settled after ${limitMs} ms`);
    await clock.advance(clock.nextDueMs);
    await settle(clock);
  }
  return await promise;
}

async function opened(settings: Settings, platform: Platform): Promise<Opened> {
  const result = await openGateway(settings, platform);
  if (!result.ok) throw new Error(result.problems.join('\n'));
  return result.opened;
}

function peerOf({ ports }: Opened, onGone: Peer['onGone']): Peer {
  return { port: ports[0], address: () => '203.0.113.7', onGone, waitUntil: () => undefined };
}

/** As a CDN with a limit does it: 524 without headers in time, a cut where a body is silent for as long. */
async function throughLeg(
  { method, url, headers, body, signal }: UpstreamRequest,
  relay: Opened,
  clock: FakeClock,
  { tunnelSilenceMs = 100_000, intercept }: LegSetting,
  passed: Request[],
): Promise<UpstreamResponse> {
  const { pathname, search, host } = new URL(url);
  const request = new Request(`http://${host}${pathname}${search}`, {
    method,
    headers: { host, ...headers, 'cf-connecting-ip': '203.0.113.9' },
    ...(body === undefined ? {} : { body: body as Uint8Array<ArrayBuffer> }),
  });
  passed.push(new Request(request.url, { method, headers: request.headers }));
  const instead = intercept?.(request);
  const gone = new AbortController();
  const leave = () => gone.abort();
  signal.addEventListener('abort', leave, { once: true });
  const peer = peerOf(relay, (listener) => gone.signal.addEventListener('abort', listener, { once: true }));
  let cancel: () => void = () => undefined;
  const response = await new Promise<Response>((resolve, reject) => {
    cancel = clock.after(tunnelSilenceMs, () => {
      leave();
      resolve(new Response('error code: 524', { status: 524, headers: { server: 'cloudflare', 'cf-ray': '1-FRA' } }));
    });
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    Promise.resolve(instead ?? relay.gateway.fetch(request, peer)).then(resolve, reject);
  }).finally(() => cancel());
  const told = endToEndHeaders(response.headers);
  const source = response.body === null ? null : impatient(response.body, tunnelSilenceMs, clock, signal);
  return { status: response.status, headers: told, body: new WebBody(new Response(source), contentLengthOf(told)) };
}

function impatient(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  silenceMs: number,
  clock: FakeClock,
  signal: AbortSignal,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  return new ReadableStream(
    {
      async pull(controller) {
        let cancel: () => void = () => undefined;
        const cut = new Promise<never>((_, reject) => {
          cancel = clock.after(silenceMs, () => reject(new Error('the tunnel has cut a silent answer')));
          signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        });
        try {
          const { done, value } = await Promise.race([reader.read(), cut]);
          if (done) controller.close();
          else controller.enqueue(value);
        } catch (thrown) {
          reader.cancel().catch(() => undefined);
          throw thrown;
        } finally {
          cancel();
        }
      },
      cancel: () => reader.cancel(),
    },
    { highWaterMark: 0 },
  );
}
