/**
 * Sends a copy of requests to another server, and does not care what becomes of it (agentgateway http/filters.rs, whose
 * copies have no body). The copy is what the upstream gets, before its credentials and before the model is chosen.
 *
 * What it costs: a request that is copied is read whole before it goes on, where it would have streamed through (`host`
 * backends), and is held in memory until the other server has answered. So it may be as long as request bodies may be
 * elsewhere; only where a longer one says so beforehand does it pass by without a copy.
 */
import * as z from 'zod';
import type { Attempt, Exchange } from '../exchange.ts';
import { serverRefField } from '../fields/server-ref.ts';
import { contentLengthOf } from '../http/hop-headers.ts';
import type { SideServer } from '../http/side-calls.ts';
import { definePolicy, type PolicyScope } from './policy.ts';

/** Copies under way at once, for each policy. What is beyond is not copied. */
const maxUnderWay = 64;
/** Until the other server's headers: a model that answers in one piece takes its time. */
const timeoutMs = 5 * 60_000;
/** Marks copies, so that a copy which comes back here (a server that is Corral itself) is not copied again. */
const mirroredHeader = 'x-corral-mirrored';

const optionsField = z.strictObject({
  backend: serverRefField.describe('The server that gets the copies.'),
  percentage: z
    .number()
    .min(0)
    .max(1)
    .describe('The part of the requests that is copied, from 0.0 to 1.0.')
    .meta({ examples: [0.5] }),
});

export type RequestMirrorOptions = z.output<typeof optionsField>;

/** What one policy has under way. `dropped` counts the copies that were not made because there was no room for them. */
export interface MirrorLoad {
  underWay: number;
  dropped: number;
  failed: number;
}

/** Requests that were drawn, until their first try. */
const drawn = new WeakMap<Exchange, (attempt: Attempt) => void>();

export const requestMirror = definePolicy<RequestMirrorOptions>({
  name: 'requestMirror',
  about: 'Sends a copy of requests, body included, to another server; clients notice nothing of it.',
  places: ['route'],
  options: optionsField,
  example: `requestMirror:
  backend:
    host: localhost:8080
  percentage: 0.5
`,

  onRequest({ backend, percentage }, scope) {
    const send = mirrorTo(scope.serverOf(backend), scope);
    if (percentage === 0) return undefined;
    return async (c, next) => {
      const exchange = c.env;
      if ((percentage === 1 || Math.random() < percentage) && !exchange.headers.has(mirroredHeader)) {
        drawn.set(exchange, send);
        // Read now: at the first try it may be on its way to the upstream already.
        if (isWorthReading(exchange, scope.maxBodyBytes)) await exchange.bodies.read(exchange);
      }
      return next();
    };
  },

  onAttempt() {
    return (attempt) => {
      const exchange = attempt.exchange.whole ?? attempt.exchange;
      const send = drawn.get(exchange);
      if (send === undefined) return;
      drawn.delete(exchange);
      send(attempt);
    };
  },
});

/** A body that is announced as longer than what may be held passes by; one of unknown length is held to that limit. */
function isWorthReading({ heldBody, request, method }: Exchange, maxBytes: number): boolean {
  if (heldBody !== undefined) return false;
  const length = contentLengthOf(request.headers);
  if (length !== undefined) return length > 0 && length <= maxBytes;
  return method !== 'GET' && method !== 'HEAD' && request.body !== null;
}

function mirrorTo(server: SideServer, { state, stateKey, sideCalls, maxBodyBytes }: PolicyScope): (attempt: Attempt) => void {
  const load = state.kept<MirrorLoad>(`${stateKey}/load`, () => ({ underWay: 0, dropped: 0, failed: 0 }));
  // The bodies of all copies of all routes take no more memory than one request may.
  const held = state.kept('requestMirror/held', () => ({ bytes: 0 }));
  return (attempt) => {
    const { exchange, outgoing } = attempt;
    const body = exchange.heldBody;
    const bytes = body?.length ?? 0;
    const isPassingBy = body === undefined && (contentLengthOf(exchange.request.headers) ?? 0) > 0;
    if (isPassingBy || load.underWay >= maxUnderWay || held.bytes + bytes > maxBodyBytes) {
      load.dropped++;
      return;
    }
    load.underWay++;
    held.bytes += bytes;
    const { clock, telemetry, peer } = exchange;
    const startedMs = clock.now();
    // The other server's own credential, where it has one, in place of what the client sent.
    const headers = { ...outgoing.headers, ...server.headers, [mirroredHeader]: '1' };
    const { method, path, query } = outgoing;
    const call = {
      server,
      method,
      path: path + query,
      headers,
      timeoutMs,
      ignoresBody: true,
      body: bytes === 0 ? undefined : body,
    };
    const sending = sideCalls
      .call(call)
      .catch(() => {
        load.failed++;
      })
      .finally(() => {
        load.underWay--;
        held.bytes -= bytes;
        telemetry.upstreamCall('Mirror', (clock.now() - startedMs) / 1000);
      });
    peer.waitUntil(sending);
  };
}
