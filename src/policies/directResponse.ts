/** Answers by itself: no upstream is asked, and the route needs none (agentgateway http/filters.rs). */
import * as z from 'zod';
import { celField } from '../cel/cel-field.ts';
import { type CelExpression, CelFailure } from '../cel/expression.ts';
import { textOfValue } from '../cel/values.ts';
import type { Exchange } from '../exchange.ts';
import { untypedStream } from '../http/untyped-body.ts';
import { withConditions } from './conditional.ts';
import { isHeaderValue, ordinaryName } from './header-edits.ts';
import { definePolicy, type PolicyScope } from './policy.ts';

const shape = {
  status: z.int().min(200).max(599).describe('Status code of the answer.'),
  body: z
    .union([z.string(), z.array(z.int().min(0).max(255))], { error: 'expected a text, or a list of bytes' })
    .nullish()
    .describe('The body: a text, or a list of bytes. Set a `content-type` in `headers`; none is sent by itself.'),
  bodyExpression: celField('Gives the body.')
    .nullish()
    .describe(
      'Instead of `body`: a CEL expression that gives it. Texts and bytes as they are, everything else as JSON; empty where it fails.',
    ),
  headers: z
    .record(z.string(), celField('Gives the value. The header is left out where it fails.'))
    .default({})
    .superRefine((headers, context) => {
      for (const name of Object.keys(headers)) {
        const message = ordinaryName(name);
        if (message !== undefined) context.addIssue({ code: 'custom', message, path: [name] });
      }
    })
    .describe('Headers of the answer: name and CEL expression. A fixed value is a CEL text: `content-type: "\'text/plain\'"`.')
    .meta({ examples: [{ 'content-type': "'application/json'" }] }),
};

interface Given {
  readonly body?: string | readonly number[] | null | undefined;
  readonly bodyExpression?: CelExpression | null | undefined;
}

function oneBody({ body, bodyExpression }: Given, context: z.RefinementCtx): void {
  if (isThere(body) && isThere(bodyExpression)) {
    context.addIssue({ code: 'custom', message: 'expected at most one of: body, bodyExpression' });
  }
}

const optionsField = z.strictObject(shape).superRefine(oneBody);

export type DirectResponseOptions = z.output<typeof optionsField>;

const plain = definePolicy<DirectResponseOptions>({
  name: 'directResponse',
  about: 'Answers with a fixed or computed response instead of asking an upstream.',
  places: ['route'],
  options: optionsField,
  example: `directResponse:
  status: 404
  headers:
    content-type: "'application/json'"
  bodyExpression: |
    {"error": "no such path: " + request.path}
`,

  onRequest(options, scope) {
    const respond = responderOf(options, scope);
    const readsBody = expressionsOf(options).some(({ needs }) => needs.requestBody);
    return async ({ env: exchange }) => {
      if (readsBody) await exchange.bodies.read(exchange);
      return respond(exchange);
    };
  },
});

export const directResponse = withConditions(plain, (condition) =>
  z
    .strictObject({ ...shape, ...condition })
    .superRefine(oneBody)
    .transform(({ condition: when, ...options }) => ({ condition: when, options })),
);

function expressionsOf({ bodyExpression, headers }: DirectResponseOptions): readonly CelExpression[] {
  return [...(isThere(bodyExpression) ? [bodyExpression] : []), ...Object.values(headers)];
}

/** What makes a Response without a body of any kind (fetch standard, null body status). */
const bodyless = new Set([204, 205, 304]);

function responderOf(options: DirectResponseOptions, { warn, runtime }: PolicyScope): (exchange: Exchange) => Response {
  const { status } = options;
  const bodyOf = bodyMakerOf(options);
  const headers = Object.entries(options.headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  if (bodyless.has(status) && bodyOf !== undefined) warn(`an answer with status ${status} has no body: it is left out`);
  return (exchange) => {
    const made = new Headers();
    for (const [name, expression] of headers) {
      const value = expression.textOf(exchange);
      if (value !== undefined && isHeaderValue(value)) made.set(name, value);
    }
    const bytes = bodyless.has(status) ? undefined : bodyOf?.(exchange);
    const isStreamed = bytes !== undefined && runtime === 'bun' && !made.has('content-type');
    const body = isStreamed ? untypedStream(bytes) : ((bytes ?? null) as Uint8Array<ArrayBuffer> | null);
    return new Response(body, { status, headers: made });
  };
}

function bodyMakerOf({ body, bodyExpression }: DirectResponseOptions): ((exchange: Exchange) => Uint8Array) | undefined {
  const encoder = new TextEncoder();
  if (isThere(body)) {
    const bytes = typeof body === 'string' ? encoder.encode(body) : new Uint8Array(body);
    return bytes.length === 0 ? undefined : () => bytes;
  }
  if (!isThere(bodyExpression)) return undefined;
  return (exchange) => {
    const value = evaluated(bodyExpression, exchange);
    return value instanceof Uint8Array ? value : encoder.encode(value ?? '');
  };
}

/** Bytes, or a text. Undefined for what fails; values that are nested too deep to be printed do, too. */
function evaluated(expression: CelExpression, exchange: Exchange): Uint8Array | string | undefined {
  try {
    const value = expression.evaluate(exchange);
    return value instanceof Uint8Array ? value : textOfValue(value);
  } catch (thrown) {
    if (thrown instanceof CelFailure) return undefined;
    throw thrown;
  }
}

function isThere<Value>(value: Value | null | undefined): value is Value {
  return value !== null && value !== undefined;
}
