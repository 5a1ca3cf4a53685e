/**
 * What every subject of the suite stands on: a runtime to start Corral on, boxes behind it, and a client in front. Black box:
 * nothing of `src` is imported here.
 */
import { setTimeout } from 'node:timers';
import { afterAll, it } from 'vitest';
import {
  type BlackHole,
  type ClosedPort,
  type FakeOllama,
  type FakeOllamaOptions,
  openBlackHole,
  type ReceivedRequest,
  reserveClosedPort,
  startFakeOllama,
} from '../support/fake-ollama/index.ts';
import { openRawClient, type RawClient } from '../support/raw-client.ts';
import type { CorralConfig, RunningCorral, Runtime, RuntimeName } from '../support/runtimes/index.ts';

export interface StageConfig extends Omit<CorralConfig, 'yaml'> {
  /** An object becomes JSON, which is YAML. */
  readonly yaml?: string | object;
  /** On workerd no client has an address, so routes without a lock refuse everybody: tests of other things open them. True: they do not. */
  readonly locked?: boolean;
}

export interface Stage {
  readonly runtime: RuntimeName;
  /** A Corral that is stopped when the suite ends. */
  corral(config: StageConfig): Promise<RunningCorral>;
  /** Runs a Corral that ends by itself. */
  run(config: StageConfig, timeoutMs?: number): ReturnType<Runtime['run']>;
  box(options?: FakeOllamaOptions): Promise<FakeOllama>;
  blackHole(): Promise<BlackHole>;
  closedPort(): Promise<ClosedPort>;
  raw(url: string): Promise<RawClient>;
  /** A test that is skipped, with the reason in its name, on the runtimes named in `not`. */
  readonly it: StageTest;
  /** The same for one that starts all it uses and measures no time: it does not wait while its neighbours of this kind wait. */
  readonly beside: StageTest;
}

type StageTest = (
  name: string,
  run: () => Promise<void> | void,
  not?: Partial<Record<RuntimeName, string>>,
  timeoutMs?: number,
) => void;

/** Opens a stage for the `describe` it is called in. */
export function useStage(runtime: Runtime): Stage {
  const ends: (() => Promise<unknown> | unknown)[] = [];
  const keep = <Thing>(thing: Thing, end: () => Promise<unknown> | unknown): Thing => {
    ends.push(end);
    return thing;
  };
  // Gateways before boxes: they are told last.
  afterAll(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  const startConfig = ({ yaml, locked, env, ...rest }: StageConfig): CorralConfig => ({
    ...rest,
    ...(yaml === undefined ? {} : { yaml: typeof yaml === 'string' ? yaml : JSON.stringify(yaml, null, 1) }),
    env: { ...(runtime.name === 'workerd' && locked !== true ? { CORRAL_ALLOW_ANONYMOUS: '1' } : {}), ...env },
  });
  const tests =
    (test: typeof it.concurrent): StageTest =>
    (name, run, not = {}, timeoutMs) => {
      const reason = not[runtime.name];
      if (reason === undefined) test(name, run, timeoutMs);
      else it.skip(`${name} [not on ${runtime.name}: ${reason}]`, () => undefined);
    };
  return {
    runtime: runtime.name,
    async corral(config) {
      const running = await runtime.start(startConfig(config));
      return keep(running, () => running.stop(0));
    },
    run: (config, timeoutMs) => runtime.run(startConfig(config), timeoutMs),
    async box(options) {
      const box = await startFakeOllama(options);
      return keep(box, () => box.stop());
    },
    async blackHole() {
      const hole = await openBlackHole();
      return keep(hole, () => hole.close());
    },
    async closedPort() {
      const port = await reserveClosedPort();
      return keep(port, () => port.release());
    },
    async raw(url) {
      const client = await openRawClient(url);
      return keep(client, () => client.close());
    },
    it: tests(it),
    beside: tests(it.concurrent),
  };
}

// ---------------------------------------------------------------------------------------------------- configurations

export interface BoxEntry {
  readonly name: string;
  /** `127.0.0.1:port`, or a number for that. */
  readonly at: number | string;
  /** The default model. */
  readonly model?: string;
  readonly policies?: object;
}

export interface HerdOptions {
  /** Policies of the route. */
  readonly policies?: object;
  readonly listenerPolicies?: object;
  readonly fleet?: object;
  readonly config?: object;
  readonly frontendPolicies?: object;
  /** One group after the other instead of all in one. */
  readonly inGroups?: boolean;
}

function addressOf(at: number | string): string {
  return typeof at === 'number' ? `127.0.0.1:${at}` : at;
}

/** One route to these boxes, the log as JSON, no admin address (its port is one for the whole machine). */
export function herdOf(boxes: readonly BoxEntry[], options: HerdOptions = {}): object {
  const provider = ({ name, at, model, policies }: BoxEntry) => ({
    name,
    hostOverride: addressOf(at),
    provider: { openAI: model === undefined ? {} : { model } },
    ...(policies === undefined ? {} : { policies }),
  });
  const [only] = boxes;
  const ai =
    boxes.length === 1 && only !== undefined
      ? provider(only)
      : {
          groups: options.inGroups
            ? boxes.map((box) => ({ providers: [provider(box)] }))
            : [{ providers: boxes.map((box) => provider(box)) }],
        };
  return {
    config: { adminAddr: 'off', logging: { format: 'json' }, ...options.config },
    ...(options.fleet === undefined ? {} : { fleet: options.fleet }),
    ...(options.frontendPolicies === undefined ? {} : { frontendPolicies: options.frontendPolicies }),
    binds: [
      {
        port: 3000,
        listeners: [
          {
            ...(options.listenerPolicies === undefined ? {} : { policies: options.listenerPolicies }),
            routes: [{ ...(options.policies === undefined ? {} : { policies: options.policies }), backends: [{ ai }] }],
          },
        ],
      },
    ],
  };
}

// ----------------------------------------------------------------------------------------------------------- requests

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; throws when it is none. */
  json(): Json;
}

// biome-ignore lint/suspicious/noExplicitAny: answers of any shape, read by assertions that say which
export type Json = any;

export interface Asked {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  /** Objects become JSON; text and bytes pass as they are. */
  readonly body?: object | string | Uint8Array | undefined;
  readonly signal?: AbortSignal;
}

/** One request with the platform's own `fetch`, read to its end. */
export async function ask(url: string, asked: Asked = {}): Promise<Reply> {
  const { body } = asked;
  const sent = body === undefined || typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
  const response = await fetch(url, {
    method: asked.method ?? (body === undefined ? 'GET' : 'POST'),
    headers: { ...(typeof body === 'object' ? { 'content-type': 'application/json' } : {}), ...asked.headers },
    ...(sent === undefined ? {} : { body: sent as RequestInit['body'] & string }),
    ...(asked.signal === undefined ? {} : { signal: asked.signal }),
    redirect: 'manual',
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) };
}

export const hello = [{ role: 'user', content: 'Hello' }];

/** A chat completion. */
export function chat(url: string, body: object = {}, headers: Record<string, string> = {}): Promise<Reply> {
  return ask(`${url}/v1/chat/completions`, { body: { model: 'llama3.2', messages: hello, ...body }, headers });
}

/** The message of an error body in any of the three shapes. */
export function errorOf(reply: Reply): string {
  const { error } = reply.json();
  return typeof error === 'string' ? error : error.message;
}

export function isPath(path: string): (request: ReceivedRequest) => boolean {
  return (request) => request.path === path;
}

/** Requests that make a model work, in the order they came. */
export function inferencesOf(box: FakeOllama): readonly ReceivedRequest[] {
  return box.requests.filter(
    (request) =>
      request.method === 'POST' && /^\/(api\/(chat|generate|embed|embeddings)|v1\/)/.test(request.path) && !isLoad(request),
  );
}

/** Corral's own: it loads a model and asks for nothing. */
export function isLoad({ path, body }: ReceivedRequest): boolean {
  return (path === '/api/generate' && !body.includes('"prompt"')) || (path === '/api/embed' && !body.includes('"input"'));
}

/** Waits until the look finds something; says what was waited for when it does not. */
export async function until<Found>(
  what: string,
  look: () => Promise<Found | undefined | false> | Found | undefined | false,
  timeoutMs = 10_000,
): Promise<Found> {
  const endsAt = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
    } catch (thrown) {
      last = thrown;
    }
    if (performance.now() > endsAt) throw new Error(`waited ${timeoutMs} ms for ${what}`, { cause: last });
    await new Promise<void>((resolve) => setTimeout(resolve, 20));
  }
}

/** Until Corral knows all models of its boxes (a first request may come before its first look). */
export async function untilListed(url: string, models: readonly string[], headers: Record<string, string> = {}): Promise<void> {
  await until(`${models.join(', ')} in /api/tags`, async () => {
    const reply = await ask(`${url}/api/tags`, { headers });
    const names: string[] = reply.json().models.map((model: { name: string }) => model.name);
    return models.every((model) => names.includes(model));
  });
}

// --------------------------------------------------------------------------------------------------------- access log

/** The lines of the JSON access log so far. */
export function logOf(corral: RunningCorral): Json[] {
  return `${corral.stdout()}\n${corral.stderr()}`
    .split('\n')
    .filter((line) => line.startsWith('{') && line.includes('"scope":"request"'))
    .map((line) => JSON.parse(line) as Json);
}

/** The one log line that fits, waited for. */
export function logLine(corral: RunningCorral, fits: (line: Json) => boolean): Promise<Json> {
  return until('a line of the access log', () => logOf(corral).find(fits));
}
