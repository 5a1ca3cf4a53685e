/** Calls that are put to a box in Ollama's own words, because they ask for what its other protocols have no place for. */
import type { AnswerRewrite, Attempt, Call, Protocol } from '../exchange.ts';
import { canonicalModel } from '../fields/model-name.ts';
import type { Candidate, Target } from './target.ts';

/** A call in Ollama's own words. */
export interface Native {
  readonly protocol: Protocol;
  readonly bytes: Uint8Array;
  /** Brings the answer back into the client's protocol. */
  readonly rewrite: AnswerRewrite;
}

/** What a call asks of Ollama beyond its own protocol. For boxes only. */
export interface OllamaOptions {
  /**
   * Before policies edit a try: what came in headers stands in the body then, what the client may not ask for is gone. Returns
   * whether there was anything. Throws GatewayError.
   */
  lift(attempt: Attempt, call: Call): boolean;
  /**
   * After them: the context that the call is to have. `mayAsk`: there was something, or a policy has edited the body. Undefined, as nearly always: nothing is asked. Once more, with `entered`, when it has
   * waited: then only what is in memory counts, and not what others ask for and wait for. Throws GatewayError.
   */
  settle(attempt: Attempt, call: Call, candidate: Candidate, mayAsk: boolean, entered?: EnteredContext): Settled | undefined;
}

/** What is known of the context when a call has waited for its box. */
export interface EnteredContext {
  /** At least so many tokens are in memory now; undefined: the box's own, or nobody knows. */
  readonly numCtx: number | undefined;
}

export interface Settled {
  /** Tokens; undefined leaves it to the box. */
  readonly numCtx: number | undefined;
  /** Undefined: the call stays as it is. */
  readonly native: Native | undefined;
}

/** Makes the try one in Ollama's own protocol. */
export function goNatively(attempt: Attempt, { protocol, bytes, rewrite }: Native, { pathFor }: Target): void {
  const { exchange, outgoing } = attempt;
  const { path, query } = pathFor({
    protocol,
    clientPath: exchange.path,
    matchedPrefix: exchange.matchedPrefix,
    query: exchange.query,
    isBox: true,
    isTranslated: true,
  });
  outgoing.path = path;
  outgoing.query = query;
  attempt.body = undefined;
  attempt.replacedBody = bytes;
  attempt.protocol = protocol;
  // The answer is translated before anything else looks at it.
  attempt.rewrites = [rewrite, ...(attempt.rewrites ?? [])];
}

interface Readable {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** A box's refusal in the client's words. What Corral reads of it stays as the box wrote it. */
export async function refusalFor<Refused extends Readable>(refusal: Refused, { rewrite }: Native): Promise<Refused> {
  const { text, contentType = 'application/json' } = await rewrite.whole(refusal.text, refusal.status);
  const headers = new Headers(refusal.headers);
  headers.set('content-type', contentType);
  return { ...refusal, headers, bytes: new TextEncoder().encode(text) };
}

/**
 * The context that the configuration pins for a model: for loads that no client asks for. `targets`: of the plan, or of one box of
 * it; of several that would serve the model the largest holds. `model`: as the box calls it.
 */
export function pinnedNumCtxFor(targets: readonly Target[], model: string): number | undefined {
  const name = canonicalModel(model);
  const asksFor = (asked: string | undefined) => asked !== undefined && canonicalModel(asked) === name;
  const pins = targets.flatMap(({ pinnedNumCtx, modelFor, declares, takes }) => {
    if (pinnedNumCtx === undefined || !asksFor(modelFor(model, true))) return [];
    return asksFor(declares) || takes === undefined || takes(model) ? [pinnedNumCtx] : [];
  });
  return pins.length === 0 ? undefined : Math.max(...pins);
}
