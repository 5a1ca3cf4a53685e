/**
 * What came of the last loads, for a few seconds. A load that has just failed is not tried again by everybody who asks, and
 * one that has just ended well need not be seen by a probe first.
 */
import type { ErrorCode, GatewayError } from '../../errors.ts';

export interface LoadTries {
  /** `error`: undefined where the model is in memory, or is none that could be loaded. */
  note(key: string, error: GatewayError | undefined, nowMs: number): void;
  /** Another load begins: it may push out what has been loaded. */
  forgetLoaded(): void;
  /** Undefined: no load has ended lately. */
  of(key: string, nowMs: number): { readonly error: GatewayError | undefined } | undefined;
}

interface Try {
  readonly error: GatewayError | undefined;
  readonly untilMs: number;
}

const maxTries = 256;
const lastsMs = 5_000;
/** Nobody was there: asking again costs nothing, and the box may be back. */
const notKept: ReadonlySet<ErrorCode> = new Set(['upstream_refused', 'upstream_unresolved', 'upstream_tls']);

export function loadTries(): LoadTries {
  const tries = new Map<string, Try>();
  return {
    note(key, error, nowMs) {
      tries.delete(key);
      if (error !== undefined && notKept.has(error.code)) return;
      // In the order in which they end to count: the first are the oldest.
      for (const [old, { untilMs }] of tries) {
        if (untilMs > nowMs && tries.size < maxTries) break;
        tries.delete(old);
      }
      tries.set(key, { error, untilMs: nowMs + lastsMs });
    },
    forgetLoaded() {
      for (const [key, { error }] of tries) if (error === undefined) tries.delete(key);
    },
    of(key, nowMs) {
      const found = tries.get(key);
      return found !== undefined && found.untilMs > nowMs ? found : undefined;
    },
  };
}
