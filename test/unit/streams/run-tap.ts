import type { StreamShape } from '../../../src/exchange.ts';
import type { StreamEnd } from '../../../src/platform.ts';
import { createEventTap, type TapReport } from '../../../src/streams/tap.ts';

export interface Run {
  /** What the client got, in all. */
  readonly text: string;
  readonly end: StreamEnd | undefined;
  readonly report: TapReport;
}

export const sseError = 'event: error\ndata: {"error":{"message":"broken"}}\n\n';
export const ndjsonError = '{"error":"broken"}\n';

/** Drives a tap over the chunks as a platform does, reusing each chunk's memory afterwards. */
export function runTap(
  shape: StreamShape,
  chunks: readonly Uint8Array[],
  options: { removeUsageOnly?: boolean; close?: 'end' | 'fail' | 'gone' } = {},
): Run {
  const reports: TapReport[] = [];
  const tap = createEventTap({
    shape,
    removeUsageOnly: options.removeUsageOnly ?? false,
    errorEvent: () => (shape.framing === 'sse' ? sseError : ndjsonError),
    onFirstByte() {},
    onEnd: (report) => reports.push(report),
  });
  const parts: Uint8Array[] = [];
  for (const chunk of chunks) {
    const own = chunk.slice();
    parts.push(tap.push(own).slice());
    own.fill(0x78); // The runtime takes its memory back.
  }
  const close = options.close ?? 'end';
  const end = close === 'end' ? tap.end() : close === 'fail' ? tap.fail(new Error('reset')) : tap.gone();
  if (end) parts.push(end.bytes);
  const [report] = reports;
  if (report === undefined || reports.length !== 1) throw new Error(`told ${reports.length} times`);
  return { text: textOf(parts), end: end ?? undefined, report };
}

/** The parts put together and decoded. */
function textOf(parts: readonly Uint8Array[]): string {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(whole);
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The bytes cut at these places. */
export function cutAt(bytes: Uint8Array, places: readonly number[]): Uint8Array[] {
  const sorted = [0, ...[...places].sort((a, b) => a - b), bytes.length];
  return sorted.slice(1).map((to, index) => bytes.subarray(sorted[index], to));
}
