/** The options that both header policies share: `{add, set, remove}`, applied in this order (agentgateway http/filters.rs). */
import * as z from 'zod';

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** No line ends and no NUL: those would let a value start a header of its own. Nothing beyond one byte a sign. */
const value = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * These belong to one connection or are computed from the body. Writing them by hand makes two parties disagree on where a
 * message ends, which is how requests are smuggled.
 */
const framing = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Whether a text may stand as a header's value. */
export function isHeaderValue(text: string): boolean {
  return value.test(text);
}

const headerValueField = z
  .string({ error: 'expected a text; put numbers and true or false in quotes' })
  .regex(value, { error: 'a header value holds printable signs only, no line ends' });

/** Why a header of this name cannot be written, or undefined. */
export type NameRefusal = (name: string) => string | undefined;

export const ordinaryName: NameRefusal = (name) => {
  if (!token.test(name)) return `"${name}" is no header name`;
  return framing.has(name.toLowerCase()) ? `"${name}" is decided by the connection and the body, not by a policy` : undefined;
};

function valuesField(refusal: NameRefusal, about: string) {
  return z
    .record(z.string(), headerValueField)
    .superRefine((values, context) => {
      for (const name of Object.keys(values)) {
        const message = refusal(name);
        if (message !== undefined) context.addIssue({ code: 'custom', message, path: [name] });
      }
    })
    .optional()
    .describe(about);
}

export function headerEditsField(refusal: NameRefusal) {
  return z.strictObject({
    add: valuesField(refusal, 'Header names and values to add; what the header holds already stays.'),
    set: valuesField(refusal, 'Header names and values to set; what the header held before is replaced.'),
    remove: z
      .array(z.string().regex(token, { error: 'expected a header name' }))
      .optional()
      .describe('Names of headers to remove.'),
  });
}

export type HeaderEditOptions = z.infer<ReturnType<typeof headerEditsField>>;

export interface HeaderEdits {
  /** Names in lower case, as everywhere inside. */
  readonly add: readonly (readonly [name: string, value: string])[];
  readonly set: readonly (readonly [name: string, value: string])[];
  readonly remove: readonly string[];
}

export function headerEditsOf(options: HeaderEditOptions): HeaderEdits {
  return {
    add: lowered(options.add),
    set: lowered(options.set),
    remove: (options.remove ?? []).map((name) => name.toLowerCase()),
  };
}

function lowered(values: Readonly<Record<string, string>> = {}): readonly (readonly [string, string])[] {
  return Object.entries(values).map(([name, value]) => [name.toLowerCase(), value] as const);
}
