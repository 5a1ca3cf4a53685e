/** What those who get no slot are told, and when to come back. */
import { GatewayError } from '../../errors.ts';
import type { FleetTuning } from '../tuning.ts';

/** The line of one model of one box, as it is now. */
export interface LineAccount {
  readonly boxName: string;
  /** Calls that are let in at once. */
  readonly serves: number;
  readonly waiting: number;
  /** How long calls have taken lately. */
  readonly serviceMs: number;
  readonly tuning: FleetTuning;
}

export function queueFull(model: string, account: LineAccount): GatewayError {
  const { boxName, serves, tuning } = account;
  return new GatewayError(
    'queue_full',
    `${boxName} serves ${serves} calls of ${shown(model)} at once and ${tuning.maxWaiting} wait already (fleet.queue.maxWaiting): try again later`,
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
function retryAfter({ serves, waiting, serviceMs }: LineAccount): Readonly<Record<string, string>> {
  const seconds = Math.ceil((serviceMs * (waiting + 1)) / Math.max(1, serves) / 1_000);
  return { 'retry-after': String(Math.min(60, Math.max(1, seconds))) };
}

function shown(model: string): string {
  return model.length > 200 ? `${model.slice(0, 199)}…` : model;
}
