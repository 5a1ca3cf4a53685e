/** What a try is made with, and what may come of it. */
import type { Ask, Attempt, Call, Fleet, Upstream } from '../exchange.ts';
import type { OllamaOptions } from './native.ts';
import type { Answered, SendTools } from './send.ts';
import type { Candidate } from './target.ts';

export interface AttemptTools extends SendTools {
  readonly instanceId: string;
  readonly fleet: Fleet & {
    /** A box said that it has not got this model after all. */
    noteMissing(upstream: Upstream, model: string): void;
  };
  /** What a box's refusal means for the call. */
  faultOf(status: number, text: string): BoxFault;
  /** Asked before a call leaves for a box: throws image_unsupported where the model reads no images, and context_exceeded where its prompt cannot fit. */
  judgePrompt(attempt: Attempt, call: Call, asked: Pick<Ask, 'model' | 'numCtx'>): void;
  /** Whether a box's answer means that the model is not there (Ollama's 404 texts). */
  isModelMissing(status: number, text: string): boolean;
  /** Asked when policies have edited a try: throws GatewayError where it has become what nobody would have let pass. */
  judgeEdited(attempt: Attempt, decided: Decided, isBox: boolean): void;
  /** `num_ctx`, `keep_alive`, `think` and `options` on every surface; left out, they pass as they came. */
  readonly ollamaOptions?: OllamaOptions;
}

/** What a box's refusal means for the call. */
export interface BoxFault {
  /** Another box may do better. */
  readonly mayMoveOn: boolean;
  /** It speaks of the box, and not of the request or of a moment's crowd. */
  readonly isOfBox: boolean;
  /** The model's runner seems to have died. */
  readonly isCrash?: boolean;
  /** In a few words, for the log. */
  readonly why: string;
}

/** What a try was to be before policies edited it. */
export interface Decided {
  readonly method: string;
  readonly path: string;
  readonly model: string | undefined;
}

/** What came of it: an answer whose body is still to be relayed, or a box's refusal that was read to be understood. */
export type AttemptsResult =
  | {
      readonly kind: 'answered';
      readonly candidate: Candidate;
      readonly attempt: Attempt;
      readonly answered: Answered;
    }
  /** A policy answered in the upstream's place. */
  | { readonly kind: 'instead'; readonly candidate: Candidate; readonly response: Response }
  | { readonly kind: 'refused'; readonly candidate: Candidate; readonly refusal: Refusal };

export interface Refusal {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
  readonly text: string;
}

/** What is sent: a call that was understood, bytes that can be sent again, or neither: then the request's body streams through, once. */
export interface Payload {
  readonly call: Call | undefined;
  readonly bytes: Uint8Array | undefined;
  /** The bytes have no content-encoding any more. */
  readonly isPlain: boolean;
}
