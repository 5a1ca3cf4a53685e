/** Options that agentgateway documents and Corral does not have yet: refused by name, never ignored (design decision 12). */
import * as z from 'zod';

export const notYetMessage = 'known to agentgateway, not supported yet';

/** The place of such an option in a schema. `instead` names the way to get the same done, where there is one. */
export function notYet(instead?: string) {
  const message = instead === undefined ? notYetMessage : `${notYetMessage}; ${instead}`;
  return z.never({ error: message }).optional().describe(`Refused: ${message}.`);
}
