/** What the gateway must know of a wire protocol. */
import type { GatewayError } from '../errors.ts';
import type { ObjectText } from '../json/object-text.ts';
import type { StreamSeen, StreamShape, TokenCounts } from '../streams/shape.ts';
import type { ProtocolTexts } from './texts.ts';
import type { Wait } from './work.ts';

/** One wire protocol: what the gateway must know of it. Bodies pass through as they came; nothing is whitelisted. */
export interface Protocol {
  /** Its name in logs and in `ai.routes` where agentgateway has one. */
  readonly name: string;
  readonly family: 'openai' | 'anthropic' | 'ollama';
  /**
   * inference: runs a model; retried and failed over. list, show: answered with what Corral knows of all boxes.
   * probe: version and liveness. management: needs the admin scope. estimate: answered by the box or estimated here.
   */
  readonly kind: 'inference' | 'list' | 'show' | 'probe' | 'management' | 'estimate';
  readonly methods: readonly string[];
  /** The exact path on a box; a `:id` segment at the end stands for a model's name and may contain slashes. */
  readonly path: string;
  /** `gen_ai.operation.name`. */
  readonly operation: 'chat' | 'text_completion' | 'embeddings' | 'transcription' | 'none';
  readonly body: 'json' | 'multipart' | 'none';
  /** What `stream` means when the request does not say. */
  readonly streamsByDefault: boolean;
  /** Undefined for protocols that never stream. */
  readonly stream: StreamShape | undefined;
  /** Token counts of a whole JSON answer. Never throws. */
  usageOf(answer: unknown): TokenCounts | undefined;
  /** Reads one request: refuses (GatewayError) what cannot be served, and says what must change on the way to a box. */
  readCall(body: ObjectText, allowed?: CallAllowances): CallReading;
  /** The error as this protocol's clients expect it. */
  errorBody(error: GatewayError, exchangeId: string): { contentType: string; text: string };
  /** The error as the last event of a stream that has begun; complete frames, `\n` ended. */
  errorInStream(error: GatewayError, exchangeId: string, seen?: StreamSeen): string;
  /** Complete frames that its clients pass over, for a stream that is silent. Undefined: there are none, or it has no streams. */
  heartbeat?(beat: Heartbeat): string;
  /** Where its bodies hold texts that people and models wrote. Undefined: nothing in them is guarded. */
  readonly texts?: ProtocolTexts | undefined;
}

/** What a heartbeat may tell. */
export interface Heartbeat {
  /** Undefined: the box has been asked, and says nothing. */
  readonly wait: Wait | undefined;
  /** As the client named it. */
  readonly model: string;
  readonly wallTimeMs: number;
}

/** What the configuration lets calls do that is off unless said (design decision 15). */
export interface CallAllowances {
  /** Server-side `web_search` tools, which a box runs through ollama.com. */
  readonly webSearch?: boolean;
  /** Claude Code's line that is another one in every request stays in the prompt for boxes. */
  readonly billingLine?: boolean;
}

export interface CallReading {
  readonly isStream: boolean;
  readonly wantsUsage: boolean;
  readonly boxChanges: ReadonlyMap<string, unknown>;
  /** The same as exact JSON, for members that are changed within. */
  readonly boxTexts?: ReadonlyMap<string, string> | undefined;
  /** True only for boxes: other hosts may honour what Ollama drops. */
  readonly warnings: readonly string[];
  readonly boxRefusal?: GatewayError | undefined;
}
