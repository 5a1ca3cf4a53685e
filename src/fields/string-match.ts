/** How a value of a header, a query parameter or a path is matched: `{exact: text}` or `{regex: pattern}`. */
import * as z from 'zod';
import { fullRegexOf, type TextPattern } from './regex.ts';
import { parsedOr, textField } from './text-field.ts';

export type StringMatch =
  | { readonly kind: 'exact'; readonly value: string }
  | {
      readonly kind: 'regex';
      /** As written in the YAML; its length counts in the precedence of routes. */
      readonly pattern: string;
      /** Covers the whole value. */
      readonly regex: TextPattern;
    };

/** A regular expression in the YAML that must cover the whole value. Output: its text and the compiled form. */
export const fullRegexField = textField(
  'a regular expression',
  (pattern) => ({ pattern, regex: fullRegexOf(pattern) }),
  'regular expression',
);

const expected = '{exact: "text"} or {regex: "pattern"}';

/** A match in the YAML. Output: StringMatch. */
export const stringMatchField = z
  .union(
    [
      z.strictObject({ exact: z.string().describe('The whole value, letter by letter.') }),
      z.strictObject({
        regex: z.string().describe('A regular expression that must cover the whole value. `(?i)` at its start ignores case.'),
      }),
    ],
    { error: `expected ${expected}` },
  )
  .transform((match, context): StringMatch => {
    if ('exact' in match) return { kind: 'exact', value: match.exact };
    const { regex: pattern } = match;
    return parsedOr(() => ({ kind: 'regex' as const, pattern, regex: fullRegexOf(pattern) }), context);
  });

/** Whether a value satisfies the match. */
export function matchesText(match: StringMatch, value: string): boolean {
  return match.kind === 'exact' ? match.value === value : match.regex.test(value);
}
