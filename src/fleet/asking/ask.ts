/** One bounded question to a box: limited in time and in bytes, asked once however many want to know, never throwing. */
import { GatewayError } from '../../errors.ts';
import type { Upstream } from '../../exchange.ts';
import { isEarly, openEarly } from '../../http/early-answer.ts';
import type { Clock, Platform } from '../../platform.ts';
import type { RelayLeg } from './relay.ts';

export interface Question {
  readonly upstream: Upstream;
  /** Such as `/api/version`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The way there, where it asks for credentials. */
  readonly leg?: Pick<RelayLeg, 'headersFor' | 'hear' | 'prove'>;
  /** Sent by POST; without it the path is asked for by GET. */
  readonly json?: string;
  readonly limitMs: number;
  readonly maxBytes: number;
  /** Ends the question early: nobody wants to know any more. */
  readonly stop: Stop;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Undefined when the body broke off or was longer than asked for. */
  readonly text: string | undefined;
  /** What was shown for the leg (relay.ts). */
  readonly shown?: Readonly<Record<string, string>> | undefined;
}

/**
 * The end of all asking. A plain object and no AbortSignal, because on Workers those belong to the request that made them,
 * and this outlives requests.
 */
export interface Stop {
  readonly isStopped: boolean;
  /** Calls `listener` once when all ends; the returned function forgets it. */
  onStop(listener: () => void): () => void;
}

export function createStop(): Stop & { stop(): void } {
  const listeners = new Set<() => void>();
  let isStopped = false;
  return {
    get isStopped() {
      return isStopped;
    },
    onStop(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop() {
      isStopped = true;
      const all = [...listeners];
      listeners.clear();
      for (const listener of all) listener();
    },
  };
}

/**
 * Asks for a path. Resolves with the answer, or with the reason why there is none: upstream_silent when `limitMs` is over.
 * Never rejects. The limit holds for headers and body together, and also where a platform does not mind its signal.
 */
export async function ask(platform: Platform, question: Question): Promise<Answer | GatewayError> {
  const { upstream, limitMs, stop } = question;
  if (stop.isStopped) return new GatewayError('upstream_silent', `${upstream.name} was not asked any more`);
  const controller = new AbortController();
  let giveUp: () => void = () => undefined;
  const limit = new Promise<GatewayError>((resolve) => {
    giveUp = () => resolve(new GatewayError('upstream_silent', `${upstream.name} did not answer within ${limitMs} ms`));
  });
  const cancelTimer = platform.clock.after(limitMs, giveUp);
  const forget = stop.onStop(giveUp);
  try {
    const outcome = await Promise.race([limit, fetchText(platform, question, controller.signal)]);
    // Closes the connection of whatever is still under way.
    if (outcome instanceof GatewayError || outcome.text === undefined) controller.abort(outcome);
    return outcome;
  } finally {
    cancelTimer();
    forget();
  }
}

async function fetchText(platform: Platform, question: Question, signal: AbortSignal): Promise<Answer | GatewayError> {
  const { upstream, path, headers, json, maxBytes, leg } = question;
  const type = json === undefined ? undefined : { 'content-type': 'application/json' };
  const method = json === undefined ? 'GET' : 'POST';
  const url = upstream.baseUrl + path;
  try {
    const showing = leg?.headersFor({ method, url });
    const shown = showing === undefined ? undefined : await showing;
    const received = await platform.send({
      method,
      url,
      headers: { accept: 'application/json', ...type, ...headers, ...shown },
      body: json === undefined ? undefined : new TextEncoder().encode(json),
      signal,
      tls: upstream.tls,
      binding: upstream.box?.binding,
    });
    const response = isEarly(received, shown) ? await openEarly(received, upstream.name) : received;
    await leg?.prove(response.headers, shown);
    await leg?.hear(response.headers, shown);
    const text = await response.body.read(maxBytes).then(
      (bytes) => new TextDecoder().decode(bytes),
      () => undefined,
    );
    return { status: response.status, headers: response.headers, text, shown };
  } catch (thrown) {
    if (thrown instanceof GatewayError) return thrown;
    return new GatewayError('upstream_closed', `${upstream.name} broke off`, { cause: thrown });
  }
}

/**
 * Work that is done once for all who want it at the same time. Not where nothing runs between requests: on Workers a promise
 * dies with the request that made it, and who had joined it would wait for ever.
 */
export function joinable<T>({ hasBackground }: Platform, work: () => Promise<T>): () => Promise<T> {
  if (!hasBackground) return work;
  let underWay: Promise<T> | undefined;
  return () => {
    underWay ??= work().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}

/** Resolves when the work is done or `limitMs` is over, whichever comes first; leaves no timer behind. */
export async function within(clock: Clock, limitMs: number, work: Promise<unknown>): Promise<void> {
  let cancel: () => void = () => undefined;
  const limit = new Promise<void>((resolve) => {
    cancel = clock.after(Math.max(0, limitMs), resolve);
  });
  try {
    await Promise.race([limit, work]);
  } finally {
    cancel();
  }
}
