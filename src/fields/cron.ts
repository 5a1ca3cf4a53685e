/** Times of the week as cron expressions: each stands for the minutes that it matches. */

import { onDemand } from './on-demand.ts';
import { FieldError } from './text-field.ts';

/** Exported for tests. */
export const croner = onDemand(() => import('./cron-pattern.ts'));

/** Milliseconds since the epoch → whether this minute is one of them. */
export type MinuteTest = (wallMs: number) => boolean;

/** Five fields, such as `* 8-17 * * 1-5`, in an IANA time zone. Throws FieldError, and NotLoaded (on-demand.ts). */
export function minutesOf(expression: string, timezone: string): MinuteTest {
  const { Cron } = croner();
  checkTimezone(timezone);
  try {
    const cron = new Cron(expression, { timezone, mode: '5-part' });
    // It matches whole seconds; of a minute its first one stands for all.
    return (wallMs) => cron.match(new Date(Math.floor(wallMs / 60_000) * 60_000));
  } catch {
    throw new FieldError(
      'expected a cron expression of five fields (minute, hour, day, month, weekday), such as "* 8-17 * * 1-5"',
    );
  }
}

/** Throws FieldError. */
export function checkTimezone(timezone: string): void {
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone });
  } catch {
    throw new FieldError('expected the name of a time zone, such as "Europe/Berlin"');
  }
}
