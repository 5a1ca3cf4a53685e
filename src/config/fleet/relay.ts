/** `fleet.relay`, and what boxes say of the way to them. */
import * as z from 'zod';
import { leastSecret, secretField, secretTooShort } from '../../fields/secret.ts';
import type { boxField } from './boxes.ts';

export const relayField = z
  .strictObject({
    secret: secretField
      .refine((secret) => secret.length >= leastSecret, secretTooShort)
      .optional()
      .describe(
        'What both ends of the leg know; what a Corral in front says of the caller is signed with it. Also `CORRAL_RELAY_SECRET`.',
      ),
    accessClientId: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe('Cloudflare Access service token, shown to the boxes that say `access: true`: its id.'),
    accessClientSecret: secretField.optional().describe('And its secret.'),
  })
  .refine(({ accessClientId: id, accessClientSecret: secret }) => (id === undefined) === (secret === undefined), {
    error: 'accessClientId and accessClientSecret belong together',
  })
  .prefault({})
  .describe('A Corral beside its box that owns slots, queue and loads for the Corrals in front of it (`corral --relay`).');

/** A service token that is to be shown must be there. */
export function checkAccess(
  { boxes, relay }: { readonly boxes: readonly z.output<typeof boxField>[]; readonly relay: z.output<typeof relayField> },
  context: z.RefinementCtx,
): void {
  if (relay.accessClientId !== undefined) return;
  for (const [index, { access, url }] of boxes.entries()) {
    const message = 'there is no service token to show: set fleet.relay.accessClientId and accessClientSecret';
    if (access && url.scheme === 'https') context.addIssue({ code: 'custom', path: ['boxes', index, 'access'], message });
  }
}
