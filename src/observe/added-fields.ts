/** Fields that the configuration adds to log lines and spans: CEL expressions, evaluated when the exchange has ended. */
import { type CelExpression, type CelExtras, CelFailure } from '../cel/expression.ts';
import { plainOf } from '../cel/values.ts';
import type { Exchange } from '../exchange.ts';
import { answerSeenOf } from './facts.ts';
import type { AddField, FieldValue } from './fields.ts';

export interface AddedField {
  readonly name: string;
  readonly value: CelExpression;
}

/** Who is asking, where the configuration says how to tell. */
export interface StandardAttributes {
  readonly user: CelExpression | undefined;
  readonly group: CelExpression | undefined;
}

export const nobody: StandardAttributes = { user: undefined, group: undefined };

/** The value of an expression, fit for a log: undefined where it fails. */
export type FieldReader = (exchange: Exchange, expression: CelExpression, extras: CelExtras) => FieldValue;

/** Longer texts are cut: a completion may have 64 KiB, and a line should still be one. */
const maxFieldLength = 65_536;

/** Headers that carry credentials, whatever the configuration says. */
export const credentialHeaders: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'x-api-key',
  'api-key',
  'cookie',
  'set-cookie',
]);

/** What expressions about an exchange that has ended may read beside the exchange. */
export function extrasOf(exchange: Exchange): CelExtras {
  return { answer: answerSeenOf(exchange) };
}

/** Values of the fields, and the credentials of this request taken out of them wherever they stand. */
export function createFieldReader(sensitiveHeaders: readonly string[]): FieldReader {
  const names = [...new Set([...credentialHeaders, ...sensitiveHeaders])];
  return (exchange, expression, extras) => {
    const value = plainValueOf(exchange, expression, extras);
    return typeof value === 'string' ? redacted(value.slice(0, maxFieldLength), exchange, names) : value;
  };
}

function plainValueOf(exchange: Exchange, expression: CelExpression, extras: CelExtras): FieldValue {
  try {
    const plain = plainOf(expression.evaluate(exchange, extras));
    if (plain === null || plain === undefined) return undefined;
    if (typeof plain === 'string' || typeof plain === 'number' || typeof plain === 'boolean') return plain;
    return JSON.stringify(plain);
  } catch (thrown) {
    if (thrown instanceof CelFailure) return undefined;
    throw thrown;
  }
}

function redacted(text: string, { request, headers }: Exchange, names: readonly string[]): string {
  let left = text;
  for (const name of names) {
    for (const value of [request.headers.get(name), headers.get(name)]) {
      if (value === null || value === '') continue;
      const credential = value.replace(/^(bearer|basic) +/i, '');
      for (const secret of [value, credential]) if (secret !== '') left = left.replaceAll(secret, '<redacted>');
    }
  }
  return left;
}

/** Says who is asking: as the configuration tells it, else as a trusted client said in headers. */
export function tellWho(exchange: Exchange, { user, group }: StandardAttributes, read: FieldReader, add: AddField): void {
  const extras = extrasOf(exchange);
  const said = exchange.claims?.user;
  add('agentgateway.user', user === undefined ? said && (said.id ?? said.email ?? said.name) : read(exchange, user, extras));
  if (group !== undefined) add('agentgateway.group', read(exchange, group, extras));
}
