import type { StreamEnd, Tap } from '../platform.ts';
import { brokeOff, noBytes, stoppedShort, type TapListeners, type TapReport } from './report.ts';

export interface PlainTapOptions extends TapListeners {
  /** Content-Length, where it is known: an answer that is shorter or longer is broken. */
  readonly expectedBytes?: number | undefined;
  /** Asked at a clean end: whether what came looks like all of it. */
  readonly isWhole?: () => boolean;
}

/** Counts bytes. A broken answer has no place for an error in it: the client's connection is cut. */
export function createPlainTap(options: PlainTapOptions): Tap {
  let bytes = 0;
  let isOver = false;
  const finish = (report: Pick<TapReport, 'how' | 'failure' | 'cause'>): StreamEnd => {
    if (!isOver) options.onEnd({ ...report, bytes, events: 0 });
    isOver = true;
    return { bytes: noBytes, complete: report.how === 'completed' };
  };
  return {
    push(chunk) {
      if (chunk.length === 0) return chunk;
      if (bytes === 0) options.onFirstByte();
      options.onBytes?.();
      bytes += chunk.length;
      return chunk;
    },
    end() {
      const hasLength = options.expectedBytes === undefined || options.expectedBytes === bytes;
      if (hasLength && (options.isWhole === undefined || options.isWhole())) return finish({ how: 'completed' });
      return finish({ how: 'broken', failure: stoppedShort(options.server) });
    },
    fail: (cause) => finish({ how: 'broken', failure: brokeOff(options.server), cause }),
    gone() {
      finish({ how: 'abandoned' });
    },
  };
}
