/** W3C Trace Context (w3.org/TR/trace-context): what a client says of the trace it is in, and what the next server is told. */
import type { Trace } from '../exchange.ts';

export interface TraceParent {
  /** 32 and 16 lower-case hexadecimal digits. */
  readonly traceId: string;
  readonly spanId: string;
  readonly isSampled: boolean;
}

const pattern = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Undefined for what is no valid `traceparent`: the request then is in no trace. */
export function traceParentOf(header: string | null): TraceParent | undefined {
  const [, version, traceId = '', spanId = '', flags = '', rest] = pattern.exec(header?.trim() ?? '') ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** `bytes` random bytes as hexadecimal digits, not all zero. */
export function randomId(bytes: 8 | 16): string {
  const values = crypto.getRandomValues(new Uint8Array(bytes));
  let text = '';
  for (const value of values) text += value.toString(16).padStart(2, '0');
  return /^0+$/.test(text) ? randomId(bytes) : text;
}

/** Longer ones are dropped, as the standard allows: it names 512 characters as what must be carried. */
const maxStateLength = 2_048;

/** A call that a policy made for the exchange. */
export interface SideCallNote {
  readonly kind: string;
  readonly endedMs: number;
  readonly seconds: number;
}

const maxSideCalls = 32;

/** The trace of one exchange that is sampled. */
export class ExchangeTrace implements Trace {
  readonly traceId: string;
  readonly spanId = randomId(8);
  readonly isSampled = true;
  /** The client's span; undefined where the trace begins here. */
  readonly parentSpanId: string | undefined;
  readonly state: string | undefined;
  readonly sideCalls: SideCallNote[] = [];
  readonly #attempts: readonly unknown[];
  readonly #clientSpanIds = new Map<number, string>();

  /** `attempts`: the exchange's own list; each try is told a span of its own. */
  constructor(attempts: readonly unknown[], parent: TraceParent | undefined, state: string | null) {
    this.traceId = parent?.traceId ?? randomId(16);
    this.parentSpanId = parent?.spanId;
    this.state = parent !== undefined && state !== null && state.length <= maxStateLength ? state : undefined;
    this.#attempts = attempts;
  }

  headersOut(): Readonly<Record<string, string>> {
    // The try that is being prepared is noted when it is sent: it will stand next in the list.
    const traceparent = `00-${this.traceId}-${this.clientSpanIdOf(this.#attempts.length)}-01`;
    return this.state === undefined ? { traceparent } : { traceparent, tracestate: this.state };
  }

  /** The span of one try. */
  clientSpanIdOf(attempt: number): string {
    const known = this.#clientSpanIds.get(attempt);
    if (known !== undefined) return known;
    const made = randomId(8);
    this.#clientSpanIds.set(attempt, made);
    return made;
  }

  noteSideCall(note: SideCallNote): void {
    if (this.sideCalls.length < maxSideCalls) this.sideCalls.push(note);
  }
}
