/** The end of the process: traces that still wait are sent before it. */
import { within } from '../fleet/asking/ask.ts';
import type { Clock } from '../platform.ts';

export interface LastWords {
  /** Settles when what waits has been sent, or could not be. */
  readonly flush: () => Promise<void>;
  readonly clock: Clock;
  /** Ends the process. */
  readonly exit: (code: number) => void;
}

/** A collector that is gone must not hold a shutdown up. */
const patienceMs = 1_000;

/** To be called with the exit code; called again, it ends the process at once. */
export function createExit({ flush, clock, exit }: LastWords): (code: number) => void {
  let isEnding = false;
  return (code) => {
    if (isEnding) return exit(code);
    isEnding = true;
    void within(clock, patienceMs, flush()).then(() => exit(code));
  };
}
