/** A call's wait for a slot of a box: what becomes of it is told in headers, in the log and in the metrics. */
import { GatewayError } from '../errors.ts';
import { addAnswerHeader, type Exchange, onGone, type Upstream, type Wait, type Waiter } from '../exchange.ts';

/** How long it waited for slots, of all boxes together: milliseconds. Only on answers that had to wait. */
const queuedHeader = 'x-corral-queued';
/** Its place in the line when it came: 1 was next. */
const positionHeader = 'x-corral-queue-position';

export interface QueueWaiter extends Waiter {
  /** Its place when it came; 0: there was no need to wait. */
  readonly position: number;
  /** Since when it waits, on the clock. */
  readonly sinceMs: number;
}

export function waiterOf(exchange: Exchange): QueueWaiter {
  return new ExchangeWaiter(exchange);
}

/** One object: nearly every call gets its slot at once, and nothing of this is asked for. */
class ExchangeWaiter implements QueueWaiter {
  position = 0;
  sinceMs = 0;
  readonly #exchange: Exchange;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
  }

  get deadlineMs(): number | undefined {
    return this.#exchange.deadlineMs;
  }

  onGone(listener: () => void): void {
    onGone(this.#exchange, listener);
  }

  waitUntil(work: Promise<unknown>): void {
    this.#exchange.peer.waitUntil(work);
  }

  onWait(wait: Wait): void {
    if (this.position === 0 && wait.for === 'slot') {
      this.position = wait.position;
      this.sinceMs = this.#exchange.clock.now();
    }
    this.#exchange.wait = wait;
  }
}

/** It has its slot. */
export function tellQueued(exchange: Exchange, { name }: Upstream, { position }: QueueWaiter, waitedMs: number): void {
  if (position === 0) return;
  exchange.queuedMs = (exchange.queuedMs ?? 0) + waitedMs;
  exchange.queuePosition = position;
  addAnswerHeader(exchange, queuedHeader, String(Math.round(exchange.queuedMs)));
  addAnswerHeader(exchange, positionHeader, String(position));
  exchange.telemetry.queueWait?.(name, waitedMs / 1_000);
}

/** It gets none: the line is full, or its time is over. Other errors are none of the queue's. */
export function tellNotQueued(exchange: Exchange, upstream: Upstream, waiter: QueueWaiter, thrown: unknown): void {
  const reason = thrown instanceof GatewayError ? reasons[thrown.code] : undefined;
  const isWaiting = waiter.position > 0 && exchange.wait?.for === 'slot';
  if (reason === undefined || (reason !== 'full' && !isWaiting)) return;
  exchange.telemetry.queueRejected?.(upstream.name, reason);
  if (isWaiting) tellQueued(exchange, upstream, waiter, exchange.clock.now() - waiter.sinceMs);
}

const reasons: Readonly<Record<string, string>> = { queue_full: 'full', queue_timeout: 'timeout', request_timeout: 'deadline' };
