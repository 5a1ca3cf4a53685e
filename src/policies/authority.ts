/** What the policies that change addresses have in common: the same options, and the authority that the client asked for. */
import * as z from 'zod';
import type { Exchange } from '../exchange.ts';

const authorityText = z.string().regex(/^(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i, {
  error: 'expected "host" or "host:port", such as "localhost:11434"',
});
const hostText = z
  .string()
  .regex(/^(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])$/i, { error: 'expected a host name without scheme and port, such as "localhost"' });
const pathText = z
  .string()
  .regex(/^\/[\x21\x22\x24-\x3e\x40-\x7e]*$/, { error: 'expected a path that starts with "/", without "?", "#" and spaces' });

/** `seen` ends the sentence "Host and port as …". */
export function authorityField(seen: string) {
  return z.union(
    [
      z.enum(['auto', 'none']),
      z.strictObject({ full: authorityText.describe(`Host and port as ${seen}: \`localhost:11434\`.`) }),
      z.strictObject({ host: hostText.describe(`Host name as ${seen}, without port.`) }),
      z.strictObject({ port: z.int().min(1).max(65_535).describe(`Port as ${seen}, beside the client's host.`) }),
    ],
    { error: 'expected auto, none, or one of {full: "host:port"}, {host: "name"}, {port: number}' },
  );
}

export const pathField = z.union(
  [
    z.strictObject({ full: pathText.describe('The whole path.') }),
    z.strictObject({ prefix: pathText.describe('Stands in place of the prefix by which the route matched.') }),
  ],
  { error: 'expected one of {full: "/path"} and {prefix: "/path"}' },
);

/** As the client wrote it, port included; empty where it named no host. */
export function clientAuthorityOf(exchange: Exchange): string {
  return exchange.headers.get('host') ?? hostOf(exchange);
}

/** Without port, in brackets where it is an IPv6 address. */
export function hostOf({ host }: Exchange): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}
