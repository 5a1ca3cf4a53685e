/**
 * The person behind a key that many share, as a client that is trusted with it names them in headers. Open WebUI does so with
 * ENABLE_FORWARD_USER_INFO_HEADERS (its utils/headers.py: the name percent-encoded, the rest as it is).
 */
import * as z from 'zod';
import type { Exchange, UserClaims } from '../exchange.ts';

type Fact = keyof UserClaims;

const facts = ['id', 'email', 'name', 'role'] as const satisfies readonly Fact[];

/** Pairs of what is told and the header, in lower case, that tells it. */
export type UserHeaders = readonly (readonly [Fact, string])[];

const openWebUi: UserHeaders = facts.map((fact) => [fact, `x-openwebui-user-${fact}`]);

/** Longer values are cut: they become labels of metrics and fields of logs. */
const maxLength = 256;

const nameField = z
  .string()
  .regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, { error: 'expected a header name' })
  .transform((name) => name.toLowerCase());

/** `metadata.userHeaders`: true for Open WebUI's names, or the names by what they tell. Undefined: nobody is believed. */
export const userHeadersField = z
  .union(
    [
      z.boolean(),
      z
        .strictObject({
          id: nameField.optional(),
          email: nameField.optional(),
          name: nameField.optional(),
          role: nameField.optional(),
        })
        .refine((names) => Object.keys(names).length > 0, { error: 'expected at least one of id, email, name and role' }),
    ],
    { error: 'expected true, or header names: {id, email, name, role}' },
  )
  .transform((given): UserHeaders | undefined => {
    if (typeof given === 'boolean') return given ? openWebUi : undefined;
    return facts.flatMap((fact) => {
      const header = given[fact];
      return header === undefined ? [] : [[fact, header] as const];
    });
  });

/** Takes over what the headers tell. They go to no upstream: whoever reads them there would have to know whom to believe. */
export function takeUser(exchange: Exchange, names: UserHeaders): void {
  const user: { -readonly [Member in Fact]?: string } = {};
  for (const [fact, header] of names) {
    const value = exchange.headers.get(header);
    if (value === null || value === '') continue;
    user[fact] = (fact === 'name' ? decoded(value) : value).slice(0, maxLength);
    exchange.consumedHeaders.add(header);
  }
  exchange.claims = { ...exchange.claims, user };
}

function decoded(name: string): string {
  try {
    // A decoded line end would make a new line in a log.
    return decodeURIComponent(name).replace(/\p{Cc}/gu, ' ');
  } catch {
    return name;
  }
}
