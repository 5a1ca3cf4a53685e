/** A whole gateway over upstreams that a test scripts: fake clock, fake network, fake knowledge of the boxes. */
import { judgeEdited } from '../../../src/answers/edited.ts';
import { judgeImages } from '../../../src/answers/images.ts';
import { createNamedContexts } from '../../../src/answers/named-contexts.ts';
import { createOllamaOptions } from '../../../src/answers/ollama-options.ts';
import { createExchanges, type ExchangeScope } from '../../../src/answers/open-exchange.ts';
import type { AnswerTools } from '../../../src/answers/tools.ts';
import { judgePrompt } from '../../../src/answers/truncation.ts';
import type { Leaving } from '../../../src/backends/send.ts';
import { type CompiledPlan, compilePlan } from '../../../src/compile/compile.ts';
import { loadConfig } from '../../../src/config/load.ts';
import type { Config } from '../../../src/config/schema.ts';
import { createObservation, type Observation } from '../../../src/entry/observation.ts';
import { GatewayError } from '../../../src/errors.ts';
import type { Exchange } from '../../../src/exchange.ts';
import { isModelMissing } from '../../../src/fleet/asking/advice.ts';
import { faultOf } from '../../../src/fleet/asking/faults.ts';
import { TokenRatios } from '../../../src/fleet/rates/token-ratio.ts';
import { createGateway, type Gateway } from '../../../src/gateway.ts';
import { createSideCalls } from '../../../src/http/side-calls.ts';
import type { Peer, Platform, Relay, UpstreamRequest } from '../../../src/platform.ts';
import { createBodyReader } from '../../../src/protocols/body-reader.ts';
import { createBodyBudget } from '../../../src/protocols/decode.ts';
import { createMemoryState } from '../../../src/state/memory.ts';
import type { State } from '../../../src/state/state.ts';
import { createIdleWatch } from '../../../src/streams/idle.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { FakeHerd } from './fake-herd.ts';

/** What an upstream answers. */
export interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Silence before its headers. */
  readonly afterMs?: number;
  /** Several: one chunk each. */
  readonly body?: string | readonly string[];
  /** Silence before each chunk of a body that comes in several. */
  readonly pausesMs?: readonly number[];
  /** Instead of `body`, where it is no text. */
  readonly bytes?: Uint8Array;
  /** clean: the connection closes in order. broken: it breaks off. silent: nothing more comes. Default: clean. */
  readonly ends?: 'clean' | 'broken' | 'silent';
}

/** `never`: no headers until the try is aborted. */
export type Script = (sent: Sent) => Answer | GatewayError | 'never';

export interface Sent {
  readonly request: UpstreamRequest;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The body as text; undefined when there was none. */
  readonly text: string | undefined;
  isAborted: boolean;
  isCancelled: boolean;
  /** Of a body that was read as a stream. */
  chunksTaken: number;
}

export interface Told {
  readonly exchange: Exchange;
  readonly endedMs: number;
}

export interface Client extends Peer {
  leave(): void;
}

export interface Stage {
  readonly plan: CompiledPlan;
  readonly gateway: Gateway;
  readonly clock: FakeClock;
  readonly herd: FakeHerd;
  readonly sent: Sent[];
  /** What the log was told, once per exchange. */
  readonly told: Told[];
  /** The log's lines. */
  readonly lines: string[];
  /** What the gateway said of its own affairs. */
  readonly reports: string[];
  readonly observation: Observation;
  /** Responses that the platform made of relays: they must reach the door as the same objects. */
  readonly relayed: Response[];
  readonly leavings: Leaving[];
  readonly budgetLeft: () => number;
  ask(path: string, init?: Ask): Promise<Response>;
  /** `ask`, with the body read to its end. */
  read(path: string, init?: Ask): Promise<{ status: number; headers: Headers; text: string; response: Response }>;
  script: Script;
  /** Makes `Platform.respond` fail. */
  respondFault: unknown;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON by POST, bytes as they are. */
  readonly body?: object | string;
  readonly host?: string;
  readonly client?: Client;
  readonly port?: number;
}

export interface StageOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly apiKey?: string;
  readonly adminToken?: string;
  readonly hasDemo?: boolean;
  readonly hasBackground?: boolean;
  readonly random?: () => number;
  readonly script?: Script;
  readonly allowAnonymous?: boolean;
  readonly allowedHosts?: readonly string[];
  readonly readFile?: (path: string) => string;
  /** What the wall clock says at first. */
  readonly wallTimeMs?: number;
}

const bufferedBytes = 1024 * 1024;

export function planOf(yaml: string, { env = {}, readFile, ...options }: PlanOptions = {}): CompiledPlan {
  const loaded = loadConfig(yaml, { name: 'test.yaml', env: (name) => env[name], ...(readFile && { readFile }) });
  if (!loaded.ok) throw new Error(loaded.errors.map(({ path, message }) => `${path}: ${message}`).join('\n'));
  return compileLoaded(loaded.config, options);
}

/** The plan of a configuration that was read. */
export function compileLoaded(
  config: Config,
  {
    apiKey,
    adminToken,
    random = () => 0,
    runtime = 'node',
    refuses = () => undefined,
    clock = createFakeClock(),
    send,
    allowAnonymous = false,
    allowedHosts = [],
    state = createMemoryState(),
    report = () => undefined,
  }: PlanOptions = {},
): CompiledPlan {
  return compilePlan(config, {
    platform: { runtime, refuses, clock, report },
    apiKey,
    adminToken,
    allowAnonymous,
    allowedHosts,
    originPatterns: [],
    random,
    state,
    sideCalls: createSideCalls({ clock, send: send ?? (() => Promise.reject(new Error('no side call was expected'))) }),
  });
}

export interface PlanOptions extends Pick<StageOptions, 'env' | 'random' | 'allowAnonymous' | 'allowedHosts' | 'readFile'> {
  readonly apiKey?: string | undefined;
  readonly adminToken?: string | undefined;
  readonly runtime?: Platform['runtime'];
  readonly refuses?: Platform['refuses'];
  readonly clock?: FakeClock;
  readonly send?: Platform['send'] | undefined;
  readonly report?: Platform['report'];
  /** That of a plan before this one, where it is a reload. */
  readonly state?: State;
}

export function createStage(yaml: string, options: StageOptions = {}): Stage {
  const { random = () => 0 } = options;
  const clock = createFakeClock(options.wallTimeMs === undefined ? {} : { wallTimeMs: options.wallTimeMs });
  const world = createWorld(clock, options);
  const sideCalls = createSideCalls({ clock, send: (request) => world.platform.send(request) });
  const { report } = world.platform;
  const plan = planOf(yaml, { ...options, clock, report, send: (request) => world.platform.send(request) });
  const herd = new FakeHerd(plan.upstreams);
  const budget = createBodyBudget(bufferedBytes);
  const told: Told[] = [];
  const leavings: Leaving[] = [];
  const observation = createObservation(plan.telemetry, { platform: world.platform, state: createMemoryState(), sideCalls });
  const { loadTimeoutMs, idleTimeoutMs } = plan.settings;
  const tools: AnswerTools & ExchangeScope = {
    platform: world.platform,
    clock,
    fleet: herd,
    instanceId: 'corral-1',
    loadTimeoutMs,
    isModelMissing,
    faultOf,
    ollamaOptions: createOllamaOptions(herd, createNamedContexts()),
    judgeEdited: (attempt, decided, isBox) => judgeEdited(attempt, decided, isBox, tools),
    judgePrompt(attempt, call, asked) {
      judgeImages(attempt, call, asked.model, tools);
      judgePrompt(attempt, call, asked, tools);
    },
    tokenRatios: new TokenRatios(),
    exchanges: createExchanges('x', clock, (exchange, endedMs) => {
      told.push({ exchange, endedMs });
      observation.observe(exchange, endedMs);
    }),
    idle: createIdleWatch({ clock, sweepMs: 1_000, maxSilentMs: idleTimeoutMs }),
    bodies: createBodyReader(plan.settings, budget),
    telemetry: observation.telemetry,
    startTrace: observation.startTrace,
    limits: plan.settings,
    random,
    hasDemo: options.hasDemo ?? false,
    onClientGone: (leaving) => leavings.push(leaving),
  };
  const gateway = createGateway(plan, tools);
  const ask = async (path: string, init: Ask = {}) => gateway.fetch(requestOf(path, init), init.client ?? client(init.port));
  return Object.assign(world, {
    plan,
    gateway,
    clock,
    herd,
    told,
    leavings,
    observation,
    budgetLeft: () => {
      let left = 0;
      for (let step = bufferedBytes; step >= 1; step /= 2) while (budget.take(step)) left += step;
      budget.give(left);
      return left;
    },
    ask,
    async read(path: string, init?: Ask) {
      const response = await ask(path, init);
      return { status: response.status, headers: response.headers, text: await response.text(), response };
    },
  });
}

function requestOf(path: string, { method, headers = {}, body, host = 'localhost:3000' }: Ask): Request {
  const text = body === undefined || typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
  return new Request(`http://${host}${path}`, {
    method: method ?? (text === undefined ? 'GET' : 'POST'),
    headers: { host, ...headers },
    ...(text === undefined ? {} : { body: text as BodyInit }),
  });
}

/** A client on this machine, who may leave. */
export function client(port: number | undefined = 3000, address = '127.0.0.1'): Client {
  const listeners: (() => void)[] = [];
  return {
    port,
    address: () => address,
    onGone: (listener) => listeners.push(listener),
    waitUntil: () => undefined,
    leave() {
      for (const listener of listeners.splice(0)) listener();
    },
  };
}

type World = Pick<Stage, 'sent' | 'relayed' | 'script' | 'respondFault' | 'lines' | 'reports'> & { readonly platform: Platform };

function createWorld(clock: FakeClock, { hasBackground = true, script }: StageOptions): World {
  const bodies = new WeakMap<object, { answer: Answer; sent: Sent }>();
  const world: World = {
    sent: [],
    relayed: [],
    lines: [],
    reports: [],
    script: script ?? (() => ({ headers: { 'content-type': 'application/json' }, body: '{}' })),
    respondFault: undefined,
    platform: {
      runtime: 'node',
      clock,
      hasBackground,
      async send(request) {
        const sent: Sent = {
          request,
          url: request.url,
          headers: request.headers,
          text: await textOf(request.body),
          isAborted: false,
          isCancelled: false,
          chunksTaken: 0,
        };
        world.sent.push(sent);
        request.signal.addEventListener('abort', () => {
          sent.isAborted = true;
        });
        const answer = world.script(sent);
        if (answer instanceof GatewayError) throw answer;
        if (answer === 'never') return await abortOf(request.signal);
        if (answer.afterMs !== undefined) await silence(clock, answer.afterMs, request.signal);
        const body = {
          async read(maxBytes: number) {
            if (answer.ends === 'silent') return await abortOf(request.signal);
            const bytes = new TextEncoder().encode(chunksOf(answer).join(''));
            if (bytes.length > maxBytes || answer.ends === 'broken') throw new GatewayError('upstream_closed', 'too long');
            return bytes;
          },
          async first() {
            const [chunk] = chunksOf(answer);
            if (chunk !== undefined && chunk !== '') return new TextEncoder().encode(chunk);
            if (answer.ends === 'silent') return await abortOf(request.signal);
            if (answer.ends === 'broken') throw new GatewayError('upstream_closed', 'broken');
            return undefined;
          },
          stream: () => streamOf(answer, sent, clock),
          cancel() {
            sent.isCancelled = true;
          },
        };
        bodies.set(body, { answer, sent });
        return { status: answer.status ?? 200, headers: new Headers(answer.headers), body };
      },
      respond(relay) {
        if (world.respondFault !== undefined) throw world.respondFault;
        const found = bodies.get(relay.body);
        if (found === undefined) throw new Error('a body from nowhere');
        const response = responseOf(relay, found.answer, found.sent, clock);
        world.relayed.push(response);
        return response;
      },
      refuses: () => undefined,
      print: (line) => world.lines.push(line),
      report: (level, message) => world.reports.push(`${level} ${message}`),
    },
  };
  return world;
}

function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason));
  });
}

function silence(clock: FakeClock, ms: number, signal: AbortSignal): Promise<unknown> {
  return Promise.race([abortOf(signal), new Promise<void>((resolve) => clock.after(ms, resolve))]);
}

async function textOf(body: UpstreamRequest['body']): Promise<string | undefined> {
  if (body === undefined) return undefined;
  return await new Response(body as Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>).text();
}

function chunksOf({ body = '' }: Answer): readonly string[] {
  return typeof body === 'string' ? [body] : body;
}

/** The body itself, for whoever reads it as a stream. */
function streamOf(answer: Answer, sent: Sent, clock: FakeClock): ReadableStream<Uint8Array> {
  const pauses = [...(answer.pausesMs ?? [])];
  const chunks = answer.bytes === undefined ? chunksOf(answer).map((chunk) => new TextEncoder().encode(chunk)) : [answer.bytes];
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = chunks.shift();
        const pauseMs = pauses.shift();
        if (pauseMs !== undefined) await silence(clock, pauseMs, sent.request.signal);
        if (chunk !== undefined) {
          sent.chunksTaken++;
          controller.enqueue(chunk);
        } else if (answer.ends === 'broken') controller.error(new Error('broken'));
        else if (answer.ends === 'silent') await abortOf(sent.request.signal);
        else controller.close();
      },
      cancel() {
        sent.isCancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
}

/** As the runtimes with web streams do it. */
function responseOf(
  { status, headers, tap, headersOnly, body, onOpen }: Relay,
  answer: Answer,
  sent: Sent,
  clock: FakeClock,
): Response {
  if (headersOnly) {
    body.cancel();
    tap.end();
    return new Response(null, { status, headers });
  }
  const chunks = chunksOf(answer).map((chunk) => new TextEncoder().encode(chunk));
  const pauses = [...(answer.pausesMs ?? [])];
  let isOver = false;
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      start(controller) {
        onOpen?.((bytes) => {
          if (isOver || (controller.desiredSize ?? 0) < 0) return false;
          controller.enqueue(bytes as Uint8Array<ArrayBuffer>);
          return true;
        });
      },
      async pull(controller) {
        for (let chunk = chunks.shift(); chunk !== undefined; chunk = chunks.shift()) {
          const pauseMs = pauses.shift();
          if (pauseMs !== undefined) await silence(clock, pauseMs, sent.request.signal);
          if (isOver) return;
          const bytes = tap.push(chunk);
          if (bytes.length === 0) continue;
          controller.enqueue(bytes as Uint8Array<ArrayBuffer>);
          return;
        }
        let end = answer.ends === 'broken' ? tap.fail(new Error('broken')) : undefined;
        if (answer.ends === 'silent') end = await abortOf(sent.request.signal).catch((cause: unknown) => tap.fail(cause));
        end ??= tap.end();
        isOver = true;
        if (end.bytes.length > 0) controller.enqueue(end.bytes as Uint8Array<ArrayBuffer>);
        if (end.complete) controller.close();
        else controller.error(new Error('cut'));
      },
      cancel() {
        isOver = true;
        sent.isCancelled = true;
        tap.gone();
      },
    },
    { highWaterMark: 0 },
  );
  return new Response(stream, { status, headers });
}

/** `read` for streams that are cut: what came before the cut. */
export async function textBeforeCut(response: Response): Promise<{ text: string; isCut: boolean }> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return { text, isCut: false };
      text += decoder.decode(value, { stream: true });
    }
  } catch {
    return { text, isCut: true };
  }
}
