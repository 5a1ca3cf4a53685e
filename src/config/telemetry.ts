/** What the configuration says of metrics, the access log and traces: `config.*` and `frontendPolicies.*`. */
import * as z from 'zod';
import { celField, celOf } from '../cel/cel-field.ts';
import type { CelExpression } from '../cel/expression.ts';
import { baseUrlField } from '../fields/base-url.ts';
import { secretField } from '../fields/secret.ts';
import { serverRefOf, serverRefShape } from '../fields/server-ref.ts';
import { FieldError, parsedOr } from '../fields/text-field.ts';

/** However many fields a file asks for: each costs an evaluation per request. */
const maxAdded = 64;

/** By name, in the order of the file. */
export type NamedExpressions = Readonly<Record<string, CelExpression>>;

/** No pattern of the schema: the JSON Schema's patterns know no `\p`, and editors would take other names for wrong. */
const attributeNameField = z
  .string()
  .refine((name) => /^[^\s="\\\p{C}]{1,200}$/u.test(name), 'a name has no blanks, no quotes and no "="');

function expressionsField(names: string, about: string) {
  return z
    .record(attributeNameField, celField('The value.'))
    .refine((given) => Object.keys(given).length <= maxAdded, `at most ${maxAdded} ${names}`)
    .default({})
    .describe(about);
}

function removedField(about: string) {
  return z.array(z.string()).max(1_000).default([]).describe(about);
}

// ------------------------------------------------------------------------------------------------------------------ log

const logFields = {
  add: expressionsField('fields', 'Fields to add, by name; each a CEL expression. One that fails leaves its field out.').meta({
    examples: [{ 'user.id': 'jwt.sub' }],
  }),
  remove: removedField('Names of fields to leave out.'),
};

const logFilterField = celField('Requests for which it is true are logged; without it, all are.')
  .optional()
  .meta({ examples: ['response.code >= 500'] });

/** The members that `config.logging` has beside level and format. */
export const loggingShape = {
  filter: logFilterField.describe('Deprecated for `frontendPolicies.accessLog.filter`, which wins.'),
  fields: z
    .strictObject(logFields)
    .prefault({})
    .describe('Deprecated for `frontendPolicies.accessLog`, whose `add` and `remove` come on top.'),
};

export const accessLogField = z
  .strictObject({
    filter: logFilterField,
    ...logFields,
  })
  .meta({ id: 'accessLog', description: 'Which requests are logged, and what of them.' });

// -------------------------------------------------------------------------------------------------------------- metrics

/** As Prometheus has them, and none that a metric has already. */
const labelName = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/;
const ownLabels = new Set(
  'le backend protocol method status reason bind gateway listener route route_rule gen_ai_token_type gen_ai_operation_name gen_ai_system gen_ai_request_model gen_ai_response_model'.split(
    ' ',
  ),
);
const maxLabels = 16;

export const metricsField = z
  .strictObject({
    remove: removedField('Names of metrics that are not counted, with or without `agentgateway_` in front.'),
    fields: z
      .strictObject({
        add: z
          .record(
            z.string().superRefine((name, context) => {
              if (!labelName.test(name)) context.addIssue('a label is made of letters, digits and "_", and begins with a letter');
              else if (ownLabels.has(name)) context.addIssue(`the metrics have a label "${name}" already; choose another name`);
            }),
            celField('The value.'),
          )
          .refine((given) => Object.keys(given).length <= maxLabels, `at most ${maxLabels} labels`)
          .default({})
          .describe(
            'Labels to add to what is counted per request and per model, by name; each a CEL expression. One that fails gives `unknown`.',
          )
          .meta({ examples: [{ user_id: 'apiKey.user' }] }),
      })
      .prefault({})
      .describe('Labels of the metrics.'),
  })
  .prefault({})
  .describe('What `/metrics` at the admin address tells.');

export const histogramsField = z
  .enum(['classic'], { error: 'Corral writes classic histograms only; leave it out, or say classic' })
  .default('classic')
  .describe('Kind of the histograms.');

export const standardAttributesField = z
  .strictObject({
    user: celField('Who is asking. Default: what a trusted client says in headers.').optional(),
    group: celField('The group of who is asking.').optional(),
  })
  .prefault({})
  .describe(
    'Who is asking, for the log (`agentgateway.user`, `agentgateway.group`), spans, and the metrics (`agentgateway_user`, `agentgateway_group`).',
  )
  .meta({ examples: [{ user: 'jwt.email' }] });

export const sensitiveHeadersField = z
  .array(z.string().min(1).toLowerCase())
  .max(100)
  .default([])
  .describe('Names of headers whose values stand in no log line and no span; those that carry credentials never do.');

// --------------------------------------------------------------------------------------------------------------- traces

/** A part of the requests, 0 to 1, or an expression that says it for each: true, false or a number. */
export type Sampling = number | CelExpression;

function samplingOf(given: string | number | boolean): Sampling {
  if (typeof given === 'boolean') return given ? 1 : 0;
  const text = String(given).trim();
  if (text === 'true' || text === 'false') return text === 'true' ? 1 : 0;
  const ratio = text === '' ? Number.NaN : Number(text);
  if (Number.isNaN(ratio)) return celOf(text);
  if (ratio < 0 || ratio > 1) throw new FieldError('a part of the requests is a number from 0 to 1');
  return ratio;
}

const samplingField = z
  .union([z.boolean(), z.number(), z.string()], { error: 'expected true, false, a number from 0 to 1, or a CEL expression' })
  .transform((given, context) => parsedOr(() => samplingOf(given), context));

const samplingShape = {
  randomSampling: samplingField
    .prefault(false)
    .describe('Which requests without a trace begin one: true, false, a part from 0 to 1, or a CEL expression that gives one.')
    .meta({ examples: [0.1] }),
  clientSampling: samplingField
    .prefault(true)
    .describe('Which requests that come with a sampled trace go on with it, said in the same ways.'),
};

const grpcRefusal =
  'Corral sends traces as OTLP over HTTP, not gRPC: say http, and the port where the collector takes it (4318 unless it was changed)';

const protocolField = z.literal('http', { error: grpcRefusal }).optional().describe('`http`; gRPC is refused.');

const tracePathField = z
  .string()
  .regex(/^\/[\x21-\x7e]*$/, 'expected a path, from "/" on')
  .default('/v1/traces')
  .describe('Path at the collector.');

/** Deprecated, and still in agentgateway's examples. */
export const processTracingField = z
  .strictObject({
    otlpEndpoint: baseUrlField.describe('The collector.').meta({ examples: ['http://localhost:4318'] }),
    headers: z
      .record(z.string().min(1).toLowerCase(), secretField)
      .default({})
      .describe('Headers for the collector, such as a key.'),
    otlpProtocol: protocolField,
    fields: z.strictObject(logFields).prefault({}).describe('Attributes of the spans to add, and to leave out.'),
    ...samplingShape,
    path: tracePathField,
  })
  .describe('Deprecated for `frontendPolicies.tracing`, which wins. Where traces are sent.');

export const tracingField = z
  .strictObject({
    ...serverRefShape,
    attributes: expressionsField('attributes', 'Attributes to add to the spans of requests, by name; each a CEL expression.'),
    resources: expressionsField(
      'attributes',
      'Attributes of this Corral itself, such as `service.name`; evaluated once, with the first request.',
    ),
    remove: removedField('Names of attributes to leave out.'),
    ...samplingShape,
    filter: celField('Of the sampled requests only those for which it is true are sent.').optional(),
    path: tracePathField,
    protocol: protocolField,
  })
  .meta({ id: 'tracing', description: 'Where traces are sent, and of which requests.' })
  .transform((given, context) => {
    const { host, backend, service: _, ...rest } = given;
    return { server: serverRefOf({ host, backend }, context) ?? z.NEVER, ...rest };
  });

export type AccessLogConfig = z.output<typeof accessLogField>;
export type ProcessTracingConfig = z.output<typeof processTracingField>;
export type TracingConfig = z.output<typeof tracingField>;
