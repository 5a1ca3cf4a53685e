/** Where a credential stands in a request: a header, a query parameter or a cookie (agentgateway http/auth/mod.rs). */
import { parse } from 'hono/utils/cookie';
import * as z from 'zod';
import type { Exchange, Outgoing } from '../exchange.ts';
import { notYet } from './not-yet.ts';

export type CredentialLocation =
  | { readonly kind: 'header'; readonly name: string; readonly prefix: string }
  | { readonly kind: 'queryParameter'; readonly name: string }
  | { readonly kind: 'cookie'; readonly name: string };

export const bearerHeader: CredentialLocation = { kind: 'header', name: 'authorization', prefix: 'Bearer ' };

const headerName = z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, { error: 'expected a header name' });
const cookieName = z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, { error: 'expected a cookie name' });

/** A location in the YAML: exactly one of header, queryParameter and cookie. */
export const credentialLocationField = z
  .strictObject({
    header: z
      .strictObject({
        name: headerName.describe('Name of the header.'),
        prefix: z
          .string()
          .regex(/^[\t\x20-\x7e]*$/, { error: 'expected plain ASCII' })
          .optional()
          .describe('Stands before the key, such as "Bearer "; compared without regard to case. Default: nothing.'),
      })
      .optional()
      .describe('The key stands in this header.'),
    queryParameter: z
      .strictObject({ name: z.string().min(1).describe('Name of the query parameter.') })
      .optional()
      .describe('The key stands in this query parameter. Query strings end up in logs: prefer a header.'),
    cookie: z
      .strictObject({ name: cookieName.describe('Name of the cookie.') })
      .optional()
      .describe('The key stands in this cookie.'),
    expression: notYet('name a header, a queryParameter or a cookie'),
  })
  .transform(({ header, queryParameter, cookie }, context): CredentialLocation => {
    const given: CredentialLocation[] = [];
    if (header !== undefined) given.push({ kind: 'header', name: header.name.toLowerCase(), prefix: header.prefix ?? '' });
    if (queryParameter !== undefined) given.push({ kind: 'queryParameter', name: queryParameter.name });
    if (cookie !== undefined) given.push({ kind: 'cookie', name: cookie.name });
    const [location] = given;
    if (location !== undefined && given.length === 1) return location;
    context.addIssue('expected exactly one of header, queryParameter and cookie');
    return z.NEVER;
  });

/** How a person would say it, for messages: "`Authorization: Bearer KEY`". */
export function describeLocation(location: CredentialLocation): string {
  if (location.kind === 'header') return `\`${location.name}: ${location.prefix}KEY\``;
  return location.kind === 'cookie' ? `the cookie \`${location.name}\`` : `the query parameter \`${location.name}\``;
}

/** Reads the credential that a request carries there; undefined when there is none. */
export function credentialReaderOf(location: CredentialLocation): (exchange: Exchange) => string | undefined {
  const { name } = location;
  if (location.kind === 'queryParameter') {
    return ({ query }) => (query === '' ? undefined : filled(new URLSearchParams(query).get(name)));
  }
  if (location.kind === 'cookie') {
    return ({ headers }) => {
      const cookies = headers.get('cookie');
      return cookies === null ? undefined : filled(parse(cookies, name)[name]);
    };
  }
  const prefix = location.prefix.toLowerCase();
  return ({ headers }) => {
    const value = headers.get(name);
    if (value === null || value.slice(0, prefix.length).toLowerCase() !== prefix) return undefined;
    return filled(value.slice(prefix.length).trim());
  };
}

function filled(text: string | null | undefined): string | undefined {
  return text === null || text === '' ? undefined : text;
}

/** Writes a credential into a request that leaves, replacing one that stands there. */
export function credentialWriterOf(location: CredentialLocation, credential: string): (outgoing: Outgoing) => void {
  const { name } = location;
  if (location.kind === 'header') {
    const value = location.prefix + credential;
    return ({ headers }) => {
      headers[name] = value;
    };
  }
  const remove = credentialRemoverOf(location);
  if (location.kind === 'cookie') {
    return (outgoing) => {
      remove(outgoing);
      const kept = outgoing.headers.cookie;
      outgoing.headers.cookie = kept === undefined ? `${name}=${credential}` : `${kept}; ${name}=${credential}`;
    };
  }
  const pair = `${encodeURIComponent(name)}=${encodeURIComponent(credential)}`;
  return (outgoing) => {
    remove(outgoing);
    outgoing.query = outgoing.query === '' ? `?${pair}` : `${outgoing.query}&${pair}`;
  };
}

/** Takes the credential out of a request that leaves; everything beside it stays letter by letter. */
export function credentialRemoverOf(location: CredentialLocation): (outgoing: Outgoing) => void {
  const { name } = location;
  if (location.kind === 'header') {
    return ({ headers }) => {
      delete headers[name];
    };
  }
  if (location.kind === 'cookie') {
    return ({ headers }) => {
      const kept = headers.cookie?.split(';').filter((pair) => pair.split('=', 1)[0]?.trim() !== name);
      if (kept === undefined) return;
      if (kept.length === 0) delete headers.cookie;
      else headers.cookie = kept.join(';').trim();
    };
  }
  return (outgoing) => {
    if (outgoing.query === '') return;
    const kept = outgoing.query
      .slice(1)
      .split('&')
      .filter((pair) => !new URLSearchParams(pair).has(name));
    outgoing.query = kept.length === 0 ? '' : `?${kept.join('&')}`;
  };
}
