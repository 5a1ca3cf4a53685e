/** TLS towards an upstream (agentgateway http/backendtls.rs). Decided once per upstream: the compiler asks `upstreamTlsOf`. */
import * as z from 'zod';
import { holdsSecret } from '../fields/secret.ts';
import { pemField } from '../fields/text-or-file.ts';
import type { UpstreamTls } from '../platform.ts';
import { foreign } from './foreign.ts';
import { definePolicy } from './policy.ts';

const optionsField = z
  .strictObject({
    root: pemField.optional().describe("File with the PEM certificates to trust. Default: the system's."),
    cert: pemField.optional().describe('File with the PEM certificate that Corral shows to the upstream.'),
    key: holdsSecret(pemField.optional().describe('File with the private key of `cert`.')),
    hostname: z
      .string()
      .min(1)
      .optional()
      .describe("Name that the upstream's certificate must bear, when it is not the dialled one."),
    insecure: z.boolean().default(false).describe("Do not verify the upstream's certificate at all."),
    insecureHost: z.boolean().default(false).describe("Verify the upstream's certificate, but not its name."),
    alpn: z.array(z.string().min(1)).optional().describe('Protocols offered in the TLS handshake, such as http/1.1.'),
    subjectAltNames: foreign('one name can be given: as hostname'),
    keyExchangeGroups: foreign('the runtime chooses them; leave it out'),
    spiffe: foreign('gives identities of the Kubernetes mesh, which Corral is not in; use root, cert and key'),
  })
  .superRefine(({ cert, key }, context) => {
    if ((cert === undefined) !== (key === undefined)) context.addIssue('cert and key belong together: give both or neither');
  });

export type BackendTlsOptions = z.output<typeof optionsField>;

export const backendTLS = definePolicy<BackendTlsOptions>({
  name: 'backendTLS',
  about: "Speaks TLS to an upstream. `{}` verifies it with the system's certificates.",
  places: ['route', 'backend'],
  options: optionsField,
  example: `backendTLS:
  hostname: box.example.com
`,
});

/** The same as a platform wants it; only what was given is there. */
export function upstreamTlsOf({ root, cert, key, hostname, insecure, insecureHost, alpn }: BackendTlsOptions): UpstreamTls {
  return {
    ...(root !== undefined && { root }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(hostname !== undefined && { hostname }),
    ...(insecure && { insecure }),
    ...(insecureHost && { insecureHost }),
    ...(alpn !== undefined && { alpn }),
  };
}
