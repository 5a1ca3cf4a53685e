/** Changes path and Host on the way to an upstream; the query stays (agentgateway http/filters.rs). */
import * as z from 'zod';
import { GatewayError } from '../errors.ts';
import type { AttemptEdit, Exchange } from '../exchange.ts';
import { authorityField, clientAuthorityOf, hostOf, pathField } from './authority.ts';
import { definePolicy, type PolicyScope } from './policy.ts';

const optionsField = z.strictObject({
  authority: authorityField('the upstream shall see it')
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
