/** Settings of the whole process: `config`, `frontendPolicies`, and `fleet`, which is Corral's own. */
import * as z from 'zod';
import { baseUrlField } from '../fields/base-url.ts';
import { byteSizeField } from '../fields/byte-size.ts';
import { durationField } from '../fields/duration.ts';
import { hostPortOf } from '../fields/host-port.ts';
import { onlyHere } from '../fields/portable.ts';
import { FieldError, textField } from '../fields/text-field.ts';
import { networkAuthorizationField } from '../policies/authorization-rules.ts';
import {
  accessLogField,
  histogramsField,
  loggingShape,
  metricsField,
  processTracingField,
  sensitiveHeadersField,
  standardAttributesField,
  tracingField,
} from './telemetry.ts';

/** Where an internal port listens, or that it does not. */
export type ListenAddress = { readonly host: string; readonly port: number } | 'off';

/** `off`, or an address to listen on, as agentgateway writes them: `localhost:15000`, `[::]:15021`. */
const listenAddressField = textField(
  '"off" or an address to listen on, such as "localhost:15000"',
  (text): ListenAddress => {
    if (text === 'off') return 'off';
    const { host, port } = hostPortOf(text, 0);
    return { host, port };
  },
  'address',
);

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

const levelWords: Readonly<Record<string, LogLevel>> = {
  error: 'error',
  warn: 'warn',
  info: 'info',
  debug: 'debug',
  trace: 'debug',
};

/** agentgateway also takes levels per module (`info,agent_core=trace`); those name its own modules, so only the bare level counts. */
function logLevelOf(given: string | readonly string[]): LogLevel {
  const words = (typeof given === 'string' ? given.split(',') : given).map((word) => word.trim().toLowerCase());
  const bare = words.filter((word) => !word.includes('='));
  const level = levelWords[bare[0] ?? 'info'];
  if (level === undefined || bare.length > 1) throw new FieldError('expected one of: error, warn, info, debug, trace');
  return level;
}

const logLevelField = z
  .union([z.string(), z.array(z.string())], { error: 'expected a level such as "info"' })
  .transform((given, context): LogLevel => {
    try {
      return logLevelOf(given);
    } catch (thrown) {
      if (!(thrown instanceof FieldError)) throw thrown;
      context.addIssue(thrown.message);
      return z.NEVER;
    }
  });

export const processField = z
  .strictObject({
    adminAddr: listenAddressField
      .prefault('localhost:15000')
      .describe(
        'Where readiness, metrics and the configuration in force can be read. Off loopback it asks for `CORRAL_ADMIN_TOKEN`.',
      ),
    statsAddr: listenAddressField
      .optional()
      .describe('A port of its own for `/metrics`, without a token. Left out, they are at the admin address.'),
    connectionTerminationDeadline: durationField
      .refine((ms) => ms <= 86_400_000, 'expected a day at most')
      .prefault('30s')
      .describe('After SIGTERM, how long answers under way may take before they are cut.'),
    connectionMinTerminationDeadline: durationField
      .refine((ms) => ms <= 86_400_000, 'expected a day at most')
      .prefault('0s')
      .describe(
        'After SIGTERM, how long new requests are still taken, while readiness already says no: load balancers need a while to notice.',
      ),
    readinessAddr: listenAddressField
      .optional()
      .describe('A port of its own for `/healthz/ready`. Left out, it is at the admin address.'),
    logging: z
      .strictObject({
        level: logLevelField.prefault('info').describe('How much Corral says about itself on standard error.'),
        format: z.enum(['text', 'json']).default('text').describe('Shape of the access log on standard output.'),
        ...loggingShape,
      })
      .prefault({})
      .describe('Logs.'),
    metrics: metricsField,
    histograms: histogramsField,
    standardAttributes: standardAttributesField,
    sensitiveHeaders: sensitiveHeadersField,
    tracing: processTracingField.optional(),
  })
  .prefault({})
  .meta({ id: 'config', description: 'Settings of the whole process.' });

export const frontendPoliciesField = z
  .strictObject({
    http: z
      .strictObject({
        maxBufferSize: byteSizeField.optional().describe('Largest request body. `fleet.maxBodyBytes` says the same and wins.'),
      })
      .prefault({})
      .describe('Limits of HTTP.'),
    networkAuthorization: networkAuthorizationField.optional(),
    accessLog: accessLogField.optional(),
    logging: accessLogField.optional().describe('Another name for `accessLog`; not both.'),
    tracing: tracingField.optional(),
  })
  .refine(({ accessLog, logging }) => accessLog === undefined || logging === undefined, {
    error: 'accessLog and logging are two names of one thing; write accessLog alone',
    path: ['logging'],
  })
  .prefault({})
  .meta({ id: 'frontendPolicies', description: 'What holds for everything that comes in.' });

/** Durations that become timers: not so short that Corral does nothing else, not longer than the runtimes' timers (24 days). */
function timerField(leastMs: number, least: string) {
  return durationField
    .refine((ms) => ms >= leastMs, `expected at least ${least}`)
    .refine((ms) => ms <= 24 * 86_400_000, 'expected 24 days at most');
}

/** A method and a path that are opened on boxes although they are not among the known ones. */
export interface OpenPath {
  readonly method: string;
  readonly path: string;
}

const openPathField = textField(
  'a method and a path, such as "POST /api/pull"',
  (text): OpenPath => {
    const match = /^([A-Z]+) +(\/[\x21-\x7e]*)$/.exec(text);
    const [, method, path] = match ?? [];
    if (method === undefined || path === undefined)
      throw new FieldError('expected a method in capitals and a path, such as "POST /api/pull"');
    if (/[?#%]|\/\/|\/\.{1,2}(?:\/|$)/.test(path))
      throw new FieldError('expected a plain path, without query, "%", "//" or dot segments');
    return { method, path };
  },
  'METHOD /path',
);

export const fleetField = onlyHere(
  z.strictObject({
    loadTimeout: timerField(1_000, '1s')
      .prefault('15m')
      .describe(
        'How long a box may take to answer its first byte. A cold model is loaded from disk in this time, so keep it generous.',
      ),
    idleTimeout: timerField(1_000, '1s')
      .prefault('30s')
      .describe(
        'How long a stream may be silent once its box no longer answers probes. A box that answers is waited for without limit.',
      ),
    probeInterval: timerField(1_000, '1s')
      .prefault('10s')
      .describe('How often boxes are asked what they have and what they have loaded.'),
    maxBodyBytes: byteSizeField
      .optional()
      .describe('Largest request body; larger ones get 413. Left out: 32 MiB, on Workers 8 MiB.')
      .meta({ examples: ['64MiB'] }),
    maxBufferedBytes: byteSizeField
      .optional()
      .describe(
        'Most bytes of request bodies held in memory at once; beyond it requests get 503. Left out: 256 MiB, on Workers 48 MiB.',
      ),
    bodyTimeout: timerField(1_000, '1s')
      .prefault('60s')
      .describe('How long a client may take to send its body; then it gets 408.'),
    moderationUrl: baseUrlField
      .optional()
      .describe(
        'The server that openAIModeration guards ask, if it is not OpenAI: any with `POST /v1/moderations`. With a path, `/moderations` is added to it.',
      ),
    allowCloudModels: z
      .boolean()
      .default(false)
      .describe(
        'Whether models that Ollama would send to its cloud (`:cloud`, `-cloud`) may be used. What is asked of them leaves the house.',
      ),
    allowWebSearch: z
      .boolean()
      .default(false)
      .describe(
        'Whether `web_search` tools of Responses and Messages requests reach a box, which runs them through ollama.com. Otherwise they are left out, with a warning.',
      ),
    openPaths: z
      .array(openPathField)
      .max(100, 'at most 100 paths')
      .default([])
      .describe('Further paths to open on boxes, as `METHOD /path`. Paths that manage a box still ask for the admin scope.')
      .meta({ examples: [['POST /api/experimental']] }),
  }),
  "agentgateway does not know this section: it is Corral's own",
)
  .prefault({})
  .meta({
    id: 'fleet',
    description: "How Corral treats its boxes. Only Corral knows this section; all others are agentgateway's.",
  });

export type ProcessConfig = z.output<typeof processField>;
export type FrontendPoliciesConfig = z.output<typeof frontendPoliciesField>;
export type FleetConfig = z.output<typeof fleetField>;
