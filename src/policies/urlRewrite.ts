/** Changes path and Host on the way to an upstream; the query stays (agentgateway http/filters.rs). */
import * as z from 'zod';
import { GatewayError } from '../errors.ts';
import type { AttemptEdit, Exchange } from '../exchange.ts';
import { definePolicy, type PolicyScope } from './policy.ts';

const authorityText = z.string().regex(/^(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i, {
  error: 'expected "host" or "host:port", such as "localhost:11434"',
});
const hostText = z
  .string()
  .regex(/^(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])$/i, { error: 'expected a host name without scheme and port, such as "localhost"' });
const pathText = z
  .string()
  .regex(/^\/[\x21\x22\x24-\x3e\x40-\x7e]*$/, { error: 'expected a path that starts with "/", without "?", "#" and spaces' });

const authorityField = z.union(
  [
    z.enum(['auto', 'none']),
    z.strictObject({ full: authorityText.describe('Host and port as the upstream shall see them: `localhost:11434`.') }),
    z.strictObject({ host: hostText.describe('Host name as the upstream shall see it, without port.') }),
    z.strictObject({ port: z.int().min(1).max(65_535).describe("Port as the upstream shall see it, beside the client's host.") }),
  ],
  { error: 'expected auto, none, or one of {full: "host:port"}, {host: "name"}, {port: number}' },
);

const pathField = z.union(
  [
    z.strictObject({ full: pathText.describe('The whole path.') }),
    z.strictObject({ prefix: pathText.describe('Stands in place of the prefix by which the route matched.') }),
  ],
  { error: 'expected one of {full: "/path"} and {prefix: "/path"}' },
);

const optionsField = z.strictObject({
  authority: authorityField
    .optional()
    .describe("The Host that the upstream sees. auto (default): the upstream's own. none: the client's, unchanged."),
  path: pathField.optional().describe('The path that the upstream sees.'),
});

export type UrlRewriteOptions = z.output<typeof optionsField>;

export const urlRewrite = definePolicy<UrlRewriteOptions>({
  name: 'urlRewrite',
  about: 'Changes the path and the Host header on the way to an upstream. The query stays.',
  places: ['route'],
  options: optionsField,
  example: `urlRewrite:
  authority:
    full: localhost:11434
  path:
    prefix: /
`,

  onAttempt(options, scope) {
    const rewritePath = pathRewriteOf(options, scope);
    const rewriteAuthority = authorityRewriteOf(options);
    return (attempt) => {
      rewriteAuthority?.(attempt);
      if (rewritePath === undefined) return;
      attempt.outgoing.path = rewritePath(attempt.outgoing.path, attempt.exchange.matchedPrefix);
    };
  },
});

/** The new path for a path and the prefix that the route matched by. Throws rewrite_failed where there was no such prefix. */
export type PathRewrite = (path: string, matchedPrefix: string | undefined) => string;

/** The rewrite of the path alone: what the gateway asks before it can tell a path's protocol. Undefined: the path stays. */
export function pathRewriteOf(
  { path: rewrite }: UrlRewriteOptions,
  { yamlPath }: Pick<PolicyScope, 'yamlPath'>,
): PathRewrite | undefined {
  if (rewrite === undefined) return undefined;
  if ('full' in rewrite) return () => rewrite.full;
  // "/base/" and "/base" mean the same: whether a slash follows is decided by the rest of the path.
  const base = rewrite.prefix.endsWith('/') ? rewrite.prefix.slice(0, -1) : rewrite.prefix;
  return (path, matchedPrefix) => {
    const matched = matchedPrefix?.endsWith('/') ? matchedPrefix.slice(0, -1) : matchedPrefix;
    if (matched === undefined || !path.startsWith(matched)) {
      throw new GatewayError(
        'rewrite_failed',
        `failed to apply filters: prefix redirect requires prefix match. ${yamlPath} has a path.prefix, but the route did not match by pathPrefix: match by pathPrefix, or use path.full`,
      );
    }
    const rewritten = base + path.slice(matched.length);
    return rewritten === '' ? '/' : rewritten;
  };
}

function authorityRewriteOf({ authority: rewrite }: UrlRewriteOptions): AttemptEdit | undefined {
  if (rewrite === undefined || rewrite === 'auto') return undefined;
  if (rewrite === 'none') return setAuthority(clientAuthorityOf);
  if ('port' in rewrite) {
    const port = rewrite.port === 80 ? '' : `:${rewrite.port}`;
    return setAuthority((exchange) => hostOf(exchange) + port);
  }
  const authority = 'full' in rewrite ? rewrite.full : rewrite.host;
  return setAuthority(() => authority);
}

function setAuthority(authorityOf: (exchange: Exchange) => string): AttemptEdit {
  return ({ exchange, outgoing }) => {
    outgoing.authority = authorityOf(exchange);
  };
}

/** As the client wrote it, port included. */
function clientAuthorityOf(exchange: Exchange): string {
  return exchange.headers.get('host') ?? hostOf(exchange);
}

function hostOf({ host }: Exchange): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}
