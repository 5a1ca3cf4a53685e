/** Calls at a box as placement counts them: where a relay or an owner grants its slots, with those of others, as far as that has told. */
import type { Box } from '../box.ts';
import type { BoxView } from './predict.ts';

type Calls = Pick<BoxView, 'busy' | 'waiting' | 'slots' | 'othersBusy' | 'crowd'>;

/** `own`: as this process counts them. Nothing waits here then, so that whatever is too much for the slots waits there. */
export function withOthers(box: Box, model: string, own: Calls, nowMs: number): Calls {
  if (!box.isOwnedElsewhere) return own;
  const others = box.others.of(box.runnerKeyOf(model), nowMs);
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
export function isWantedByOthers(box: Box, model: string, nowMs: number): boolean {
  return box.isOwnedElsewhere && (box.others.of(box.runnerKeyOf(model), nowMs)?.calls ?? 0) > 0;
}
