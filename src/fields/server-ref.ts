/** A server that a policy calls: `host: "name:port"`, or `backend: name` of a top-level backend. */
import * as z from 'zod';
import { type HostPort, hostPortField } from './host-port.ts';

export type ServerRef = { readonly kind: 'host'; readonly host: HostPort } | { readonly kind: 'backend'; readonly name: string };

/** The members to spread into the object that names a server; `serverRefOf` reads them. */
export const serverRefShape = {
  host: hostPortField
    .optional()
    .describe('The server, `host:port`.')
    .meta({ examples: ['localhost:9000'] }),
  backend: z.string().min(1).optional().describe('Instead of `host`: the name of an entry of the top-level `backends`.'),
  service: z
    .never({ error: 'there are no services outside Kubernetes; name the server in host: "name:port"' })
    .optional()
    .describe('Refused: services exist in Kubernetes only. Use `host`.'),
};

/** Reports an issue and gives undefined unless exactly one of the members is there. */
export function serverRefOf(
  given: { host?: HostPort | undefined; backend?: string | undefined },
  context: { addIssue(message: string): void },
): ServerRef | undefined {
  if (given.host !== undefined && given.backend === undefined) return { kind: 'host', host: given.host };
  if (given.backend !== undefined && given.host === undefined) return { kind: 'backend', name: given.backend };
  context.addIssue('expected exactly one of: host, backend');
  return undefined;
}

/** `{host: …}` or `{backend: …}` alone, as a field. */
export const serverRefField = z
  .strictObject(serverRefShape)
  .meta({ id: 'server', description: 'A server that is called: exactly one of `host` and `backend`.' })
  .transform((given, context): ServerRef => serverRefOf(given, context) ?? z.NEVER);
