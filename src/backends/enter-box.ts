/** How a try comes to its box: its context is settled, and the box grants a slot with the model in memory. */
import { GatewayError } from '../errors.ts';
import { cordonedError, isWork } from '../exchange/cordoned.ts';
import { type Attempt, type Call, type Exchange, type Lease, onGone, type Upstream } from '../exchange.ts';
import type { AttemptTools } from './attempt-tools.ts';
import { type EnteredContext, goNatively, type OllamaOptions, type Settled } from './native.ts';
import { type QueueWaiter, tellNotQueued, tellQueued, waiterOf } from './queue-wait.ts';
import { ClientGone } from './send.ts';
import type { Candidate } from './target.ts';

/** A try that is about to enter. */
export interface Entrant {
  readonly attempt: Attempt;
  readonly call: Call | undefined;
  readonly candidate: Candidate;
  readonly options: OllamaOptions | undefined;
  /** Options of Ollama's may be in its body: the call has brought some, or a policy has edited it. */
  readonly mayAsk: boolean;
}

export interface Entered {
  readonly lease: Lease | undefined;
  readonly native: Settled['native'];
}

/**
 * At once where a slot is free and the model is in memory. Throws or rejects with GatewayError where the box does not take the
 * try, or its prompt cannot fit; with ClientGone where nobody waits any more. Whoever enters no box is only looked at.
 */
export function enterBox(entrant: Entrant, tools: AttemptTools): Entered | Promise<Entered> {
  const { attempt, candidate } = entrant;
  const { body, protocol, rewrites, outgoing } = attempt;
  const { path, query } = outgoing;
  const settled = settle(entrant, tools);
  const admitted = attempt.isBox ? admit(attempt.exchange, candidate, settled?.numCtx, tools) : undefined;
  if (admitted === undefined || (!(admitted instanceof Promise) && admitted.loadMs === 0)) {
    return { lease: admitted, native: settled?.native };
  }
  const enter = (lease: Lease): Entered => {
    const { loaded, loadMs } = lease;
    if (loaded === undefined && loadMs === 0) return { lease, native: settled?.native };
    // While it waited the model may have been loaded with another context: what was settled before would load it anew.
    if (settled?.native !== undefined) {
      Object.assign(attempt, { body, protocol, rewrites, replacedBody: undefined });
      Object.assign(outgoing, { path, query });
    }
    return { lease, native: settleAgain(entrant, lease, settled, tools)?.native };
  };
  return admitted instanceof Promise ? admitted.then(enter) : enter(admitted);
}

/** The slot is free again where this throws. */
function settleAgain(entrant: Entrant, lease: Lease, before: Settled | undefined, tools: AttemptTools): Settled | undefined {
  const { loaded } = lease;
  const least = Math.max(loaded?.numCtx ?? 0, before?.numCtx ?? 0);
  try {
    return settle(entrant, tools, loaded && { numCtx: least === 0 ? undefined : least });
  } catch (thrown) {
    lease.end({ how: 'abandoned' });
    throw thrown;
  }
}

/** The context of a try for a box, and the words it is put in. Throws where its prompt cannot fit. */
function settle(
  { attempt, call, candidate, mayAsk, options }: Entrant,
  tools: AttemptTools,
  entered?: EnteredContext,
): Settled | undefined {
  if (call === undefined) return undefined;
  const { target, model } = candidate;
  const settled = options?.settle(attempt, call, candidate, mayAsk, entered);
  if (settled?.native !== undefined) goNatively(attempt, settled.native, target);
  if (attempt.isBox && model !== undefined) tools.judgePrompt(attempt, call, { model, numCtx: settled?.numCtx });
  return settled;
}

/** A slot of the box, and the model in its memory. Only for what was understood: nothing is known of other requests. */
function admit(
  exchange: Exchange,
  { target: { upstream }, model, prediction: predicted }: Candidate,
  numCtx: number | undefined,
  tools: AttemptTools,
): Lease | Promise<Lease> | undefined {
  const { work } = exchange;
  // With work the box itself says so, in its turn.
  if (work === undefined && isWork(exchange.protocol) && tools.fleet.isCordoned(upstream)) throw cordonedError(upstream.name);
  if (work === undefined || model === undefined) return undefined;
  const startedMs = exchange.clock.now();
  const waiter = waiterOf(exchange);
  try {
    const lease = tools.fleet.admit(upstream, { model, numCtx, work, predicted }, waiter);
    if (!(lease instanceof Promise)) return lease;
    return unlessGone(exchange, lease).then(
      (granted) => settleWait(exchange, upstream, waiter, granted),
      (thrown) => notAdmitted(exchange, upstream, { waiter, startedMs }, thrown, tools),
    );
  } catch (thrown) {
    return notAdmitted(exchange, upstream, { waiter, startedMs }, thrown, tools);
  }
}

/** Throws it on. */
function notAdmitted(
  exchange: Exchange,
  upstream: Upstream,
  { waiter, startedMs }: { readonly waiter: QueueWaiter; readonly startedMs: number },
  thrown: unknown,
  tools: AttemptTools,
): never {
  tellNotQueued(exchange, upstream, waiter, thrown);
  // Whoever has left waited there to the end: the log names the box.
  if (!(thrown instanceof ClientGone)) exchange.wait = undefined;
  if (thrown instanceof GatewayError && !ofQueue.has(thrown.code)) {
    const answeredMs = exchange.clock.now();
    exchange.attempts.push({ upstream, isOllama: true, startedMs, answeredMs, status: undefined, error: thrown });
    tools.fleet.noteFailure(upstream, thrown);
  }
  throw thrown;
}

/** The box was not asked anything yet: it is no try. */
const ofQueue: ReadonlySet<string> = new Set(['queue_full', 'queue_timeout', 'box_cordoned', 'request_timeout']);

/** What a client waits for never comes once it has left; its exchange ends all the same. */
function unlessGone(exchange: Exchange, lease: Promise<Lease>): Promise<Lease> {
  return new Promise((resolve, reject) => {
    let hasLeft = false;
    onGone(exchange, () => {
      hasLeft = true;
      reject(new ClientGone());
    });
    lease.then((granted) => {
      if (hasLeft) granted.end();
      else resolve(granted);
    }, reject);
  });
}

/** A load has a limit of its own: the request's is moved by what it took. */
function settleWait(exchange: Exchange, upstream: Upstream, waiter: QueueWaiter, lease: Lease): Lease {
  exchange.wait = undefined;
  tellQueued(exchange, upstream, waiter, lease.queuedMs);
  if (exchange.deadlineMs !== undefined) exchange.deadlineMs += lease.loadMs;
  return lease;
}
