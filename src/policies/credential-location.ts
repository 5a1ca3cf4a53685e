/** Where a credential stands in a request: a header, a query parameter, a cookie, or what CEL finds (agentgateway http/auth/mod.rs). */
import { parse } from 'hono/utils/cookie';
import * as z from 'zod';
import { celField } from '../cel/cel-field.ts';
import { type CelExpression, CelFailure } from '../cel/expression.ts';
import type { Exchange, Outgoing } from '../exchange.ts';

/** Where a credential can be read and written. */
export type WritableLocation =
  | { readonly kind: 'header'; readonly name: string; readonly prefix: string }
  | { readonly kind: 'queryParameter'; readonly name: string }
  | { readonly kind: 'cookie'; readonly name: string };

/** An expression finds a credential, but cannot put one anywhere. */
export type CredentialLocation = WritableLocation | { readonly kind: 'expression'; readonly expression: CelExpression };

export const bearerHeader: WritableLocation = { kind: 'header', name: 'authorization', prefix: 'Bearer ' };

const headerName = z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, { error: 'expected a header name' });
const cookieName = z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, { error: 'expected a cookie name' });

const locationShape = {
  header: z
    .strictObject({
      name: headerName.describe('Name of the header.'),
      prefix: z
        .string()
        .regex(/^[\t\x20-\x7e]*$/, { error: 'expected plain ASCII' })
        .nullish()
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
};

const writable = z.strictObject(locationShape);

function writableIn({ header, queryParameter, cookie }: z.output<typeof writable>): readonly WritableLocation[] {
  const given: WritableLocation[] = [];
  if (header !== undefined) given.push({ kind: 'header', name: header.name.toLowerCase(), prefix: header.prefix ?? '' });
  if (queryParameter !== undefined) given.push({ kind: 'queryParameter', name: queryParameter.name });
  if (cookie !== undefined) given.push({ kind: 'cookie', name: cookie.name });
  return given;
}

/** The only one of several; reports an issue unless there is just one. */
function onlyOf<Location>(given: readonly Location[], names: string, context: { addIssue(message: string): void }): Location {
  const [location] = given;
  if (location !== undefined && given.length === 1) return location;
  context.addIssue(`expected exactly one of ${names}`);
  return z.NEVER;
}

/** Where a credential is read, in the YAML: exactly one of header, queryParameter, cookie and expression. */
export const credentialLocationField = z
  .strictObject({
    ...locationShape,
    expression: celField('')
      .refine(({ needs }) => !needs.requestBody && !needs.response && !needs.llm, {
        error: 'a key must be found before the body is read: use request.headers, request.path or source',
      })
      .optional()
      .describe('CEL that gives the key as text. What it finds is not taken out of the request on its way to an upstream.'),
  })
  .meta({ id: 'credentialLocation', description: 'Exactly one of the four.' })
  .transform(({ expression, ...rest }, context): CredentialLocation => {
    const found: CredentialLocation[] = expression === undefined ? [] : [{ kind: 'expression', expression }];
    return onlyOf([...writableIn(rest), ...found], 'header, queryParameter, cookie and expression', context);
  });

/** Where a credential is put, in the YAML: exactly one of header, queryParameter and cookie. */
export const writableLocationField = z
  .strictObject({
    ...locationShape,
    expression: z
      .never({ error: 'an expression can find a key, but cannot put one anywhere; name a header, a queryParameter or a cookie' })
      .optional()
      .describe('Refused here: an expression cannot put a key anywhere.'),
  })
  .meta({ id: 'writableLocation', description: 'Exactly one of the three.' })
  .transform((given, context) => onlyOf(writableIn(given), 'header, queryParameter and cookie', context));

/** How a person would say it, for messages: "`Authorization: Bearer KEY`". */
export function describeLocation(location: CredentialLocation): string {
  if (location.kind === 'header') return `\`${location.name}: ${location.prefix}KEY\``;
  if (location.kind === 'expression') return `what \`${location.expression.source.slice(0, 200)}\` finds`;
  return location.kind === 'cookie' ? `the cookie \`${location.name}\`` : `the query parameter \`${location.name}\``;
}

/** Reads the credential that a request carries there; undefined when there is none. */
export function credentialReaderOf(location: CredentialLocation): (exchange: Exchange) => string | undefined {
  if (location.kind === 'expression') return (exchange) => textIn(location.expression, exchange);
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

/** Numbers and lists are no keys, even where they could be printed. */
function textIn(expression: CelExpression, exchange: Exchange): string | undefined {
  try {
    const found = expression.evaluate(exchange);
    return typeof found === 'string' ? filled(found) : undefined;
  } catch (thrown) {
    if (thrown instanceof CelFailure) return undefined;
    throw thrown;
  }
}

function filled(text: string | null | undefined): string | undefined {
  return text === null || text === '' ? undefined : text;
}

/** Writes a credential into a request that leaves, replacing one that stands there. */
export function credentialWriterOf(location: WritableLocation): (outgoing: Outgoing, credential: string) => void {
  const { name } = location;
  if (location.kind === 'header') {
    const { prefix } = location;
    return ({ headers }, credential) => {
      headers[name] = prefix + credential;
    };
  }
  const remove = credentialRemoverOf(location);
  if (location.kind === 'cookie') {
    return (outgoing, credential) => {
      remove(outgoing);
      const kept = outgoing.headers.cookie;
      outgoing.headers.cookie = kept === undefined ? `${name}=${credential}` : `${kept}; ${name}=${credential}`;
    };
  }
  return (outgoing, credential) => {
    remove(outgoing);
    const pair = `${encodeURIComponent(name)}=${encodeURIComponent(credential)}`;
    outgoing.query = outgoing.query === '' ? `?${pair}` : `${outgoing.query}&${pair}`;
  };
}

/** Takes the credential out of a request that leaves; everything beside it stays letter by letter. */
export function credentialRemoverOf(location: CredentialLocation): (outgoing: Outgoing) => void {
  // Nobody knows where it came from.
  if (location.kind === 'expression') return () => undefined;
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
