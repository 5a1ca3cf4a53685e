/** A file that says nothing but which boxes there are: every model of every box under one address. */

import type { Config, FleetConfig } from '../config/schema.ts';
import { type BindConfig, bindField } from '../config/traffic.ts';

/** As in config/gateway.yaml. */
const port = 3_000;

/** The same configuration, with one bind in front of `fleet.boxes` where nothing else serves. */
export function withHerd(config: Config): Config {
  const isServed = config.binds.length > 0 || Object.keys(config.gateways).length > 0 || config.llm !== undefined;
  return isServed || config.fleet.boxes.length === 0 ? config : { ...config, binds: [herdBindOf(config.fleet.boxes)] };
}

function herdBindOf(boxes: FleetConfig['boxes']): BindConfig {
  const providers = boxes.map(({ url: { scheme, authority }, name }) => ({
    name: name ?? hostNameOf(authority),
    hostOverride: authority,
    provider: { openAI: {} },
    ...(scheme === 'https' ? { policies: { backendTLS: {} } } : {}),
  }));
  return bindField.parse({ port, listeners: [{ routes: [{ backends: [{ ai: { groups: [{ providers }] } }] }] }] });
}

/** What people call a box whose name they did not give: its host, and the port where it is not Ollama's own. */
function hostNameOf(authority: string): string {
  return authority
    .replace(/:(?:11434|80|443)$/, '')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^-+|-+$/g, '');
}
