/** What any stage may do to an exchange on its way: warn, add a header, hear of its end, or that its client has left. */
import { endToEndHeaders } from '../http/hop-headers.ts';
import type { Exchange } from './exchange.ts';

/** At most 8, each once. */
export function addWarning(exchange: Exchange, warning: string): void {
  if (exchange.warnings.length < 8 && !exchange.warnings.includes(warning)) exchange.warnings.push(warning);
}

/** Runs `ending` when the exchange has ended, whatever became of it. */
export function atEnd(exchange: Exchange, ending: (exchange: Exchange, endedMs: number) => void): void {
  exchange.endings ??= [];
  if (exchange.endings.length < 32) exchange.endings.push(ending);
}

/**
 * The headers as a copy that may be edited; every later look at `exchange.headers` sees the edits. What belongs to the client's
 * connection goes now: a header that a policy sets afterwards must not be taken away again because a client named it there.
 */
export function editHeaders(exchange: Exchange): Headers {
  if (exchange.headers === exchange.request.headers) exchange.headers = endToEndHeaders(exchange.headers);
  return exchange.headers;
}

/**
 * Calls `listener` once when the client leaves before an upstream's answer is on its way to it: as the runtime sees it, or, where the
 * answer's headers have left already, as the stream behind them does. One that has left before is told of at once, in a turn of its own.
 */
export function onGone(exchange: Exchange, listener: () => void): void {
  let isTold = false;
  // Some runtimes tell of it in both ways.
  const tell = () => {
    exchange.hasLeft = true;
    if (!isTold) listener();
    isTold = true;
  };
  if (exchange.hasLeft === true) {
    queueMicrotask(tell);
    return;
  }
  exchange.departures ??= [];
  exchange.departures.push(tell);
  exchange.peer.onGone(tell);
}

/** Says to all who asked by `onGone` that the client has left: for whoever sees it where the runtime does not. */
export function tellGone(exchange: Exchange): void {
  const told = exchange.departures ?? [];
  exchange.departures = undefined;
  exchange.hasLeft = true;
  for (const listener of told) listener();
}

/** Adds a header to whatever answer leaves. */
export function addAnswerHeader(exchange: Exchange, name: string, value: string): void {
  exchange.answerHeaders ??= {};
  exchange.answerHeaders[name] = value;
}
