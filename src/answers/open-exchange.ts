/** Opens and closes exchanges, and counts those under way. */
import type { BodyReader, Exchange, Telemetry, Trace } from '../exchange.ts';
import type { Observer } from '../observe/access-log.ts';
import type { Clock, Peer } from '../platform.ts';

export interface ExchangeScope {
  readonly clock: Clock;
  readonly bodies: BodyReader;
  readonly telemetry: Telemetry;
  readonly exchanges: Exchanges;
  /** Undefined where nothing is traced. */
  readonly startTrace?: ((exchange: Exchange) => Trace | undefined) | undefined;
}

/** Counts exchanges and sees each one to its end exactly once. */
export interface Exchanges {
  readonly open: number;
  nextId(): string;
  enter(): void;
  /** An answer without a body on its way is over when it is made; one that is relayed is ended by its tap. */
  close(exchange: Exchange, response: Response | Promise<Response>): Response | Promise<Response>;
  /** The tap of a relayed answer has seen its end. */
  end(exchange: Exchange): void;
  onIdle(listener: () => void): void;
}

export function createExchange(request: Request, peer: Peer, { clock, exchanges, bodies, telemetry }: ExchangeScope): Exchange {
  const { url } = request;
  const authorityStart = url.indexOf('//') + 2;
  const pathStart = url.indexOf('/', authorityStart);
  const fragmentStart = url.indexOf('#', pathStart);
  const end = fragmentStart < 0 ? url.length : fragmentStart;
  const queryStart = url.indexOf('?', pathStart);
  const hasQuery = queryStart >= 0 && queryStart < end;
  exchanges.enter();
  return {
    id: exchanges.nextId(),
    request,
    peer,
    clock,
    startedMs: clock.now(),
    method: request.method,
    path: url.slice(pathStart, hasQuery ? queryStart : end),
    query: hasQuery ? url.slice(queryStart, end) : '',
    host: hostNameOf(url.slice(authorityStart, pathStart).toLowerCase()),
    headers: request.headers,
    bodies,
    heldBody: undefined,
    bodyReading: undefined,
    sentBody: undefined,
    bodyHolds: 0,
    listenerName: '',
    gatewayName: '',
    routeName: '',
    matchedPrefix: undefined,
    protocol: undefined,
    identity: undefined,
    claims: undefined,
    relayed: undefined,
    metadata: undefined,
    consumedHeaders: new Set(),
    deadlineMs: undefined,
    retry: undefined,
    answerHeaders: undefined,
    answerIsRead: false,
    endings: undefined,
    telemetry,
    trace: undefined,
    call: undefined,
    work: undefined,
    attempts: [],
    wait: undefined,
    departures: undefined,
    warnings: [],
    isRelayed: false,
    isAnswered: false,
    isEnded: false,
    status: 0,
    requestModel: undefined,
    responseModel: undefined,
    usage: undefined,
    firstByteMs: undefined,
    answerBytes: 0,
    completion: undefined,
    outcome: undefined,
    error: undefined,
  };
}

/** `host:port` or `[::1]:port` to the host alone, in lower case: Deno and workerd leave it as the client wrote it. */
function hostNameOf(authority: string): string {
  if (authority.startsWith('[')) return authority.slice(0, authority.indexOf(']') + 1);
  const colon = authority.indexOf(':');
  return colon < 0 ? authority : authority.slice(0, colon);
}

export function createExchanges(instanceId: string, clock: Clock, observe: Observer): Exchanges {
  let open = 0;
  let count = 0;
  let idleListeners: (() => void)[] = [];

  const end = (exchange: Exchange) => {
    // Whatever ends it twice (a tap and its stream's cancel, say) counts once.
    if (exchange.isEnded === true) return;
    exchange.isEnded = true;
    open--;
    exchange.outcome ??= exchange.status >= 500 ? 'failed' : exchange.status >= 400 ? 'refused' : 'completed';
    exchange.bodies.release(exchange);
    const nowMs = clock.now();
    if (exchange.endings !== undefined) for (const ending of exchange.endings) ending(exchange, nowMs);
    observe(exchange, nowMs);
    if (open > 0) return;
    const listeners = idleListeners;
    idleListeners = [];
    for (const listener of listeners) listener();
  };

  /** Before the answer has left, policies may have read all of it: what becomes of it is theirs to say. */
  const endRelayed = (exchange: Exchange) => {
    if (exchange.isAnswered) end(exchange);
    else exchange.isRelayed = false;
  };

  const settle = (exchange: Exchange, response: Response) => {
    exchange.status = response.status;
    exchange.isAnswered = true;
    if (!exchange.isRelayed) end(exchange);
    return response;
  };

  return {
    get open() {
      return open;
    },
    nextId: () => `${instanceId}-${(count++).toString(36)}`,
    enter: () => {
      open++;
    },
    close: (exchange, response) =>
      response instanceof Promise ? response.then((settled) => settle(exchange, settled)) : settle(exchange, response),
    end: endRelayed,
    onIdle: (listener) => {
      if (open === 0) listener();
      else idleListeners.push(listener);
    },
  };
}
