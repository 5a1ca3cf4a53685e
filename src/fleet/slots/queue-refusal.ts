/** What those who get no slot are told, and when to come back. */
import { GatewayError } from '../../errors.ts';
import type { FleetTuning } from '../tuning.ts';

/** The line of one model of one box, as it is now. */
export interface LineAccount {
  readonly boxName: string;
  /** Calls that the box is believed to serve at once, as `GET /fleet` tells it; where that is not known, that are let in at once. */
  readonly serves: number;
  /** Calls that are let in at once: one more may wait in the box. */
  readonly letIn: number;
  readonly waiting: number;
  /** How long calls have taken lately, from when they were let in. */
  readonly serviceMs: number;
  readonly tuning: FleetTuning;
}

export function queueFull(model: string, account: LineAccount): GatewayError {
  const { boxName, serves, tuning } = account;
  return new GatewayError(
    'queue_full',
    `${boxName} serves ${serves} ${serves === 1 ? 'call' : 'calls'} of ${shown(model)} at once and ${tuning.maxWaiting} wait already (fleet.queue.maxWaiting): try again later`,
    { headers: retryAfter(account) },
  );
}

export function queueTimeout(model: string, account: LineAccount): GatewayError {
  const { boxName, tuning } = account;
  return new GatewayError(
    'queue_timeout',
    `${boxName} had no slot for ${shown(model)} within ${tuning.maxWaitMs / 1_000} s (fleet.queue.maxWait): try again later`,
    { headers: retryAfter(account) },
  );
}

/** The request's own limit, in the words that it has everywhere. */
export function outOfTime(): GatewayError {
  return new GatewayError('request_timeout', 'request timeout');
}

/** When the line would be through: 1 to 60 whole seconds. */
function retryAfter({ letIn, waiting, serviceMs }: LineAccount): Readonly<Record<string, string>> {
  const seconds = Math.ceil((serviceMs * (waiting + 1)) / Math.max(1, letIn) / 1_000);
  return { 'retry-after': String(Math.min(60, Math.max(1, seconds))) };
}

function shown(model: string): string {
  return model.length > 200 ? `${model.slice(0, 199)}…` : model;
}
