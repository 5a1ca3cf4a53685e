/** The whole configuration as one zod schema, and the types that come out of it. What the YAML leaves out is filled in here. */
import * as z from 'zod';
import { attachedPolicyField } from './attached.ts';
import { namedBackendField } from './backends.ts';
import { fleetField } from './fleet.ts';
import { llmField } from './llm.ts';
import { frontendPoliciesField, processField } from './process.ts';
import { attachedRouteField, bindField, gatewayField, routeGroupField } from './traffic.ts';

export type { AttachedPolicyConfig, PolicyTarget } from './attached.ts';
export type {
  AiConfig,
  AiProviderConfig,
  BackendTarget,
  NamedBackendConfig,
  RouteBackendConfig,
} from './backends.ts';
export type { FleetConfig, OpenPath, WarmConfig } from './fleet.ts';
export type { ListenerTls } from './listener-tls.ts';
export type { LlmConfig, LlmModelConfig, LlmParams, LlmProviderConfig, VirtualModelConfig, VirtualRouting } from './llm.ts';
export type { HeaderMatchConfig, MatchConfig, PathMatch } from './matches.ts';
export type { PolicyOptions } from './policy-map.ts';
export type { FrontendPoliciesConfig, ListenAddress, LogLevel, ProcessConfig } from './process.ts';
export type { FormatConfig, Preset, PresetName, ProviderConfig, ProviderFormat } from './providers.ts';
export type { NamedExpressions, ProcessTracingConfig, TracingConfig } from './telemetry.ts';
export type {
  AttachedRouteConfig,
  BindConfig,
  GatewayConfig,
  GatewayListenerConfig,
  ListenerConfig,
  RouteConfig,
} from './traffic.ts';

export const configSchema = z.strictObject({
  binds: z.array(bindField).default([]).describe('Ports with their listeners and routes. The dialect of the Ollama page.'),
  gateways: z
    .record(z.string().min(1), gatewayField)
    .default({})
    .describe('Ports by name. `routes` and `llm` attach to them; the one named `default` takes those that name none.'),
  routes: z.array(attachedRouteField).default([]).describe('Routes that attach to `gateways`.'),
  routeGroups: z.array(routeGroupField).default([]).describe('Routes that other routes hand over to, by name.'),
  policies: z.array(attachedPolicyField).default([]).describe('Policies for gateways, listeners, routes and backends by name.'),
  backends: z.array(namedBackendField).default([]).describe('Backends by name, for routes that say `backend: name`.'),
  llm: llmField.optional().describe('Models by name, each with the provider that serves it. The shortest way to begin.'),
  config: processField,
  frontendPolicies: frontendPoliciesField,
  fleet: fleetField,
});

export type Config = z.output<typeof configSchema>;
