/**
 * Keeps foreign web pages from using a browser that may come in (agentgateway http/csrf.rs). Not Hono's middleware: that one
 * looks at forms only. Differs on purpose: the origin "null", which any page can give itself with a sandboxed frame, counts as
 * foreign; agentgateway takes it for no origin at all.
 */
import * as z from 'zod';
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { FieldError, textField } from '../fields/text-field.ts';
import { definePolicy } from './policy.ts';

const expected = 'an origin such as "https://app.example.com"';

/** As browsers write it: lower case, no default port, nothing after the port. */
const originField = textField(expected, (text) => {
  if (text.includes('*')) throw new FieldError(`expected ${expected}: patterns would let in what they were not meant for`);
  const match = /^([a-z][a-z0-9+.-]*):\/\/[^\s/?#@]+$/i.exec(text);
  if (match === null) throw new FieldError(`expected ${expected}, without a path or a slash at its end`);
  return /^https?$/i.test(match[1] ?? '') && URL.canParse(text) ? new URL(text).origin : text.toLowerCase();
});

const optionsField = z.strictObject({
  additionalOrigins: z
    .array(originField)
    .default([])
    .describe("Origins of other pages that may send requests that change something, beside the gateway's own."),
});

export type CsrfOptions = z.output<typeof optionsField>;

const harmless = new Set(['GET', 'HEAD', 'OPTIONS']);

export const csrf = definePolicy<CsrfOptions>({
  name: 'csrf',
  about: 'Refuses requests of foreign web pages that would change something. Programs, which send no Origin, pass.',
  places: ['route'],
  options: optionsField,
  example: 'csrf:\n  additionalOrigins: ["https://app.example.com"]\n',

  onRequest({ additionalOrigins }) {
    const allowed = new Set(additionalOrigins);
    return async (c, next) => {
      const exchange = c.env;
      if (!harmless.has(exchange.method) && isForeign(exchange, allowed)) {
        const mend = 'if the page is yours, name its origin in csrf.additionalOrigins';
        throw new GatewayError('csrf_failed', `CSRF validation failed: this request comes from a foreign web page; ${mend}`);
      }
      await next();
    };
  },
});

function isForeign({ headers }: Exchange, allowed: ReadonlySet<string>): boolean {
  const site = headers.get('sec-fetch-site');
  const origin = headers.get('origin')?.toLowerCase();
  if (site === 'same-origin' || site === 'none') return false;
  if (origin !== undefined && allowed.has(origin)) return false;
  if (site !== null) return true;
  return origin !== undefined && !isOwn(origin, headers.get('host')?.toLowerCase());
}

/** Of either scheme: something in front may speak TLS to the browser and not to Corral. */
function isOwn(origin: string, host: string | undefined): boolean {
  return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`);
}
