/** What is wrong with a box and what to do about it, in words. */
import { GatewayError } from '../../errors.ts';

export interface Advice {
  /** What is wrong, one sentence. */
  readonly why: string;
  /** What to do, one sentence or two. */
  readonly mend: string;
}

/** Advice as one message for a client. */
export function wordsOf({ why, mend }: Advice): string {
  return mend === '' ? why : `${why} ${mend}`;
}

/** What keeps a box from serving, found out with the mend. */
export class AdvisedTrouble extends GatewayError {
  readonly advice: Advice;

  constructor(advice: Advice) {
    super('upstream_unavailable', wordsOf(advice));
    this.advice = advice;
  }
}
