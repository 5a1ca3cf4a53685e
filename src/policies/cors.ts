/**
 * Lets web pages of other origins read the answers (agentgateway http/cors.rs). Beyond agentgateway: `Vary: Origin`, without
 * which a shared cache hands one page's permission to another.
 */
import * as z from 'zod';
import type { Exchange } from '../exchange.ts';
import { durationField } from '../fields/duration.ts';
import { addVary, compileCorsOrigins } from './origins.ts';
import { definePolicy } from './policy.ts';

const tokenField = z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, { error: 'expected one name without spaces, or "*"' });

const optionsField = z.strictObject({
  allowOrigins: z
    .array(z.string())
    .default([])
    .describe('Origins of pages that may ask: "*", `https://app.example.com`, or `https://*.example.com`. Ports count.'),
  allowMethods: z.array(tokenField).default([]).describe('Methods that those pages may use; "*" allows the one they ask for.'),
  allowHeaders: z
    .array(tokenField)
    .default([])
    .describe('Request headers that those pages may send; "*" allows the ones they ask for.'),
  exposeHeaders: z.array(tokenField).default([]).describe('Response headers that those pages may read.'),
  allowCredentials: z.boolean().default(false).describe('Whether browsers send cookies along.'),
  maxAge: durationField.optional().describe('How long a browser may remember the answer to its preflight.'),
});

export type CorsOptions = z.output<typeof optionsField>;

const ownHeaders = ['access-control-allow-origin', 'access-control-allow-credentials', 'access-control-expose-headers'] as const;

/** Exchanges whose answer a cors policy further inside has opened: not to be taken for an upstream's own headers. */
const opened = new WeakSet<Exchange>();

export const cors = definePolicy<CorsOptions>({
  name: 'cors',
  about: 'Lets web pages of other origins use the gateway, and answers their preflight requests.',
  places: ['listener', 'route'],
  options: optionsField,
  example: `cors:
  allowOrigins: ["https://app.example.com", "https://*.corp.example"]
  allowMethods: [GET, POST]
  allowHeaders: [authorization, content-type]
  maxAge: 10m
`,

  onRequest(options) {
    const isAllowed = compileCorsOrigins(options.allowOrigins);
    const common = commonHeadersOf(options);
    const preflight = createPreflight(options);

    return async (c, next) => {
      const exchange = c.env;
      const origin = exchange.headers.get('origin');
      const isOpen = origin !== null && isAllowed(origin);
      if (origin !== null && exchange.method === 'OPTIONS') {
        // Even without Access-Control-Request-Method, as agentgateway; a foreign preflight is answered, but opens nothing.
        if (isOpen) return preflight(origin, exchange.headers);
        if (exchange.headers.has('access-control-request-method')) return closedPreflight();
      }
      await next();
      // In place: a rebuilt Response would lose the bytes that some runtimes pipe to the client beside it.
      const { headers } = c.res;
      addVary(headers, 'Origin');
      if (isOpen) {
        opened.add(exchange);
        for (const name of ownHeaders) headers.delete(name);
        headers.set('access-control-allow-origin', origin);
        for (const [name, value] of common) headers.set(name, value);
      } else if (headers.has('access-control-allow-origin') && !opened.has(exchange)) {
        for (const name of ownHeaders) headers.delete(name);
      }
      return undefined;
    };
  },
});

function commonHeadersOf({ allowCredentials, exposeHeaders }: CorsOptions): readonly (readonly [string, string])[] {
  const headers: (readonly [string, string])[] = [];
  if (allowCredentials) headers.push(['access-control-allow-credentials', 'true']);
  if (exposeHeaders.length > 0) headers.push(['access-control-expose-headers', exposeHeaders.join(',')]);
  return headers;
}

function createPreflight(options: CorsOptions): (origin: string, asked: Headers) => Response {
  const methodsOf = listOrEcho(options.allowMethods, 'access-control-request-method', options.allowCredentials);
  const headersOf = listOrEcho(options.allowHeaders, 'access-control-request-headers', options.allowCredentials);
  const fixed: [string, string][] = commonHeadersOf(options).map(([name, value]) => [name, value]);
  fixed.push(['vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers']);
  if (options.maxAge !== undefined) fixed.push(['access-control-max-age', String(Math.floor(options.maxAge / 1000))]);
  return (origin, asked) => {
    const headers = new Headers(fixed);
    headers.set('access-control-allow-origin', origin);
    const methods = methodsOf(asked);
    if (methods !== undefined) headers.set('access-control-allow-methods', methods);
    const names = headersOf(asked);
    if (names !== undefined) headers.set('access-control-allow-headers', names);
    return new Response(null, { status: 200, headers });
  };
}

/** `*` gives back what was asked for; browsers take a literal `*` only where no credentials are meant. */
function listOrEcho(list: readonly string[], askedIn: string, withCredentials: boolean): (asked: Headers) => string | undefined {
  if (list.length === 0) return () => undefined;
  if (!list.includes('*')) {
    const joined = list.join(',');
    return () => joined;
  }
  return (asked) => {
    const wanted = (asked.get(askedIn) ?? '').split(',').flatMap((name) => (name.trim() === '' ? [] : [name.trim()]));
    if (wanted.length > 0) return wanted.join(', ');
    return withCredentials ? undefined : '*';
  };
}

function closedPreflight(): Response {
  return new Response(null, { status: 200, headers: { vary: 'Origin' } });
}
