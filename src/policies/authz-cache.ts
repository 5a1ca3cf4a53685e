/** Decisions of an authorization server, remembered by a key that the configuration makes. Bounded; the oldest goes first. */
import { type CelExpression, CelFailure } from '../cel/expression.ts';
import { plainOf } from '../cel/values.ts';
import type { Exchange } from '../exchange.ts';
import type { Clock } from '../platform.ts';

/** What the server said. Made once, used for many requests: nobody changes it. */
export type Decision =
  | {
      readonly kind: 'allowed';
      /** Headers for the upstream; undefined: the client's of that name is taken away. */
      readonly headers: readonly (readonly [name: string, value: string | undefined])[];
      readonly metadata: Readonly<Record<string, unknown>> | undefined;
    }
  | { readonly kind: 'denied'; readonly status: number; readonly headers: Headers; readonly bytes: Uint8Array };

export interface CacheOptions {
  readonly key: readonly CelExpression[];
  readonly ttl: { readonly ms: number } | CelExpression;
  readonly maxEntries: number;
}

export interface DecisionCache {
  /** Undefined: this request's decision is not remembered. */
  keyOf(exchange: Exchange): string | undefined;
  find(key: string): Decision | undefined;
  /** `exchange` is the one that was decided, with what the server said applied to it. */
  remember(key: string, decision: Decision, exchange: Exchange): void;
  readonly size: number;
}

const maxKeyLength = 4_096;
const maxDeniedBytes = 64 * 1024;
/** A day. Longer times are cut to it: somebody who lost a right must lose it some day. */
const maxTtlMs = 86_400_000;

export function createDecisionCache({ key: parts, ttl, maxEntries }: CacheOptions, clock: Clock): DecisionCache {
  const entries = new Map<string, { readonly decision: Decision; readonly untilMs: number }>();
  return {
    keyOf: (exchange) => (parts.length === 0 ? undefined : keyTextOf(parts, exchange)),
    find(key) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      if (entry.untilMs > clock.now()) return entry.decision;
      entries.delete(key);
      return undefined;
    },
    remember(key, decision, exchange) {
      if (decision.kind === 'denied' && !isLasting(decision)) return;
      const ttlMs = 'ms' in ttl ? ttl.ms : ttlMsOf(ttl, exchange, clock);
      if (ttlMs === undefined || ttlMs <= 0) return;
      entries.delete(key);
      const [oldest] = entries.keys();
      if (entries.size >= maxEntries && oldest !== undefined) entries.delete(oldest);
      entries.set(key, { decision, untilMs: clock.now() + Math.min(ttlMs, maxTtlMs) });
    },
    get size() {
      return entries.size;
    },
  };
}

/** As agentgateway: other statuses may be a passing fault. */
function isLasting({ status, bytes }: Decision & { kind: 'denied' }): boolean {
  return (status === 401 || status === 403) && bytes.length <= maxDeniedBytes;
}

/** Values with their types, so that 1 and "1" are two keys. Lists and maps make no key, nor does what cannot be evaluated. */
function keyTextOf(parts: readonly CelExpression[], exchange: Exchange): string | undefined {
  const values: unknown[] = [];
  for (const part of parts) {
    const value = evaluated(part, exchange);
    if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array)) return undefined;
    if (value === undefined) return undefined;
    values.push(typeof value, value instanceof Uint8Array ? plainOf(value) : String(value));
  }
  const text = JSON.stringify(values);
  return text.length <= maxKeyLength ? text : undefined;
}

/** CEL's duration, or the moment when the decision ends: a timestamp, or seconds since the epoch as tokens have them. */
function ttlMsOf(ttl: CelExpression, exchange: Exchange, clock: Clock): number | undefined {
  const value = evaluated(ttl, exchange);
  if (value instanceof Date) return value.getTime() - clock.wallTime();
  if (typeof value === 'bigint' || typeof value === 'number') return Number(value) * 1000 - clock.wallTime();
  if (typeof value !== 'object' || value === null || !('seconds' in value) || !('nanos' in value)) return undefined;
  return Number(value.seconds) * 1000 + Number(value.nanos) / 1e6;
}

/** Undefined when it cannot be evaluated. */
function evaluated(expression: CelExpression, exchange: Exchange): unknown {
  try {
    return expression.evaluate(exchange);
  } catch (thrown) {
    if (thrown instanceof CelFailure) return undefined;
    throw thrown;
  }
}
