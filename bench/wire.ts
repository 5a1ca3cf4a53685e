/** What mock and load generator agree on: model names that choose the mock's behaviour, and the mark in each stream chunk. */

/** Answered whole: about 1 KB with a Content-Length. */
export const plainModel = 'bench';

/** Answered as a stream of `chunks` written back to back, one write each. */
export function burstModel(chunks: number): string {
  return `bench-burst-${chunks}`;
}

/** Answered as a stream of `chunks`, `perSecond` of them each second, each carrying the time it was written. */
export function slowModel(chunks: number, perSecond: number): string {
  return `bench-slow-${chunks}-${perSecond}`;
}

export type Mode = { kind: 'plain' } | { kind: 'burst'; chunks: number } | { kind: 'slow'; chunks: number; perSecond: number };

/** How much of a request body the mock looks at. Gateways write `model` first, or close to it. */
export const peekBytes = 1024;

/** Reads the mode out of the first bytes of a request body. */
export function modeOf(bodyStart: string): Mode {
  const found = /bench-(burst|slow)-(\d+)(?:-(\d+))?/.exec(bodyStart);
  if (found === null) return { kind: 'plain' };
  const chunks = Number(found[2]);
  return found[1] === 'burst' ? { kind: 'burst', chunks } : { kind: 'slow', chunks, perSecond: Number(found[3] ?? 20) };
}

/**
 * One byte that stands once in every content chunk and nowhere else in an answer, so that chunks can be counted without
 * parsing. Sixteen digits follow: microseconds on the machine's monotonic clock, zeros where nobody looks.
 */
export const markByte = 0x40; // '@'
export const markDigits = 16;

/** Microseconds on a clock that all processes of this machine share. */
export function nowMicros(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/** Digits after the mark. */
export function stampOf(micros: number): string {
  return String(micros).padStart(markDigits, '0');
}
