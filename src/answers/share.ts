/** Who shares a box's slots with whom, and who goes first. */
import type { Exchange, Work } from '../exchange.ts';
import { urgencyOf, weightOf } from '../fields/key-share.ts';

export type ShareSetting = 'key' | 'user';

/** With it a client says of itself that it can wait. Nobody gets ahead by it. */
export const classHeader = 'x-corral-class';

/**
 * The name under which a call shares: of two kinds never the same one. `user`: the person whom a trusted client or a verified
 * token names, else the key. `key`: the credential alone. Empty: nobody is known, and all of those share as one.
 */
export function sharerOf({ identity, claims }: Exchange, share: ShareSetting): string {
  const user = share === 'user' ? claims?.user?.id : undefined;
  if (user !== undefined && user !== '') return `user:${user}`;
  if (identity?.name !== undefined) return `key:${identity.name}`;
  if (claims === undefined) return '';
  const subject = claims.jwt?.sub;
  if (typeof subject === 'string') return `jwt:${subject}`;
  return claims.basicAuth === undefined ? '' : `basic:${claims.basicAuth.username}`;
}

export function shareOf(exchange: Exchange, share: ShareSetting): Pick<Work, 'sharer' | 'weight' | 'urgency'> {
  // What a Corral in front has said counts, and not what stands in headers beside it.
  if (exchange.relayed !== undefined) return exchange.relayed;
  const metadata = exchange.identity?.metadata;
  const isBulk = exchange.headers.get(classHeader) === 'bulk';
  return {
    sharer: sharerOf(exchange, share),
    weight: metadata === undefined ? 1 : weightOf(metadata),
    urgency: isBulk ? 'bulk' : metadata === undefined ? 'interactive' : urgencyOf(metadata),
  };
}
