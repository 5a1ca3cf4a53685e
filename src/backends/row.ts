/** Whose turn it is: candidates that were not asked yet, and then, as far as a `retry` policy goes, those that were. */
import { addWarning, type Exchange } from '../exchange.ts';
import type { Candidate } from './target.ts';

/** What a try that came to nothing allows. */
export interface Verdict {
  /** Another candidate may serve what this one could not. */
  readonly mayMoveOn: boolean;
  /** The `retry` policy wants another try, at whomever. */
  readonly isRetried: boolean;
}

export interface Turn {
  readonly candidate: Candidate;
  /** 0 for the first try. */
  readonly number: number;
  /** It has been asked before: the policy's pause comes first. */
  readonly isRepeated: boolean;
}

export interface Row {
  first(): Turn | undefined;
  /** Undefined: what the last try came to is what the client gets. */
  next(verdict: Verdict): Turn | undefined;
  /** Whether somebody is left who has not been asked. */
  hasOther(): boolean;
  /** From now on also those whose lists lack the model. */
  widen(): void;
}

/** However many boxes and retries are configured. */
const maxTries = 32;

export function createRow(candidates: readonly Candidate[], exchange: Exchange): Row {
  const { retry, clock } = exchange;
  const tried = new Map<Candidate, number>();
  let row = candidates.filter((candidate) => !candidate.isLastResort);
  let count = 0;

  const take = (candidate: Candidate | undefined): Turn | undefined => {
    if (candidate === undefined) return undefined;
    const before = tried.get(candidate) ?? 0;
    tried.set(candidate, before + 1);
    return { candidate, number: count++, isRepeated: before > 0 };
  };
  const untried = () => row.find((candidate) => !tried.has(candidate));
  /** Chosen anew: the last answer may have evicted somebody. */
  const again = (): Candidate | undefined => {
    const nowMs = clock.now();
    const cost = (candidate: Candidate) =>
      (candidate.target.health?.isEvicted(nowMs) === true ? maxTries : 0) + (tried.get(candidate) ?? 0);
    return row.reduce<Candidate | undefined>(
      (best, candidate) => (best === undefined || cost(candidate) < cost(best) ? candidate : best),
      undefined,
    );
  };
  return {
    first() {
      retry?.budget?.deposit(clock.now());
      return take(untried());
    },
    next({ mayMoveOn, isRetried }) {
      if (count >= maxTries) return undefined;
      const fresh = mayMoveOn ? untried() : undefined;
      if (fresh !== undefined) return take(fresh);
      if (!isRetried || retry === undefined || count >= retry.attempts) return undefined;
      if (retry.budget?.withdraw(clock.now()) !== false) return take(again());
      exchange.telemetry.retryRefused?.();
      addWarning(exchange, 'not tried again: too many requests are being retried at once');
      return undefined;
    },
    hasOther: () => count < maxTries && untried() !== undefined,
    widen() {
      row = [...candidates];
    },
  };
}
