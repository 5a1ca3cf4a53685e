/**
 * Phone numbers as agentgateway finds them (phone_recognizer.rs): whatever looks like one and is one somewhere, by the numbering
 * plans of seven countries and, where it begins with `+`, of all others. For the seven the full plans are needed: by the short
 * ones an IP address and a round million are German numbers. Nothing but a number begins with `+` and a calling code, so
 * for the others their short plans do, which are a fifth as long.
 */
import { type MetadataJson, parsePhoneNumberFromString } from 'libphonenumber-js/core';
import { phonePlansJson } from './phone-plans.ts';
import type { Range } from './rule.ts';

/** US stands for CA as well: they share a plan. */
const countries = ['US', 'GB', 'DE', 'IL', 'IN', 'BR'] as const;

const candidate = /(?<![0-9])[+()]?[0-9][0-9\s().-]{6,30}/g;

/**
 * For RE2, what a stream waits for: the whole run of digits and what stands between them. Where one candidate ends decides where
 * the next begins, so a run is judged as one.
 */
export const phoneProgramPattern = '[+()]?[0-9][0-9\\s\\x0b\\x{feff}\\p{Z}().\\-]*';

/** Looking one up costs some 50 µs. A text with more that look like one is a table of numbers, or meant to cost time. */
const maxLookups = 2_000;

export function findPhoneNumbers(text: string, from: number): Range[] {
  const ranges: Range[] = [];
  let left = maxLookups;
  candidate.lastIndex = from;
  for (let match = candidate.exec(text); match !== null; match = candidate.exec(text)) {
    const [found] = match;
    const length = numberIn(found, left-- > 0);
    if (length === 0) continue;
    ranges.push({ from: match.index, to: match.index + length });
    // What was taken for more of it may be the next one.
    candidate.lastIndex = match.index + length;
  }
  return ranges;
}

/** The length of the number with which the text begins; 0 when there is none. A date or a count may follow it. */
function numberIn(text: string, isLookedUp: boolean): number {
  const whole = text.replace(/[\s().-]+$/, '');
  if (!isLookedUp) return mayBeNumber(whole) ? whole.length : 0;
  if (isNumber(whole)) return whole.length;
  const shorter = whole.replace(/\s+\S*$/, '').replace(/[\s().-]+$/, '');
  return shorter.length < whole.length && isNumber(shorter) ? shorter.length : 0;
}

function mayBeNumber(text: string): boolean {
  const digits = text.replace(/[^0-9]/g, '').length;
  return digits >= 7 && digits <= 15;
}

let plans: MetadataJson | undefined;

function isNumber(text: string): boolean {
  if (!mayBeNumber(text)) return false;
  // Read at first use: most configurations look for no numbers.
  plans ??= JSON.parse(phonePlansJson) as MetadataJson;
  const metadata = plans;
  const known = text.startsWith('+') ? countries.slice(0, 1) : countries;
  return known.some((country) =>
    parsePhoneNumberFromString(text, { defaultCountry: country, extract: false }, metadata)?.isValid(),
  );
}
