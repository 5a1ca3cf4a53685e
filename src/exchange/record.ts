/** What is written down of a request: for the log, the metrics and the traces. */
import type { GatewayError } from '../errors.ts';
import type { Upstream } from './upstream.ts';

export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Of the input, what came from the server's prompt cache, and what was written into it; where the server tells. */
  readonly cachedInputTokens?: number | undefined;
  readonly cacheCreationInputTokens?: number | undefined;
  /** Of the output, what was thought and not said; where the server tells. */
  readonly reasoningTokens?: number | undefined;
  /** True when Corral counted content events because the box never told. */
  readonly estimated: boolean;
}

/** How an exchange ended, for the log and the metrics. */
export type Outcome = 'completed' | 'failed' | 'broken' | 'abandoned' | 'refused';

export interface AttemptRecord {
  readonly upstream: Upstream;
  /** False where one that was taken for a box is a server of another kind, as its answers have shown. */
  readonly isOllama?: boolean;
  readonly startedMs: number;
  /** When its headers were there, or it had failed. */
  answeredMs?: number | undefined;
  status: number | undefined;
  error: GatewayError | undefined;
  /** From when its box was chosen: what was predicted until the first token, and how long a slot and a load were waited for. */
  readonly predictedMs?: number | undefined;
  readonly waitedMs?: number | undefined;
}

/** W3C trace context of an exchange. */
export interface Trace {
  /** 32 and 16 lower-case hexadecimal digits. */
  readonly traceId: string;
  readonly spanId: string;
  readonly isSampled: boolean;
  /** What the next server is told: `traceparent`, and `tracestate` where one came. */
  headersOut(): Readonly<Record<string, string>>;
}
