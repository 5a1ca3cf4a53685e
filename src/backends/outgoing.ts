/** The request that leaves for an upstream, before policies edit it. */
import type { Exchange, Outgoing } from '../exchange.ts';
import { connectionNames, hopByHopHeaders } from '../http/hop-headers.ts';

/** What concerns one connection only, plus the length that the new body decides. */
const neverForwarded: ReadonlySet<string> = new Set([...hopByHopHeaders, 'host', 'content-length', 'expect']);

/**
 * Ollama refuses foreign origins, ignores forwarding headers, and hands every client header on to ollama.com for cloud models
 * (server/cloud_proxy.go): none of these is a box's business (design decision 8).
 */
const neverToBoxes = new Set([
  'authorization',
  'proxy-authorization',
  'x-api-key',
  'api-key',
  'cookie',
  'origin',
  'referer',
  'forwarded',
  'via',
  'x-real-ip',
  'true-client-ip',
  'accept-encoding',
  'access-control-request-method',
  'access-control-request-headers',
]);

const neverToBoxesPrefixes = ['sec-', 'x-forwarded-', 'cf-', 'x-corral-', 'x-openwebui-'];
const prefixInitials = new Set(neverToBoxesPrefixes.map((prefix) => prefix.charCodeAt(0)));

/** Marks requests with the Corrals they have passed: how a box that is really Corral itself is recognised. */
export const viaHeader = 'x-corral-via';

/** Says in an answer which Corral gave it. */
export const instanceHeader = 'x-corral-instance';

export interface OutgoingOptions {
  readonly isBox: boolean;
  readonly path: string;
  /** Empty, or from `?` on. */
  readonly query: string;
  /** This Corral's own mark. */
  readonly instanceId: string;
  /** True when the body that leaves is not the one that came (inflated, edited): it has no coding any more. */
  readonly bodyWasRead: boolean;
}

export function createOutgoing(exchange: Exchange, options: OutgoingOptions): Outgoing {
  const incoming = exchange.headers;
  const headers: Record<string, string> = {};
  const dropped = connectionNames(incoming.get('connection'));
  incoming.forEach((value, name) => {
    if (neverForwarded.has(name) || dropped?.has(name) || exchange.consumedHeaders.has(name)) return;
    if (options.isBox && (neverToBoxes.has(name) || isPrefixed(name))) return;
    if (options.bodyWasRead && name === 'content-encoding') return;
    headers[name] = value;
  });
  if (exchange.trace !== undefined) Object.assign(headers, exchange.trace.headersOut());
  if (options.isBox) headers[viaHeader] = viaOf(incoming.get(viaHeader), options.instanceId);
  return { method: exchange.method, path: options.path, query: options.query, authority: changedAuthorityOf(exchange), headers };
}

/** A policy has put another Host in the place of the client's: the upstream is meant to see that one. */
function changedAuthorityOf({ headers, request }: Exchange): string | undefined {
  if (headers === request.headers) return undefined;
  const host = headers.get('host');
  return host === null || host === request.headers.get('host') ? undefined : host;
}

function isPrefixed(name: string): boolean {
  return prefixInitials.has(name.charCodeAt(0)) && neverToBoxesPrefixes.some((prefix) => name.startsWith(prefix));
}

function viaOf(received: string | null, instanceId: string): string {
  return received === null ? instanceId : `${received}, ${instanceId}`;
}

/** Whether a request has already passed this Corral. */
export function hasPassed(request: Request, instanceId: string): boolean {
  return request.headers.get(viaHeader)?.includes(instanceId) ?? false;
}
