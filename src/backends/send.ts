/**
 * One try at one upstream, until its headers are there. `fetch` has no connect timeout and a box that loads a model is as
 * silent as one that is gone; so while a box owes headers it is asked for its version now and then: a box that does not
 * answer that is dead, one that does may take its time (design §8).
 */
import { GatewayError, gatewayErrorOf } from '../errors.ts';
import { type Attempt, type AttemptRecord, type Fleet, type Lease, onGone } from '../exchange.ts';
import { isEarly, openEarly } from '../http/early-answer.ts';
import { relayHeader } from '../http/signed-caller.ts';
import type { Platform, UpstreamRequest, UpstreamResponse } from '../platform.ts';

/** Silence after which a box that owes headers is asked whether it lives, and how often from then on. */
const firstDoubtMs = 250;
const nextDoubtMs = 15_000;

export interface SendTools {
  readonly platform: Platform;
  readonly fleet: Fleet;
  /** The longest wait for the first byte: cold loads included. */
  readonly loadTimeoutMs: number;
  /** Told when the client leaves while the upstream owes its headers; decides whether the try is ended or held. */
  onClientGone(leaving: Leaving): void;
}

/** A try whose client has left. */
export interface Leaving {
  readonly attempt: Attempt;
  readonly model: string | undefined;
  readonly startedMs: number;
  abort(): void;
  /** Settles when the try has its headers or has failed. */
  readonly settled: Promise<unknown>;
}

/** Thrown by a try whose client has left: there is nobody to answer. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone';
}

/** A try that got an answer. `abort` closes the connection; safe to call at any time. */
export interface Answered {
  readonly response: UpstreamResponse;
  /** The box's slot that the answer takes up; undefined for upstreams that are no boxes. Whoever relays the answer ends it. */
  readonly lease: Lease | undefined;
  abort(reason: unknown): void;
}

export async function send(
  attempt: Attempt,
  body: Uint8Array | ReadableStream<Uint8Array> | undefined,
  model: string | undefined,
  record: AttemptRecord,
  tools: SendTools,
  lease?: Lease,
): Promise<Answered> {
  const { exchange, upstream, outgoing } = attempt;
  const controller = new AbortController();
  const abort = (reason: unknown) => controller.abort(reason);
  const silence = new SilenceWatch(attempt, record, abort, tools);
  if (outgoing.authority !== undefined && outgoing.authority !== upstream.baseUrl.slice(upstream.baseUrl.indexOf('//') + 2)) {
    outgoing.headers.host = outgoing.authority;
  }
  // Last, and here, so that no policy and no log sees them: they are the box's own, such as a tunnel's credential.
  if (upstream.box !== undefined) Object.assign(outgoing.headers, upstream.box.headers);
  const url = upstream.baseUrl + outgoing.path + outgoing.query;
  const wanted: UpstreamRequest = {
    method: outgoing.method,
    url,
    headers: outgoing.headers,
    body,
    signal: controller.signal,
    tls: upstream.tls,
    binding: upstream.box?.binding,
  };
  const showing = tools.fleet.legHeaders?.(upstream, wanted, exchange);
  const settled = showing === undefined ? tools.platform.send(wanted) : sendOverLeg(wanted, showing, attempt, tools);
  let hasLeft = false;
  let isSettled = false;
  onGone(exchange, () => {
    hasLeft = true;
    if (!isSettled)
      tools.onClientGone({ attempt, model, startedMs: record.startedMs, abort: () => abort(new ClientGone()), settled });
  });
  try {
    const first = await settled;
    const response = mayAskForLeg(first) ? await againOverLeg(first, wanted, await showing, attempt, tools) : first;
    // Between the two Corrals; with a client it would speak of this one.
    if (showing !== undefined || response !== first) response.headers.delete(relayHeader);
    record.answeredMs = exchange.clock.now();
    record.status = response.status;
    tools.fleet.noteAnswer(upstream);
    if (hasLeft) {
      response.body.cancel();
      throw new ClientGone();
    }
    return { response, lease, abort };
  } catch (thrown) {
    if (hasLeft || thrown instanceof ClientGone) throw new ClientGone();
    const error = gatewayErrorOf(thrown);
    record.answeredMs = exchange.clock.now();
    record.error = error;
    tools.fleet.noteFailure(upstream, error);
    throw error;
  } finally {
    isSettled = true;
    silence.stop();
  }
}

/** To a relay: with what it asks for, and its answer as it is, however early it has begun. */
async function sendOverLeg(
  wanted: UpstreamRequest,
  legHeaders: Promise<Readonly<Record<string, string>>>,
  { upstream, exchange }: Attempt,
  { platform, fleet }: SendTools,
): Promise<UpstreamResponse> {
  const shown = await legHeaders;
  const received = await platform.send({ ...wanted, headers: { ...wanted.headers, ...shown } });
  const response = isEarly(received, shown) ? await openEarly(received, upstream.name) : received;
  const hearing = fleet.hearLeg?.(upstream, response.headers, shown);
  // The answer waits for nothing of it.
  if (hearing !== undefined) exchange.peer.waitUntil(hearing);
  return response;
}

/** A relay answers so to whoever does not show what it wants to see. */
function mayAskForLeg({ status }: UpstreamResponse): boolean {
  return status === 401;
}

/** The first request to a relay may come before any probe: nothing was done for it yet, so that it may be sent once more. */
async function againOverLeg(
  refused: UpstreamResponse,
  wanted: UpstreamRequest,
  shown: Readonly<Record<string, string>> | undefined,
  attempt: Attempt,
  tools: SendTools,
): Promise<UpstreamResponse> {
  const { upstream, exchange } = attempt;
  if (wanted.body instanceof ReadableStream || (await tools.fleet.learnLeg?.(upstream, refused, shown)) !== true) return refused;
  const showing = tools.fleet.legHeaders?.(upstream, wanted, exchange);
  if (showing === undefined) return refused;
  refused.body.cancel();
  return await sendOverLeg(wanted, showing, attempt, tools);
}

/** Ends the try at its limits, and when the box turns out to be dead. One timer at a time. */
class SilenceWatch {
  readonly #attempt: Attempt;
  readonly #abort: (reason: unknown) => void;
  readonly #tools: SendTools;
  readonly #loadEndsMs: number;
  readonly #attemptEndsMs: number;
  readonly #exchangeEndsMs: number;
  readonly #check = () => this.#look();
  #doubtMs: number;
  #isOver = false;
  #cancel: () => void;

  constructor(attempt: Attempt, { startedMs }: AttemptRecord, abort: (reason: unknown) => void, tools: SendTools) {
    const { timeoutMs = Number.POSITIVE_INFINITY } = attempt;
    this.#attempt = attempt;
    this.#abort = abort;
    this.#tools = tools;
    this.#loadEndsMs = startedMs + tools.loadTimeoutMs;
    this.#attemptEndsMs = startedMs + timeoutMs;
    this.#exchangeEndsMs = attempt.exchange.deadlineMs ?? Number.POSITIVE_INFINITY;
    this.#doubtMs = tools.fleet.isBox(attempt.upstream) ? startedMs + firstDoubtMs : Number.POSITIVE_INFINITY;
    this.#cancel = this.#arm(startedMs);
  }

  stop(): void {
    this.#isOver = true;
    this.#cancel();
  }

  #arm(nowMs: number): () => void {
    const nextMs = Math.min(this.#doubtMs, this.#loadEndsMs, this.#attemptEndsMs, this.#exchangeEndsMs);
    return this.#attempt.exchange.clock.after(Math.max(0, nextMs - nowMs), this.#check);
  }

  #look(): void {
    const { exchange, upstream } = this.#attempt;
    const nowMs = exchange.clock.now();
    const limit = this.#limitAt(nowMs);
    if (limit !== undefined) {
      this.#abort(limit);
      return;
    }
    if (nowMs >= this.#doubtMs) {
      this.#doubtMs = nowMs + nextDoubtMs;
      void this.#tools.fleet.checkAlive(upstream).then((isAlive) => {
        if (!isAlive && !this.#isOver) this.#abort(new GatewayError('upstream_silent', `${upstream.name} does not answer`));
      });
    }
    this.#cancel = this.#arm(nowMs);
  }

  /** The limit that is over by now. */
  #limitAt(nowMs: number): GatewayError | undefined {
    if (nowMs >= this.#exchangeEndsMs) return new GatewayError('request_timeout', 'request timeout');
    if (nowMs >= this.#attemptEndsMs) return new GatewayError('upstream_timeout', 'upstream call timeout');
    if (nowMs < this.#loadEndsMs) return undefined;
    const seconds = Math.round(this.#tools.loadTimeoutMs / 1000);
    const { name } = this.#attempt.upstream;
    return new GatewayError('upstream_timeout', `${name} sent no first byte within ${seconds} s (fleet.loadTimeout)`);
  }
}
