/** The decoded body of an inference request, and how it is put to an upstream of another protocol. */
import type { GatewayError } from '../errors.ts';
import type { ObjectText } from '../json/object-text.ts';
import type { Protocol } from './protocol.ts';
import type { AnswerRewrite } from './rewrite.ts';

/** The decoded body of an inference request. */
export interface Call {
  readonly protocol: Protocol;
  /** The JSON body; undefined for multipart, whose bytes pass as they came. */
  readonly body: ObjectText | undefined;
  /** The request body's bytes as received, inflated. */
  readonly bytes: Uint8Array;
  /** As the client wrote it; undefined when it named none. */
  readonly model: string | undefined;
  /** The answer will be a stream of events. */
  readonly isStream: boolean;
  /** Whether the client itself asked for usage in the stream (OpenAI's `stream_options.include_usage`). */
  readonly wantsUsage: boolean;
  /** What the protocol changes on the way to a box because Ollama would drop it silently. Member name → value, undefined deletes. */
  readonly boxChanges: ReadonlyMap<string, unknown>;
  /** The same as exact JSON, for members that are changed within. */
  readonly boxTexts?: ReadonlyMap<string, string> | undefined;
  /** What the client should know when the call goes to a box: for `Exchange.warnings`. */
  readonly boxWarnings?: readonly string[];
  /** For forms: the bytes with another model named in them. */
  readonly bytesFor?: (model: string) => Uint8Array;
  /** Thrown instead of sending the call to a box: Ollama would answer as if all were well. Other hosts may serve it. */
  readonly boxRefusal?: GatewayError | undefined;
}

/** How a call is put to an upstream that cannot speak the client's protocol. Made once per pair of protocols; keeps nothing. */
export interface Translation {
  /** The protocol spoken to the upstream. */
  readonly upstream: Protocol;
  /** The body for the upstream. Throws GatewayError unsupported_parameter for what it has no words for. */
  request(bytes: Uint8Array): { readonly bytes: Uint8Array; readonly warnings: readonly string[] };
  /** Brings one answer, whole or streamed, error or not, back into the client's protocol. */
  rewriteFor(call: Call): AnswerRewrite;
}
