/** Who is calling, when it is not a key that says so. */
import type { Exchange } from '../exchange.ts';

/**
 * Names the caller for the log. A key that has been accepted stays who is calling: it may be limited to some models, and
 * somebody who also shows a token or password must not get rid of that. Admin scope comes from keys alone.
 */
export function takeIdentity(exchange: Exchange, name: string | undefined): void {
  exchange.identity ??= { name, isAdmin: false, allowedModels: undefined, metadata: {} };
}
