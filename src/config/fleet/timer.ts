/** Durations of `fleet` that become timers. */
import { durationField } from '../../fields/duration.ts';

/** Durations that become timers: not so short that Corral does nothing else, not longer than the runtimes' timers (24 days). */
export function timerField(leastMs: number, least: string) {
  return durationField
    .refine((ms) => ms >= leastMs, `expected at least ${least}`)
    .refine((ms) => ms <= 24 * 86_400_000, 'expected 24 days at most');
}
