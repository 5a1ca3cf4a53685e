import type { StreamEnd, Tap } from '../../../src/platform.ts';

export const encoder = new TextEncoder();
export const decoder = new TextDecoder();

export interface RecordingTap extends Tap {
  /** `push hello`, `end`, `fail upstream_closed`, `gone`, in their order. */
  readonly calls: string[];
}

export interface TapScript {
  /** What goes on of a chunk; all of it unless a test says otherwise. */
  readonly passes?: (text: string) => string;
  readonly end?: StreamEnd;
  readonly fail?: StreamEnd;
}

export const nothingMore: StreamEnd = { bytes: new Uint8Array(0), complete: true };

/** A tap that writes down how it was driven. */
export function recordingTap({ passes = (text) => text, end = nothingMore, fail }: TapScript = {}): RecordingTap {
  const calls: string[] = [];
  return {
    calls,
    push(chunk) {
      const text = decoder.decode(chunk);
      calls.push(`push ${text.length > 40 ? text.length : text}`);
      return encoder.encode(passes(text));
    },
    end() {
      calls.push('end');
      return end;
    },
    fail(cause) {
      calls.push(`fail ${String((cause as { code?: unknown }).code)}`);
      return fail ?? { bytes: encoder.encode('broken'), complete: false };
    },
    gone() {
      calls.push('gone');
    },
  };
}
