/** Tries at upstreams that a test answers by hand. */
import type { AttemptTools } from '../../../src/backends/attempts.ts';
import { createHealthState, createTargetHealth } from '../../../src/backends/health.ts';
import type { Leaving } from '../../../src/backends/send.ts';
import type { Candidate, Target } from '../../../src/backends/target.ts';
import { GatewayError } from '../../../src/errors.ts';
import type { Exchange, Upstream } from '../../../src/exchange.ts';
import { isModelMissing } from '../../../src/fleet/asking/advice.ts';
import { faultOf } from '../../../src/fleet/asking/faults.ts';
import type { UpstreamRequest } from '../../../src/platform.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { FakeHerd } from '../answers/fake-herd.ts';
import { type Client, client } from '../answers/stage.ts';
import { type FakeRequest, fakeExchange } from '../policies/fake-exchange.ts';

export function upstream(name: string, kind: Upstream['kind'] = 'box'): Upstream {
  return { name, baseUrl: `http://${name}:11434`, kind, tls: undefined };
}

/** A target that asks for the model the client named, or its own; with the client's path. */
export function target(name: string, given: Partial<Target> & { readonly kind?: Upstream['kind'] } = {}): Target {
  const { kind, ...rest } = given;
  return {
    upstream: upstream(name, kind),
    weight: undefined,
    group: 0,
    failsOver: false,
    pool: undefined,
    health: undefined,
    affinity: undefined,
    passthrough: undefined,
    binds: [],
    namesFormats: false,
    declares: undefined,
    modelFor: (requested) => requested ?? rest.declares,
    pathFor: ({ clientPath, query }) => ({ path: clientPath, query }),
    edits: [],
    finalEdits: [],
    translationFor: () => undefined,
    countsTokens: false,
    answerEdits: [],
    ...rest,
  };
}

export function candidate(one: Target, model: string | undefined = 'llama3.2'): Candidate {
  return { target: one, model, isLastResort: false };
}

/** A candidate that a test evicts. */
export function evictable(name: string, given: Parameters<typeof target>[1] = {}): { candidate: Candidate; evict(): void } {
  const state = createHealthState();
  const health = createTargetHealth(state, { isUnhealthy: (_, { status }) => status >= 500, eviction: undefined });
  return {
    candidate: candidate(target(name, { health, ...given })),
    evict() {
      state.evictedUntilMs = Number.POSITIVE_INFINITY;
    },
  };
}

/** One request that reached an upstream. */
export interface Sent {
  readonly request: UpstreamRequest;
  /** Of the URL: tests name their upstreams by host. */
  readonly name: string;
  readonly atMs: number;
  isCancelled: boolean;
  answer(status: number, text?: string): void;
  /** Headers, and a body that never comes. */
  stall(status: number): void;
  fail(code: 'upstream_refused' | 'upstream_unresolved' | 'upstream_tls' | 'upstream_closed'): void;
}

export interface Tries {
  readonly clock: FakeClock;
  readonly herd: FakeHerd;
  readonly sent: Sent[];
  readonly leavings: Leaving[];
  readonly tools: AttemptTools;
  readonly client: Client;
  readonly exchange: Exchange;
  /** Answers every request at once from now on; by upstream. */
  script: ((name: string, sent: Sent) => void) | undefined;
}

export const loadTimeoutMs = 900_000;

export function createTries(request: FakeRequest = {}): Tries {
  const clock = createFakeClock();
  const herd = new FakeHerd([]);
  const leavings: Leaving[] = [];
  const caller = client();
  const tries: Tries = {
    clock,
    herd,
    sent: [],
    leavings,
    client: caller,
    exchange: { ...fakeExchange({ path: '/v1/chat/completions', method: 'POST', ...request }), clock, peer: caller },
    script: undefined,
    tools: {
      platform: {
        runtime: 'node',
        clock,
        hasBackground: true,
        send: (one) =>
          new Promise((resolve, reject) => {
            const { signal } = one;
            if (signal.aborted) return reject(signal.reason);
            signal.addEventListener('abort', () => reject(signal.reason));
            const answer = (status: number, text: string | undefined) =>
              resolve({
                status,
                headers: new Headers(),
                body: {
                  read: (maxBytes) =>
                    new Promise((done, fail) => {
                      signal.addEventListener('abort', () => fail(signal.reason));
                      if (text === undefined) return;
                      const bytes = new TextEncoder().encode(text);
                      if (bytes.length > maxBytes) fail(new GatewayError('upstream_closed', `more than ${maxBytes} bytes`));
                      else done(bytes);
                    }),
                  stream: () => new ReadableStream(),
                  cancel: () => {
                    sent.isCancelled = true;
                  },
                },
              });
            const sent: Sent = {
              request: one,
              name: new URL(one.url).hostname,
              atMs: clock.now(),
              isCancelled: false,
              answer: (status, text = '') => answer(status, text),
              stall: (status) => answer(status, undefined),
              fail: (code) => reject(new GatewayError(code, code)),
            };
            tries.sent.push(sent);
            tries.script?.(sent.name, sent);
          }),
        respond: () => new Response(),
        refuses: () => undefined,
        print: () => undefined,
        report: () => undefined,
      },
      fleet: herd,
      instanceId: 'me',
      loadTimeoutMs,
      isModelMissing,
      faultOf,
      judgePrompt: () => undefined,
      judgeEdited: () => undefined,
      onClientGone: (leaving) => leavings.push(leaving),
    },
  };
  return tries;
}

/** The code of the GatewayError that this ends in, or the name of another error, or what it gave. */
export async function endOf(work: Promise<unknown>): Promise<unknown> {
  try {
    return await work;
  } catch (thrown) {
    return thrown instanceof GatewayError ? thrown.code : (thrown as Error).name;
  }
}
