/**
 * Where the keys of an issuer come from: the configuration, or a URL. Keys of a URL are fetched when the first token asks for
 * them, so an issuer that is down does not keep the gateway from starting; they are looked at again every ten minutes and when
 * a token names a key that is not among them, and kept for as long as the issuer cannot be reached.
 */
import { GatewayError, gatewayErrorOf } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { FieldError } from '../fields/text-field.ts';
import type { SideServer } from '../http/side-calls.ts';
import { type KeySet, keySetOf, type VerifyingKey } from './jwk-set.ts';
import type { PolicyScope } from './policy.ts';

export interface KeySource {
  /**
   * Waits only where the key must be fetched first. Undefined: the issuer has no such key. Throws jwt_keys_unavailable when
   * that cannot be said.
   */
  keyFor(kid: string, exchange: Exchange): VerifyingKey | undefined | Promise<VerifyingKey | undefined>;
  /** Whether the key is there without asking anybody. */
  has(kid: string): boolean;
}

export function fixedKeys(keys: KeySet): KeySource {
  return { keyFor: (kid) => keys.get(kid), has: (kid) => keys.has(kid) };
}

const freshMs = 600_000;
/** A flood of made-up key names must not become a flood of requests to the issuer. */
const unknownKeyPauseMs = 30_000;
const failurePauseMs = 5_000;
const timeoutMs = 5_000;
const maxBytes = 256 * 1024;

/** What is known of one URL. Kept over reloads, shared by all policies that name it. */
interface Known {
  keys: KeySet | undefined;
  /** When the keys that are there came. */
  fetchedMs: number;
  /** When they were last asked for. */
  askedMs: number | undefined;
  failure: { readonly reason: string; readonly atMs: number } | undefined;
  underWay: { readonly promise: Promise<void>; readonly sinceMs: number } | undefined;
}

/** `address`: an absolute http or https URL without user and fragment. */
export function keysFrom(address: string, { state, clock, sideCalls }: PolicyScope): KeySource {
  const url = new URL(address);
  const server: SideServer = { name: url.host, baseUrl: url.origin, tls: undefined, headers: { accept: 'application/json' } };
  const known = state.kept<Known>(`jwks/${address}`, () => ({
    keys: undefined,
    fetchedMs: 0,
    askedMs: undefined,
    failure: undefined,
    underWay: undefined,
  }));

  const fetchKeys = async (): Promise<void> => {
    try {
      const path = url.pathname + url.search;
      const { status, bytes } = await sideCalls.call({ server, method: 'GET', path, timeoutMs, maxBytes });
      if (status !== 200) throw new FieldError(`it answered with status ${status}`);
      known.keys = keySetOf(new TextDecoder().decode(bytes));
      known.fetchedMs = clock.now();
      known.failure = undefined;
    } catch (thrown) {
      const reason = thrown instanceof FieldError ? thrown.message : gatewayErrorOf(thrown).message;
      known.failure = { reason, atMs: clock.now() };
    } finally {
      known.underWay = undefined;
    }
  };

  /** Everybody waits for one fetch; on Workers one that was given up with its request never ends, hence its age. */
  const refresh = (exchange: Exchange): Promise<void> => {
    const nowMs = clock.now();
    const { underWay } = known;
    if (underWay !== undefined && nowMs - underWay.sinceMs <= timeoutMs) return underWay.promise;
    known.askedMs = nowMs;
    // Not awaited in one step with its making: what fails at once would be forgotten before it is noted.
    const promise = Promise.resolve().then(fetchKeys);
    known.underWay = { promise, sinceMs: nowMs };
    exchange.peer.waitUntil(promise);
    return promise;
  };

  const waitFor = (promise: Promise<void>): Promise<void> =>
    new Promise((resolve) => {
      const stop = clock.after(timeoutMs + 1_000, resolve);
      void promise.finally(() => {
        stop();
        resolve();
      });
    });

  const mayAsk = (): boolean => {
    if (known.underWay !== undefined) return true;
    const nowMs = clock.now();
    if (known.failure !== undefined && nowMs - known.failure.atMs < failurePauseMs) return false;
    return known.keys === undefined || known.askedMs === undefined || nowMs - known.askedMs >= unknownKeyPauseMs;
  };

  /** Where the keys are is for the log: whoever asks has shown nothing yet. */
  const unavailable = (): GatewayError => {
    const reason = known.failure?.reason ?? 'no answer came in time';
    return new GatewayError(
      'jwt_keys_unavailable',
      'authentication failure: the keys that tokens are checked with cannot be fetched right now; try again in a moment',
      { headers: { 'retry-after': '5' }, cause: new Error(`${url.origin}${url.pathname}: ${reason}`) },
    );
  };

  return {
    has: (kid) => known.keys?.has(kid) ?? false,
    keyFor(kid, exchange) {
      const key = known.keys?.get(kid);
      if (key !== undefined) {
        const isOld = clock.now() - known.fetchedMs >= freshMs;
        if (isOld && known.underWay === undefined && mayAsk()) void refresh(exchange);
        return key;
      }
      const answer = (): VerifyingKey | undefined => {
        const found = known.keys?.get(kid);
        if (found === undefined && (known.keys === undefined || known.failure !== undefined)) throw unavailable();
        return found;
      };
      return mayAsk() ? waitFor(refresh(exchange)).then(answer) : answer();
    },
  };
}
