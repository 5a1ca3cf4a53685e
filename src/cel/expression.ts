/**
 * CEL expressions of the configuration: parsed once, when the configuration is read, so that a mistake is an error with a
 * line; evaluated per request against what is known of the exchange.
 */
import type { AnswerSeen, Exchange } from '../exchange.ts';

/** What an expression reads that is not there by itself: whoever evaluates it has to bring it. */
export interface CelNeeds {
  /** `request.body`, `llmRequest` … : read `exchange.bodies` first. */
  readonly requestBody: boolean;
  /** `response.body` */
  readonly responseBody: boolean;
  /** `response.*`: only where there is an answer. */
  readonly response: boolean;
  /** `llm.*`: only once the call is understood. */
  readonly llm: boolean;
  /** `llm.prompt` */
  readonly prompt: boolean;
  /** `llm.completion` */
  readonly completion: boolean;
}

/** What an evaluation brings beside the exchange. */
export interface CelExtras {
  readonly answer?: AnswerSeen | undefined;
  /** `llmRequest`: the call's body as it came, instead of the one that is read off `exchange.call`. */
  readonly llmRequest?: unknown;
  /** `backend.*` of the try that is under way. */
  readonly backend?: { readonly name: string; readonly type: string; readonly protocol: string } | undefined;
}

export interface CelExpression {
  /** As written. */
  readonly source: string;
  readonly needs: CelNeeds;
  /** The variables that it reads, each with its first member where one is written down: `request.headers`, `jwt`. */
  readonly reads: ReadonlySet<string>;
  /** Throws CelFailure: a missing key, no such overload. */
  evaluate(exchange: Exchange, extras?: CelExtras): unknown;
  /** True only when it evaluates to `true`; what fails is false (agentgateway http/authorization.rs). */
  holds(exchange: Exchange, extras?: CelExtras): boolean;
  /** As text for headers, keys and log fields: text as it is, numbers and bools printed, the rest as JSON; undefined when it fails or is null. */
  textOf(exchange: Exchange, extras?: CelExtras): string | undefined;
}

/** An expression that could not be evaluated for this request. The message says why, without values. */
export class CelFailure extends Error {
  override readonly name = 'CelFailure';
}

/** It read something that is not there: a header, a claim, the body of a request that nobody has read. */
export class CelMissing extends CelFailure {}

/** A secret in a variable: printed as `<redacted>`, told by its method `unredacted()` only. */
export class Redacted {
  readonly #secret: string;

  constructor(secret: string) {
    this.#secret = secret;
  }

  reveal(): string {
    return this.#secret;
  }

  toString(): string {
    return '<redacted>';
  }
}
