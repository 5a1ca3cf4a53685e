/**
 * The lock of a relay's routes that have none of their own: only Corrals in front that know the secret. No YAML key; the compiler
 * puts it there in the relay's role (`--relay`).
 */
import type { MiddlewareHandler } from 'hono';
import { GatewayError } from '../errors.ts';
import type { GatewayEnv } from '../exchange.ts';

export function createRelayLock(): MiddlewareHandler<GatewayEnv> {
  return (c, next) => {
    if (c.env.relayed === undefined) throw stranger();
    return next() as Promise<undefined>;
  };
}

/** A Corral in front may pass where others show a key or a token: it has asked for that itself. */
export function unlessRelayed(lock: MiddlewareHandler<GatewayEnv>): MiddlewareHandler<GatewayEnv> {
  return (c, next) => (c.env.relayed === undefined ? lock(c, next) : (next() as Promise<undefined>));
}

function stranger(): GatewayError {
  return new GatewayError(
    'relay_caller_unknown',
    'this Corral relay serves Corrals in front that know its secret: give that one the same CORRAL_RELAY_SECRET (or fleet.relay.secret). To let other clients in as well, set CORRAL_API_KEY here',
  );
}
