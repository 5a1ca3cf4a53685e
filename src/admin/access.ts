/**
 * Who may look behind the counter. Web pages never: the Host must be a local name and the Origin, where there is one, this
 * address itself. Programs on this machine may; everybody else shows CORRAL_ADMIN_TOKEN.
 */
import type { MiddlewareHandler } from 'hono';
import type { Peer } from '../platform.ts';
import { isLocalHost, isLoopbackAddress } from '../policies/local-address.ts';

/** Hono's environment at the admin address. */
export interface AdminEnv {
  Bindings: { readonly peer: Peer };
}

export interface AdminAccess {
  /** Undefined: nobody off this machine gets in. */
  readonly adminToken: string | undefined;
  /** True where the port itself is reachable from this machine only. False: everybody shows the token. */
  readonly isLoopback: boolean;
  /** True where Host names prove nothing, because the address is public anyway and only the token counts (Workers). */
  readonly anyHost?: boolean;
}

export function guardAdmin({ adminToken, isLoopback, anyHost = false }: AdminAccess): MiddlewareHandler<AdminEnv> {
  return async (c, next) => {
    const { headers } = c.req.raw;
    const hasToken = adminToken !== undefined && sameText(bearerOf(headers), adminToken);
    const host = hostNameOf(headers.get('host') ?? '');
    if (!anyHost && !hasToken && !isLocalHost(host)) {
      return c.text(`"${host.slice(0, 100)}" is no name of this machine; ask at localhost, or show CORRAL_ADMIN_TOKEN\n`, 403);
    }
    if (isForeignPage(headers)) return c.text('web pages of other addresses get nothing here\n', 403);
    if (hasToken || (isLoopback && isLocalProgram(c.env.peer, headers))) return next();
    if (adminToken === undefined)
      return c.text('off this machine the admin address asks for CORRAL_ADMIN_TOKEN, and none is set\n', 403);
    return c.text('Authorization: Bearer CORRAL_ADMIN_TOKEN is asked for here\n', 401, { 'www-authenticate': 'Bearer' });
  };
}

/** A tunnel or proxy on this machine looks like this machine, but for the headers it adds. */
function isLocalProgram(peer: Peer, headers: Headers): boolean {
  const address = peer.address();
  return (
    address !== undefined &&
    isLoopbackAddress(address) &&
    !['forwarded', 'x-forwarded-for', 'via', 'cf-connecting-ip'].some((name) => headers.has(name))
  );
}

function isForeignPage(headers: Headers): boolean {
  const origin = headers.get('origin');
  if (origin !== null) {
    const host = headers.get('host');
    return host === null || (origin !== `http://${host}` && origin !== `https://${host}`);
  }
  const site = headers.get('sec-fetch-site');
  return site !== null && site !== 'same-origin' && site !== 'none';
}

function bearerOf(headers: Headers): string {
  return /^Bearer +(\S+) *$/i.exec(headers.get('authorization') ?? '')?.[1] ?? '';
}

function hostNameOf(authority: string): string {
  const lower = authority.toLowerCase();
  return lower.startsWith('[') ? lower.slice(0, lower.indexOf(']') + 1) : (lower.split(':', 1)[0] ?? '');
}

/** In a time that depends on the guess's length only. */
function sameText(guess: string, secret: string): boolean {
  let difference = guess.length ^ secret.length;
  for (let index = 0; index < guess.length; index++)
    difference |= guess.charCodeAt(index) ^ secret.charCodeAt(index % secret.length);
  return difference === 0;
}
