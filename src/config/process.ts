/** Settings of the whole process: `config` and `frontendPolicies`. */
import * as z from 'zod';
import { byteSizeField } from '../fields/byte-size.ts';
import { durationField } from '../fields/duration.ts';
import { hostPortOf } from '../fields/host-port.ts';
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

export type ProcessConfig = z.output<typeof processField>;
export type FrontendPoliciesConfig = z.output<typeof frontendPoliciesField>;
