/** What a transformation asks for, as it is applied to a request, to a try, or to an answer (agentgateway http/transformation_cel.rs). */
import * as z from 'zod';
import { celField } from '../cel/cel-field.ts';
import { type CelExpression, CelFailure } from '../cel/expression.ts';
import { plainOf, textOfValue } from '../cel/values.ts';
import type { Exchange } from '../exchange.ts';
import { isHeaderValue, ordinaryName } from './header-edits.ts';

const encoder = new TextEncoder();

/** What may be set beside headers. */
export type Pseudo = ':path' | ':method' | ':authority' | ':scheme' | ':status';

const pseudos: Readonly<Record<'request' | 'response', readonly string[]>> = {
  request: [':path', ':method', ':authority'],
  response: [':status'],
};

function headersField(side: 'request' | 'response', about: string) {
  return z
    .record(z.string(), celField('Gives the value: texts as they are, numbers and bools printed, everything else as JSON.'))
    .superRefine((values, context) => {
      for (const name of Object.keys(values)) {
        const message = nameRefusal(name, side);
        if (message !== undefined) context.addIssue({ code: 'custom', message, path: [name] });
      }
    })
    .default({})
    .describe(about);
}

function nameRefusal(name: string, side: 'request' | 'response'): string | undefined {
  if (!name.startsWith(':')) return ordinaryName(name);
  if (pseudos[side].includes(name)) return undefined;
  return `"${name}" cannot be set here; beside headers, ${side === 'request' ? 'a request has :path, :method and :authority' : 'an answer has :status'}`;
}

export function editsField(side: 'request' | 'response') {
  const things = side === 'request' ? '`:path`, `:method` and `:authority`' : '`:status`';
  return z.strictObject({
    metadata: z
      .record(z.string(), celField('Gives the value. Left out where it fails.'))
      .default({})
      .describe('Values to keep: later expressions read them as `metadata.name`, in the access log too. Comes first.'),
    replace: celField(
      'Gives all headers as a map, in place of those that are there. Where it fails, or is no map, they stay. Comes second.',
    ).optional(),
    add: headersField(side, 'Header names and what to add to them. A header whose expression fails is removed. Comes third.'),
    set: headersField(
      side,
      `Header names, or ${things}, and their new values. A header whose expression fails is removed. Comes fourth.`,
    ),
    remove: z
      .array(z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, { error: 'expected a header name' }))
      .default([])
      .describe('Names of headers to remove. Comes fifth.'),
    body: celField(
      'Gives the body: texts and bytes as they are, everything else as JSON. Where it fails, the body is empty. Comes last.',
    ).optional(),
  });
}

export type EditOptions = z.output<ReturnType<typeof editsField>>;

/** What is edited. Names are in lower case, values are fit for headers. */
export interface Subject {
  evaluate(expression: CelExpression): unknown;
  add(name: string, value: string): void;
  set(name: string, value: string): void;
  delete(name: string): void;
  /** All headers at once. */
  replace(headers: readonly (readonly [name: string, value: string])[]): void;
  setPseudo(name: Pseudo, value: unknown): void;
}

/** All expressions, with the place of each. */
export function expressionsIn(edits: EditOptions | undefined): readonly (readonly [place: string, expression: CelExpression])[] {
  if (edits === undefined) return [];
  const { metadata, replace, add, set, body } = edits;
  const named = Object.entries({ metadata, add, set }).flatMap(([group, expressions]) =>
    Object.entries(expressions).map(([name, expression]) => [`${group}["${name}"]`, expression] as const),
  );
  const single = Object.entries({ replace, body }).flatMap(([name, expression]) =>
    expression === undefined ? [] : [[name, expression] as const],
  );
  return [...named, ...single];
}

export type HeaderEdit = (exchange: Exchange, subject: Subject) => void;

/** Everything but the body; undefined where there is nothing to do. */
export function headerEditOf(edits: EditOptions | undefined): HeaderEdit | undefined {
  if (edits === undefined) return undefined;
  const { metadata, replace, add, set } = edits;
  const values = Object.entries(metadata);
  const added = Object.entries(add).map(([name, expression]) => [name.toLowerCase(), expression] as const);
  const put = Object.entries(set).map(([name, expression]) => [name.toLowerCase(), expression] as const);
  const removed = edits.remove.map((name) => name.toLowerCase());
  if (values.length + added.length + put.length + removed.length === 0 && replace === undefined) return undefined;
  return (exchange, subject) => {
    for (const [name, expression] of values) keep(exchange, name, evaluated(subject, expression));
    if (replace !== undefined) replaceAll(subject, evaluated(subject, replace));
    for (const [name, expression] of added) change(subject, name, evaluated(subject, expression), false);
    for (const [name, expression] of put) change(subject, name, evaluated(subject, expression), true);
    for (const name of removed) subject.delete(name);
  };
}

/** The new body; empty where the expression fails. */
export function bodyFrom(subject: Pick<Subject, 'evaluate'>, expression: CelExpression): Uint8Array {
  const value = evaluated(subject, expression);
  return value instanceof Uint8Array ? value : encoder.encode(textOf(value) ?? '');
}

/** Undefined for what fails. */
export function evaluated(subject: Pick<Subject, 'evaluate'>, expression: CelExpression): unknown {
  try {
    return subject.evaluate(expression);
  } catch (thrown) {
    if (thrown instanceof CelFailure) return undefined;
    throw thrown;
  }
}

/** Values that are nested too deep to be printed fail like others. */
function textOf(value: unknown): string | undefined {
  return unlessItFails(() => textOfValue(value));
}

function unlessItFails<Result>(make: () => Result): Result | undefined {
  try {
    return make();
  } catch (thrown) {
    if (thrown instanceof CelFailure) return undefined;
    throw thrown;
  }
}

function keep(exchange: Exchange, name: string, value: unknown): void {
  if (value === undefined) return;
  exchange.metadata ??= Object.create(null) as Record<string, unknown>;
  try {
    exchange.metadata[name] = plainOf(value);
  } catch (thrown) {
    if (!(thrown instanceof CelFailure)) throw thrown;
  }
}

function change(subject: Subject, name: string, value: unknown, replaces: boolean): void {
  if (name.startsWith(':')) {
    if (value !== undefined) subject.setPseudo(name as Pseudo, value);
    return;
  }
  const text = headerTextOf(value);
  // A failed expression must not leave what the client sent under a name that the policy is trusted for.
  if (text === undefined) subject.delete(name);
  else if (replaces) subject.set(name, text);
  else subject.add(name, text);
}

function replaceAll(subject: Subject, value: unknown): void {
  const isMap = typeof value === 'object' && value !== null && !(value instanceof Uint8Array);
  const plain = isMap ? unlessItFails(() => plainOf(value)) : undefined;
  if (typeof plain !== 'object' || plain === null || Array.isArray(plain)) return;
  const headers = Object.entries(plain).flatMap(([name, member]) => {
    const lower = name.toLowerCase();
    if (ordinaryName(lower) !== undefined) return [];
    return (Array.isArray(member) ? member : [member]).flatMap((item) => {
      const text = typeof item === 'object' ? undefined : headerTextOf(item);
      return text === undefined ? [] : [[lower, text] as const];
    });
  });
  subject.replace(headers);
}

/** As a header holds it: one byte a sign, UTF-8 beyond ASCII; undefined for line ends and other control signs. */
function headerTextOf(value: unknown): string | undefined {
  const text = value instanceof Uint8Array ? oneByteText(value) : textOf(value);
  if (text === undefined) return undefined;
  const encoded = value instanceof Uint8Array || isAscii.test(text) ? text : oneByteText(encoder.encode(text));
  return isHeaderValue(encoded) ? encoded : undefined;
}

const isAscii = /^[\x20-\x7e\t]*$/;

function oneByteText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
}

/** A status that a response may have; undefined for anything else. */
export function statusOf(value: unknown): number | undefined {
  const status = typeof value === 'bigint' || typeof value === 'number' ? Number(value) : Number.NaN;
  return Number.isInteger(status) && status >= 200 && status <= 599 ? status : undefined;
}

/** A method that can be sent; undefined for anything else. */
export function methodOf(value: unknown): string | undefined {
  const method = typeof value === 'string' ? value.toUpperCase() : '';
  return /^[A-Z]{1,20}$/.test(method) && !['CONNECT', 'TRACE', 'TRACK'].includes(method) ? method : undefined;
}

/** Path and query as they stand in a request line; undefined for anything else. */
export function targetOf(value: unknown): { readonly path: string; readonly query: string } | undefined {
  if (typeof value !== 'string' || !/^\/[\x21\x22\x24-\x7e]*$/.test(value)) return undefined;
  const at = value.indexOf('?');
  return at < 0 ? { path: value, query: '' } : { path: value.slice(0, at), query: value.slice(at) };
}

/** Host, and port where there is one; undefined for anything else. */
export function authorityOf(value: unknown): string | undefined {
  const isAuthority = typeof value === 'string' && /^(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.test(value);
  return isAuthority ? value : undefined;
}
