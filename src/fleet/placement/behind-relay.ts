/** Calls at a box as placement counts them: behind a relay with those that others send there, as far as it has told. */
import type { Box } from '../box.ts';
import type { BoxView } from './predict.ts';

type Calls = Pick<BoxView, 'busy' | 'waiting' | 'slots' | 'othersBusy' | 'crowd'>;

/** `own`: as this process counts them. Behind a relay nothing waits here, so that whatever is too much for its slots waits there. */
export function withOthers(box: Box, model: string, own: Calls): Calls {
  if (!box.leg.isRelay) return own;
  const others = box.leg.othersAt(box.runnerKeyOf(model));
  if (others === undefined) return own;
  const { calls, elsewhere } = others;
  const all = own.busy + calls;
  const slots = others.slots ?? own.slots;
  const busy = Math.min(all, Math.max(1, slots));
  const { reading, saying, sayingOthers } = own.crowd;
  return {
    busy,
    waiting: own.waiting + all - busy,
    slots,
    othersBusy: own.othersBusy + elsewhere,
    // What they are at is not told: answers take longer than prompts.
    crowd: {
      reading,
      saying: saying + Math.min(calls, Math.max(0, busy - own.busy)),
      sayingOthers: sayingOthers + elsewhere,
    },
  };
}

/** Whether others have calls to this model there. */
export function isWantedByOthers(box: Box, model: string): boolean {
  return box.leg.isRelay && (box.leg.othersAt(box.runnerKeyOf(model))?.calls ?? 0) > 0;
}
