/**
 * How an upstream has fared lately, and whether it is left alone for that (agentgateway http/health.rs). The numbers outlive a
 * plan: they are kept in the state, and a new plan's rules go on with them.
 */
import { GatewayError } from '../errors.ts';
import type { AnswerSeen, Exchange, HealthRule } from '../exchange.ts';
import { retryAfterMsOf } from './retry-after.ts';

/** The numbers alone. `createHealthState` makes them; nothing but TargetHealth writes them. */
export interface HealthState {
  /** 0 to 1: the average of the last answers, 1 for each good one and 0 for each bad one. */
  health: number;
  /** Until headers, of good answers; 0 before the first. */
  latencySeconds: number;
  /** Bad answers in a row. */
  failures: number;
  /** Evictions since the last good answer. */
  ejections: number;
  /** On `clock.now()`. */
  evictedUntilMs: number | undefined;
  /** The score to come back with. */
  restoreHealth: number | undefined;
  /** Tries that owe their headers. */
  waiting: number;
}

export interface TargetHealth {
  isEvicted(nowMs: number): boolean;
  /** 0 to 1, the greater the better: what it is chosen by among its equals. `inFlight`: answers that are under way from it. */
  scoreOf(inFlight: number, nowMs: number): number;
  /** A try leaves for it; exactly one of the others follows. */
  begin(): void;
  answered(exchange: Exchange, answer: AnswerSeen, startedMs: number): void;
  failed(exchange: Exchange, error: GatewayError): void;
  /** The try came to nothing for a reason that is not the upstream's: the client left, or its time was up. */
  leave(): void;
  report(nowMs: number): HealthReport;
}

/** Told once for each change: of those that share a state, by whichever notices it. */
export interface HealthListener {
  /** `cause`: the answer or the failure that was one too many. `failures`: in a row. */
  evicted(forMs: number, failures: number, cause: AnswerSeen | GatewayError): void;
  /** Its time is over. Noticed when it is next looked at, so not before a request could go there. */
  returned(): void;
}

/** For people and metrics. */
export interface HealthReport {
  readonly health: number;
  readonly latencySeconds: number;
  readonly consecutiveFailures: number;
  readonly isEvicted: boolean;
  /** Until it comes back; 0 when it is not evicted. */
  readonly evictedForMs: number;
}

/** The last answer's share of the average (agentgateway types/loadbalancer.rs). */
const newestShare = 0.3;
const defaultEvictionMs = 3_000;
/** However often in a row, and whatever an answer asks for; a longer `duration` in the configuration stays as it is. */
const maxEvictionMs = 3_600_000;

export function createHealthState(): HealthState {
  return {
    health: 1,
    latencySeconds: 0,
    failures: 0,
    ejections: 0,
    evictedUntilMs: undefined,
    restoreHealth: undefined,
    waiting: 0,
  };
}

export function createTargetHealth(state: HealthState, rule: HealthRule, listener?: HealthListener): TargetHealth {
  const isEvicted = (nowMs: number): boolean => {
    if (state.evictedUntilMs === undefined) return false;
    if (nowMs < state.evictedUntilMs) return true;
    state.evictedUntilMs = undefined;
    state.health = state.restoreHealth ?? state.health;
    listener?.returned();
    return false;
  };
  const worsen = (exchange: Exchange, cause: AnswerSeen | GatewayError): void => {
    const nowMs = exchange.clock.now();
    const evictionMs = isEvicted(nowMs) ? undefined : evictionMsOf(state, rule, exchange, cause);
    state.health *= 1 - newestShare;
    state.failures += 1;
    // Tries that were under way when it was evicted, and those made because all are, do not evict it once more.
    if (evictionMs === undefined) return;
    state.evictedUntilMs = nowMs + evictionMs;
    state.restoreHealth = rule.eviction?.restoreHealth;
    state.ejections += 1;
    listener?.evicted(evictionMs, state.failures, cause);
  };
  const leave = () => {
    state.waiting = Math.max(0, state.waiting - 1);
  };
  return {
    isEvicted,
    scoreOf(inFlight, nowMs) {
      isEvicted(nowMs);
      return state.health / (1 + state.latencySeconds * (1 + 0.1 * (inFlight + state.waiting)));
    },
    begin() {
      state.waiting += 1;
    },
    answered(exchange, answer, startedMs) {
      leave();
      if (rule.isUnhealthy(exchange, answer)) return worsen(exchange, answer);
      const nowMs = exchange.clock.now();
      isEvicted(nowMs);
      const seconds = (nowMs - startedMs) / 1_000;
      state.latencySeconds = state.latencySeconds === 0 ? seconds : averaged(state.latencySeconds, seconds);
      state.health = averaged(state.health, 1);
      state.failures = 0;
      state.ejections = 0;
    },
    failed(exchange, error) {
      leave();
      worsen(exchange, error);
    },
    leave,
    report(nowMs) {
      const evicted = isEvicted(nowMs);
      return {
        health: state.health,
        latencySeconds: state.latencySeconds,
        consecutiveFailures: state.failures,
        isEvicted: evicted,
        evictedForMs: evicted ? Math.max(0, (state.evictedUntilMs ?? nowMs) - nowMs) : 0,
      };
    },
  };
}

function averaged(average: number, newest: number): number {
  return average + (newest - average) * newestShare;
}

/** Undefined: this answer does not evict. `state` is as it was before the answer. */
function evictionMsOf(
  state: HealthState,
  { eviction }: HealthRule,
  exchange: Exchange,
  cause: AnswerSeen | GatewayError,
): number | undefined {
  if (eviction === undefined) return undefined;
  const { durationMs, consecutiveFailures, healthThreshold, hasDefault } = eviction;
  const hasCondition = consecutiveFailures !== undefined || healthThreshold !== undefined;
  const isBelow = healthThreshold !== undefined && state.health < healthThreshold;
  const areEnough = consecutiveFailures !== undefined && consecutiveFailures > 0 && state.failures + 1 >= consecutiveFailures;
  if (hasCondition && !isBelow && !areEnough) return undefined;
  const answer = cause instanceof GatewayError ? undefined : cause;
  const asked = answer?.status === 429 ? retryAfterMsOf(answer.headers, exchange.clock.wallTime()) : undefined;
  const backoffMs = exchange.retry?.backoffMs || undefined;
  const baseMs = durationMs ?? asked ?? backoffMs ?? (hasDefault ? defaultEvictionMs : undefined);
  if (baseMs === undefined) return undefined;
  return Math.min(baseMs * (state.ejections + 1), Math.max(maxEvictionMs, durationMs ?? 0));
}
