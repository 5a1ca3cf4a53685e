/** Sends the client elsewhere instead of asking an upstream (agentgateway http/filters.rs). */
import * as z from 'zod';
import type { Exchange } from '../exchange.ts';
import { authorityField, clientAuthorityOf, hostOf, pathField } from './authority.ts';
import { definePolicy, type PolicyScope } from './policy.ts';
import { pathRewriteOf } from './urlRewrite.ts';

const optionsField = z.strictObject({
  scheme: z
    .enum(['http', 'https'])
    .nullish()
    .describe('Scheme of the new address. Default: that of the request. The port stays unless `authority` says otherwise.'),
  authority: authorityField('the client shall ask for it')
    .nullish()
    .describe('Host and port of the new address. auto and none (default): those of the request.'),
  path: pathField.nullish().describe('Path of the new address. Default: that of the request. The query stays in any case.'),
  status: z
    .int()
    .min(300)
    .max(399)
    .nullish()
    .transform((status) => status ?? 302)
    .describe('Status code of the answer. Default: 302.'),
});

export type RequestRedirectOptions = z.output<typeof optionsField>;

export const requestRedirect = definePolicy<RequestRedirectOptions>({
  name: 'requestRedirect',
  about: 'Answers with a redirect to another scheme, host, port or path. The query stays.',
  places: ['route', 'backend'],
  options: optionsField,
  example: `requestRedirect:
  scheme: https
  authority:
    full: llm.example.com
  status: 301
`,

  onRequest(options, scope) {
    const redirect = redirectOf(options, scope);
    return async (c) => redirect(c.env);
  },

  onBackendAttempt(options, scope) {
    const redirect = redirectOf(options, scope);
    return ({ exchange }) => redirect(exchange);
  },
});

function redirectOf(options: RequestRedirectOptions, scope: PolicyScope): (exchange: Exchange) => Response {
  const { scheme, authority, path, status } = options;
  if ([scheme, authority, path].every((part) => part === undefined || part === null)) {
    scope.warn('redirects to the very address that was asked for: set scheme, authority or path');
  }
  const rewritePath = pathRewriteOf({ path: path ?? undefined }, scope);
  return (exchange) => {
    const newScheme = scheme ?? schemeOf(exchange);
    const newPath = rewritePath?.(exchange.path, exchange.matchedPrefix) ?? exchange.path;
    const newAuthority = authorityOf(authority, exchange, newScheme);
    // Without a Host there is nothing to be absolute with: the client stays where it is.
    const start = newAuthority === '' ? '' : `${newScheme}://${newAuthority}`;
    return new Response(null, { status, headers: { location: `${start}${newPath}${exchange.query}` } });
  };
}

function authorityOf(rewrite: RequestRedirectOptions['authority'], exchange: Exchange, scheme: string): string {
  if (rewrite === undefined || rewrite === null || typeof rewrite === 'string') return saneAuthorityOf(exchange);
  if ('full' in rewrite) return rewrite.full;
  if ('host' in rewrite) return rewrite.host + portOf(saneAuthorityOf(exchange));
  const isDefault = rewrite.port === (scheme === 'https' ? 443 : 80);
  return hostOf(exchange) + (isDefault ? '' : `:${rewrite.port}`);
}

/** A Host is the client's to write: what does not look like one does not get into an address. */
function saneAuthorityOf(exchange: Exchange): string {
  const authority = clientAuthorityOf(exchange);
  return /^(?:[\w.~-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i.test(authority) ? authority : hostOf(exchange);
}

function portOf(authority: string): string {
  return /:\d+$/.exec(authority)?.[0] ?? '';
}

function schemeOf({ request }: Exchange): string {
  return request.url.startsWith('https:') ? 'https' : 'http';
}
