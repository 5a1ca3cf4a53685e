/** What a Worker is told: its configuration's text and the variables around it. */
import { type ConfigText, environmentSettings, filled, herdConfigOf, type Settings } from './settings.ts';

/** The Worker's bindings, by name: variables and secrets are strings. */
export type WorkersEnv = Readonly<Record<string, unknown>>;

/** The part of a KV namespace that is used. */
interface TextStore {
  get(key: string): Promise<string | null>;
}

const kvBinding = 'CORRAL_KV';
export const kvKey = 'config';

export type WorkersSettings =
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly problems: readonly string[] };

/** The entry in KV, if there is a KV and an entry. Rejects when KV does not answer. */
export async function storedConfig(env: WorkersEnv): Promise<string | undefined> {
  const store = env[kvBinding];
  if (typeof store !== 'object' || store === null) return undefined;
  return filled((await (store as TextStore).get(kvKey)) ?? undefined);
}

/** KV over the variable over what was bundled. */
export function workersSettings(env: WorkersEnv, stored: string | undefined, bundled: string): WorkersSettings {
  const variable = (name: string): string | undefined => {
    const value = env[name];
    return typeof value === 'string' ? value : undefined;
  };
  const problems: string[] = [];
  for (const name of ['CORRAL_HOST', 'CORRAL_PORT']) {
    if (filled(variable(name)) !== undefined)
      problems.push(
        `${name}: a Worker has no host and no port of its own; its route is set in wrangler.toml. Remove the variable`,
      );
  }
  try {
    const environment = environmentSettings(variable);
    const config = herdOr(configOf(stored, filled(variable('CORRAL_CONFIG')), bundled), herdConfigOf(environment.boxes));
    if (typeof config === 'string') problems.push(config);
    const hosts = (variable('CORRAL_ALLOW_HOST') ?? '')
      .split(',')
      .map((host) => host.trim())
      .filter((host) => host !== '');
    if (problems.length === 0 && typeof config !== 'string') {
      return {
        ok: true,
        settings: {
          ...environment,
          config,
          host: undefined,
          port: undefined,
          allowedHosts: hosts,
          hasDemo: config.name === bundledName,
          readFile: undefined,
        },
      };
    }
  } catch (thrown) {
    problems.push(thrown instanceof Error ? thrown.message : String(thrown));
  }
  return { ok: false, problems };
}

/** Named boxes stand in for the configuration that comes with Corral, not for one that was given. */
function herdOr(config: ConfigText | string, herd: ConfigText | undefined): ConfigText | string {
  return typeof config !== 'string' && config.name === bundledName ? (herd ?? config) : config;
}

const bundledName = 'config/gateway.yaml';

/** A string is what is wrong. */
function configOf(stored: string | undefined, variable: string | undefined, bundled: string): ConfigText | string {
  if (stored !== undefined) return { text: stored, name: `${kvBinding}/${kvKey}` };
  if (variable === undefined) return { text: bundled, name: bundledName };
  // One line without a colon or a brace is no YAML that could mean anything, but a path.
  if (!/[\n:{]/.test(variable))
    return `CORRAL_CONFIG names a file ("${variable}"), and a Worker has none: give the YAML itself, or put it into the KV namespace ${kvBinding}`;
  return { text: variable, name: 'CORRAL_CONFIG' };
}
