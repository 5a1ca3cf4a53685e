/** What the configuration says of metrics, log and traces, its old and its new places put together. */
import type { Config, NamedExpressions, ProcessTracingConfig, TracingConfig } from '../config/schema.ts';
import type { ServerRef } from '../fields/server-ref.ts';
import type { SideServer } from '../http/side-calls.ts';
import type { LogSetting } from '../observe/access-log.ts';
import type { AddedField, StandardAttributes } from '../observe/added-fields.ts';
import type { MetricsSetting } from '../observe/metrics.ts';
import type { TraceSetting } from '../observe/traces.ts';

export interface TelemetryPlan {
  readonly log: LogSetting;
  readonly metrics: MetricsSetting;
  /** Undefined: nothing is traced. */
  readonly traces: TraceSetting | undefined;
}

export interface TelemetrySurroundings {
  serverOf(ref: ServerRef, yamlPath: string): SideServer;
  warn(yamlPath: string, message: string): void;
}

export function compileTelemetry({ config, frontendPolicies }: Config, surroundings: TelemetrySurroundings): TelemetryPlan {
  const { logging, metrics, sensitiveHeaders } = config;
  const accessLog = frontendPolicies.accessLog ?? frontendPolicies.logging;
  const standard: StandardAttributes = { user: config.standardAttributes.user, group: config.standardAttributes.group };
  const shared = { standard, sensitiveHeaders };
  return {
    log: {
      ...shared,
      format: logging.format,
      filter: accessLog?.filter ?? logging.filter,
      // The newer place wins where both name a field.
      added: fieldsOf({ ...logging.fields.add, ...accessLog?.add }),
      removed: [...logging.fields.remove, ...(accessLog?.remove ?? [])],
    },
    metrics: { removed: metrics.remove, added: [...fieldsOf(metrics.fields.add), ...standardLabels(standard)] },
    traces: tracesOf(config.tracing, frontendPolicies.tracing, shared, surroundings),
  };
}

function fieldsOf(given: NamedExpressions): AddedField[] {
  return Object.entries(given).map(([name, value]) => ({ name, value }));
}

/** Only where the configuration says how to tell who is asking: every person is a series of their own. */
function standardLabels({ user, group }: StandardAttributes): AddedField[] {
  return [
    ...(user === undefined ? [] : [{ name: 'agentgateway_user', value: user }]),
    ...(group === undefined ? [] : [{ name: 'agentgateway_group', value: group }]),
  ];
}

function tracesOf(
  old: ProcessTracingConfig | undefined,
  given: TracingConfig | undefined,
  shared: Pick<TraceSetting, 'standard' | 'sensitiveHeaders'>,
  { serverOf, warn }: TelemetrySurroundings,
): TraceSetting | undefined {
  if (given !== undefined) {
    const { server, attributes, resources, remove, randomSampling, clientSampling, filter, path } = given;
    return {
      ...shared,
      server: serverOf(server, 'frontendPolicies.tracing'),
      path,
      headers: {},
      randomSampling,
      clientSampling,
      filter,
      added: fieldsOf(attributes),
      removed: remove,
      resources: fieldsOf(resources),
    };
  }
  if (old === undefined) return undefined;
  const { otlpEndpoint, otlpProtocol, headers, fields, randomSampling, clientSampling, path } = old;
  const { scheme, authority: written, path: basePath } = otlpEndpoint;
  const authority = otlpProtocol === undefined ? httpAuthorityOf(written, warn) : written;
  return {
    ...shared,
    server: { name: authority, baseUrl: `${scheme}://${authority}`, tls: undefined, headers: {} },
    path: basePath + path,
    headers,
    randomSampling,
    clientSampling,
    filter: undefined,
    added: fieldsOf(fields.add),
    removed: fields.remove,
    resources: [],
  };
}

/**
 * A file that names agentgateway's default, gRPC on port 4317, means the collector that is there; over HTTP the same collector
 * listens on the next port (OpenTelemetry's default receivers).
 */
function httpAuthorityOf(authority: string, warn: TelemetrySurroundings['warn']): string {
  if (!authority.endsWith(':4317')) return authority;
  const moved = authority.replace(/4317$/, '4318');
  warn(
    'config.tracing.otlpEndpoint',
    `Corral sends OTLP over HTTP, so to ${moved}, where collectors take it; say otlpProtocol: http and the port to be sure`,
  );
  return moved;
}
