/**
 * A mark among the policies of a place: the file wants a policy there that Corral has not got. Whoever comes by is answered
 * 503, so that nothing is open that was meant to be locked. No YAML can write it: schemas know only policies.
 */
import type { PolicyOptions } from './policy-map.ts';

const mark = '\u0000refused';

export function markRefused(policies: PolicyOptions, what: string): void {
  policies[mark] = [...refusedIn(policies), what];
}

/** What is missing there, for messages; empty where nothing is. */
export function refusedIn(policies: PolicyOptions): readonly string[] {
  const marked = policies[mark];
  return Array.isArray(marked) ? (marked as readonly string[]) : [];
}
