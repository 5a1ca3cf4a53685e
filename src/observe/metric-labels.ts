/** Label values of an exchange, and the key under which exchanges with the same ones are found. */
import type { Exchange } from '../exchange.ts';
import { providerOf } from './facts.ts';
import { reasonOf } from './reasons.ts';
import { maxLabelLength } from './series.ts';

export const unknown = 'unknown';

/**
 * Everything that labels are made of. The parts that clients write freely come last, and NUL stands in no header and no name:
 * nobody can write one part so that it passes for two.
 */
export function keyOf(exchange: Exchange, addedValues: readonly string[]): string {
  const { attempts, protocol, error } = exchange;
  const upstream = attempts.length === 0 ? '' : attempts[attempts.length - 1]?.upstream.name;
  const key = `${upstream}\0${waitedAt(exchange)}\0${protocol?.name}\0${exchange.method}\0${exchange.status}\0${error?.code}\0${exchange.outcome}\0${exchange.peer.port}\0${exchange.gatewayName}\0${exchange.listenerName}\0${exchange.routeName}\0${exchange.responseModel}\0${cut(exchange.requestModel)}`;
  return addedValues.length === 0 ? key : `${key}\0${JSON.stringify(addedValues)}`;
}

/** What `keyOf` is made of, but for added values. */
export type KeyParts = ReturnType<typeof keyPartsOf>;

export function keyPartsOf(exchange: Exchange) {
  const { attempts, protocol, method, status, error, outcome, peer, gatewayName, listenerName, routeName } = exchange;
  return {
    upstream: attempts[attempts.length - 1]?.upstream,
    waitedAt: waitedAt(exchange),
    protocol,
    method,
    status,
    code: error?.code,
    outcome,
    port: peer.port,
    gatewayName,
    listenerName,
    routeName,
    responseModel: exchange.responseModel,
    requestModel: cut(exchange.requestModel),
  };
}

/** Whether `keyOf` gives the same for this exchange: most are like the one before, and to compare costs less than to write a key. */
export function hasKeyParts(exchange: Exchange, parts: KeyParts): boolean {
  const { attempts } = exchange;
  return (
    parts.upstream === attempts[attempts.length - 1]?.upstream &&
    parts.waitedAt === waitedAt(exchange) &&
    parts.protocol === exchange.protocol &&
    parts.method === exchange.method &&
    parts.status === exchange.status &&
    parts.code === exchange.error?.code &&
    parts.outcome === exchange.outcome &&
    parts.port === exchange.peer.port &&
    parts.gatewayName === exchange.gatewayName &&
    parts.listenerName === exchange.listenerName &&
    parts.routeName === exchange.routeName &&
    parts.responseModel === exchange.responseModel &&
    parts.requestModel === cut(exchange.requestModel)
  );
}

function cut(model: string | undefined): string | undefined {
  return model === undefined || model.length <= maxLabelLength ? model : model.slice(0, maxLabelLength);
}

export function requestLabelsOf(exchange: Exchange, addedValues: readonly string[]): string[] {
  return [
    backendOf(exchange),
    exchange.protocol === undefined ? 'http' : 'llm',
    methods.has(exchange.method) ? exchange.method : 'other',
    String(exchange.status),
    reasonOf(exchange),
    ...routeLabelsOf(exchange),
    ...addedValues,
  ];
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'CONNECT', 'TRACE']);

export function routeLabelsOf({ peer, gatewayName, listenerName, routeName }: Exchange): string[] {
  const bind = peer.port === undefined ? unknown : `bind/${peer.port}`;
  // Corral's routes have no rules within them.
  return [bind, gatewayName || unknown, listenerName || unknown, routeName || unknown, unknown];
}

/** A name that nobody serves is not worth a series of its own: clients could make up any number of them. */
export function modelLabelsOf(exchange: Exchange, operation: string): string[] {
  const isServed = exchange.status !== 404;
  return [
    operation,
    providerOf(exchange) ?? unknown,
    (isServed ? exchange.requestModel : undefined) ?? unknown,
    exchange.responseModel ?? unknown,
  ];
}

export function backendOf(exchange: Exchange): string {
  return exchange.attempts.at(-1)?.upstream.name ?? waitedAt(exchange) ?? unknown;
}

/** The box at which a client has waited to the end, and which was asked nothing. */
function waitedAt({ attempts, wait }: Exchange): string | undefined {
  return attempts.length === 0 ? wait?.boxName : undefined;
}
