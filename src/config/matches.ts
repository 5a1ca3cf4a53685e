/** When a route takes a request: path, method, headers, query. */
import * as z from 'zod';
import type { TextPattern } from '../fields/regex.ts';
import { fullRegexField, stringMatchField } from '../fields/string-match.ts';

export type PathMatch =
  | { readonly kind: 'exact'; readonly value: string }
  | { readonly kind: 'prefix'; readonly value: string }
  | { readonly kind: 'regex'; readonly pattern: string; readonly regex: TextPattern };

const pathMatchField = z
  .strictObject({
    exact: z.string().optional().describe('The whole path, letter by letter.'),
    pathPrefix: z
      .string()
      .optional()
      .describe('The start of the path, in whole segments: `/v1` matches `/v1` and `/v1/x`, not `/v1x`.'),
    regex: fullRegexField.optional().describe('A regular expression that must cover the whole path, without the query.'),
  })
  .meta({ description: 'Exactly one of the three.' })
  .transform((given, context): PathMatch => {
    const [match, ...others] = [
      given.exact === undefined ? [] : [{ kind: 'exact' as const, value: given.exact }],
      given.pathPrefix === undefined ? [] : [{ kind: 'prefix' as const, value: given.pathPrefix }],
      given.regex === undefined ? [] : [{ kind: 'regex' as const, ...given.regex }],
    ].flat();
    if (match !== undefined && others.length === 0) return match;
    context.addIssue('expected exactly one of: exact, pathPrefix, regex');
    return z.NEVER;
  });

const headerMatchField = z.strictObject({
  name: z
    .string()
    .regex(/^:?[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, 'expected the name of a header')
    .transform((name) => name.toLowerCase())
    .describe('Name of the header, in any case; or `:method`, `:path`, `:authority`, `:scheme`.'),
  value: stringMatchField.describe('What its value must be. Of a repeated header one value is enough.'),
});

export const headerMatchesField = z.array(headerMatchField).default([]).describe('Headers that must all match.');

/** One entry of `matches`; all of it must match. */
export const matchField = z
  .strictObject({
    path: pathMatchField.prefault({ pathPrefix: '/' }).describe('The path. Left out, every path matches.'),
    method: z
      .string()
      .regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, 'expected a method such as "GET"')
      .optional()
      .describe('The method, in capitals.'),
    headers: headerMatchesField,
    query: z
      .array(
        z.strictObject({
          name: z.string().min(1).describe('Name of the parameter.'),
          value: stringMatchField.describe('What its decoded value must be; of a repeated parameter one value is enough.'),
        }),
      )
      .default([])
      .describe('Query parameters that must all match.'),
  })
  .meta({ id: 'match' });

export type MatchConfig = z.output<typeof matchField>;
export type HeaderMatchConfig = z.output<typeof headerMatchField>;
