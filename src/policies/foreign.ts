/** Options that agentgateway documents and Corral will not have: refused by name, with the way to get the same done (design decision 12). */
import * as z from 'zod';

/** The place of such an option in a schema. `why` is one sentence without its full stop. */
export function foreign(why: string) {
  const message = `known to agentgateway, not supported: ${why}`;
  return z.never({ error: message }).optional().describe(`Refused: ${message}.`);
}
