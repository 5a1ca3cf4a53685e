/** What policies see of the world, without a gateway around them. */
import { Hono, type MiddlewareHandler } from 'hono';
import { gatewayErrorOf } from '../../../src/errors.ts';
import {
  type Attempt,
  type BodyReader,
  type Exchange,
  type GatewayEnv,
  noTelemetry,
  type Upstream,
} from '../../../src/exchange.ts';
import { readObject } from '../../../src/json/read-object.ts';
import type { PolicyScope } from '../../../src/policies/policy.ts';
import { createMemoryState } from '../../../src/state/memory.ts';
import { createFakeClock } from '../../support/fake-clock.ts';

export interface FakeRequest {
  readonly method?: string;
  /** Path and query. */
  readonly path?: string;
  /** The Host header. */
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The peer's address; null: the runtime does not know it. */
  readonly address?: string | null;
  readonly startedMs?: number;
  /** What the clock says by now. Default: `startedMs`. */
  readonly nowMs?: number;
  readonly matchedPrefix?: string;
  /** The request's body; then the method is POST unless said otherwise. */
  readonly body?: string;
}

/** An exchange as the gateway opens one: from a loopback client to localhost unless said otherwise. */
export function fakeExchange(fake: FakeRequest = {}): Exchange {
  const {
    method = fake.body === undefined ? 'GET' : 'POST',
    path = '/v1/models',
    host = 'localhost:3000',
    address = '127.0.0.1',
    startedMs = 0,
  } = fake;
  const [pathOnly = '', query] = path.split('?');
  const headers = host === '' ? { ...fake.headers } : { host, ...fake.headers };
  const request = new Request('http://localhost/', { method, headers, ...(fake.body === undefined ? {} : { body: fake.body }) });
  return {
    id: 'test-0',
    request,
    peer: { port: 3000, address: () => address ?? undefined, onGone: () => undefined, waitUntil: () => undefined },
    clock: createFakeClock({ nowMs: fake.nowMs ?? startedMs }),
    startedMs,
    method,
    path: pathOnly,
    query: query === undefined ? '' : `?${query}`,
    host: host.toLowerCase().replace(/:\d+$/, ''),
    headers: request.headers,
    bodies: fakeBodies,
    heldBody: undefined,
    bodyReading: undefined,
    sentBody: undefined,
    bodyHolds: 0,
    listenerName: '',
    gatewayName: '',
    routeName: '',
    matchedPrefix: fake.matchedPrefix,
    protocol: undefined,
    identity: undefined,
    claims: undefined,
    metadata: undefined,
    consumedHeaders: new Set(),
    deadlineMs: undefined,
    retry: undefined,
    answerHeaders: undefined,
    answerIsRead: false,
    endings: undefined,
    telemetry: noTelemetry,
    trace: undefined,
    call: undefined,
    work: undefined,
    attempts: [],
    wait: undefined,
    departures: undefined,
    warnings: [],
    isRelayed: false,
    isAnswered: false,
    status: 0,
    requestModel: undefined,
    responseModel: undefined,
    usage: undefined,
    firstByteMs: undefined,
    answerBytes: 0,
    completion: undefined,
    outcome: undefined,
    error: undefined,
  };
}

const fakeBodies: BodyReader = {
  async read(exchange) {
    exchange.heldBody ??= new Uint8Array(await exchange.request.arrayBuffer());
    return exchange.heldBody;
  },
  readAsSent: (exchange) => fakeBodies.read(exchange),
  replace(exchange, bytes) {
    exchange.heldBody = bytes;
  },
  release(exchange) {
    exchange.heldBody = undefined;
  },
};

/** What a policy's factory is given; a side call or a server that a test did not hand in is a mistake. */
export function fakeScope(given: Partial<PolicyScope> = {}): PolicyScope {
  return {
    yamlPath: 'p',
    stateKey: 'p',
    adminToken: undefined,
    state: createMemoryState(),
    clock: createFakeClock(),
    runtime: 'node',
    maxBodyBytes: 1024 * 1024,
    moderation: { baseUrl: 'https://api.openai.com', path: '/v1/moderations' },
    sideCalls: { call: () => Promise.reject(new Error('no side call was expected')) },
    serverOf: () => {
      throw new Error('no server was expected');
    },
    warn: () => undefined,
    ...given,
  };
}

export interface Asked {
  readonly response: Response;
  readonly exchange: Exchange;
  /** Whether the request came through to what stands behind the policies. */
  readonly reached: boolean;
  /** The code of the refusal, if there was one. */
  readonly code: string | undefined;
  readonly message: string;
}

/**
 * Sends one request through policies in a real Hono app. As in the gateway, an error becomes a response at the level where it
 * is thrown, so that the policies outside it see that response.
 */
export async function ask(
  policies: MiddlewareHandler<GatewayEnv> | readonly MiddlewareHandler<GatewayEnv>[],
  fake: FakeRequest = {},
  answer: () => Response = () => new Response('ok'),
): Promise<Asked> {
  const exchange = fakeExchange(fake);
  const app = new Hono<GatewayEnv>();
  let reached = false;
  app.onError((thrown, c) => {
    const error = gatewayErrorOf(thrown);
    c.env.error = error;
    return new Response(error.message, { status: error.status, headers: error.headers ?? {} });
  });
  app.use('*', ...(Array.isArray(policies) ? policies : [policies as MiddlewareHandler<GatewayEnv>]));
  app.all('*', () => {
    reached = true;
    return answer();
  });
  const response = await app.fetch(exchange.request, exchange);
  return { response, exchange, reached, code: exchange.error?.code, message: exchange.error?.message ?? '' };
}

const box: Upstream = { name: 'box', baseUrl: 'http://localhost:11434', kind: 'box', tls: undefined };

/** One try that is about to leave. `body` is the JSON text of the call. */
export function fakeAttempt(
  fake: FakeRequest & {
    readonly body?: string;
    readonly outgoing?: Record<string, string>;
    readonly protocol?: Attempt['protocol'];
    /** Default: true. */
    readonly isBox?: boolean;
  } = {},
): Attempt {
  const exchange = fakeExchange(fake);
  return {
    exchange,
    upstream: box,
    isBox: fake.isBox ?? true,
    outgoing: {
      method: exchange.method,
      path: exchange.path,
      query: exchange.query,
      authority: undefined,
      headers: { ...fake.outgoing },
    },
    body: fake.body === undefined ? undefined : readObject(new TextEncoder().encode(fake.body)).draft(),
    protocol: fake.protocol,
    rewrites: undefined,
    timeoutMs: undefined,
  };
}

export function bodyTextOf({ body }: Attempt): string {
  return new TextDecoder().decode(body?.bytes());
}
