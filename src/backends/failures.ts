/** When all have failed, the client gets the failure that tells it most, and not just the last one. */
import type { GatewayError } from '../errors.ts';
import type { AttemptsResult } from './attempt-tools.ts';

type Failure = Extract<AttemptsResult, { kind: 'refused' }> | GatewayError;

export interface Failures {
  add(failure: Failure): void;
  /** This was the last one: returns the refusal, or throws the error, that says most. Of equals, the latest. */
  lastOf(failure: Failure): AttemptsResult;
}

/**
 * That a box is full says that trying again helps; what a box said when it failed says what to mend there; that others are off, or
 * have not got the model, may be quite usual.
 */
const full = new Set(['queue_full', 'queue_timeout']);
const telling = new Set(['load_failed', 'context_exceeded', 'image_unsupported', 'box_cordoned']);

export function createFailures(): Failures {
  let best: Failure | undefined;
  const keep = (failure: Failure): Failure => {
    if (best === undefined || weightOf(failure) >= weightOf(best)) best = failure;
    return best;
  };
  return {
    add: keep,
    lastOf(failure) {
      const kept = keep(failure);
      if ('kind' in kept) return kept;
      throw kept;
    },
  };
}

function weightOf(failure: Failure): number {
  if (!('kind' in failure)) return full.has(failure.code) ? 3 : telling.has(failure.code) ? 2 : 1;
  const { status } = failure.refusal;
  return status === 503 ? 3 : status >= 500 ? 2 : 1;
}
