/** From text to gateway, the same on every runtime. */
import { compilePlan } from '../compile/compile.ts';
import { PlanError } from '../compile/upstreams.ts';
import { formatDiagnostic, type LoadResult, loadConfig } from '../config/load.ts';
import type { Herd } from '../fleet/fleet.ts';
import type { Gateway } from '../gateway.ts';
import { createSideCalls } from '../http/side-calls.ts';
import type { Platform } from '../platform.ts';
import { createMemoryState } from '../state/memory.ts';
import { assembleGateway } from './assemble.ts';
import type { Settings } from './settings.ts';

/** A gateway that is ready to answer; nothing listens yet and no box has been asked. */
export interface Opened {
  readonly gateway: Gateway;
  readonly herd: Pick<Herd, 'start' | 'stop' | 'catchUp' | 'describe'>;
  /** The ports of the configuration, in its order. */
  readonly ports: readonly number[];
  /** Then it may listen beyond loopback by itself (design decision 6). */
  readonly everyRouteIsProtected: boolean;
  readonly admin: AdminAddresses;
  readonly warnings: readonly string[];
  /** The demo box may answer while no other does. */
  readonly hasDemo: boolean;
}

export interface ListenAddress {
  /** An IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number;
}

/** Undefined: switched off, or not asked for. */
export interface AdminAddresses {
  readonly admin: ListenAddress | undefined;
  readonly readiness: ListenAddress | undefined;
}

export type OpenResult =
  | { readonly ok: true; readonly opened: Opened }
  /** Each one complete and printable: where, what, and the nearest known key. */
  | { readonly ok: false; readonly problems: readonly string[] };

export type OpenGateway = (settings: Settings, platform: Platform) => Promise<OpenResult>;

export const openGateway: OpenGateway = async (settings, platform) => {
  const { config: source, env, readFile } = settings;
  const loaded = loadConfig(source.text, { name: source.name, env, ...(readFile === undefined ? {} : { readFile }) });
  const warnings = loaded.warnings.map(formatDiagnostic);
  if (!loaded.ok) return { ok: false, problems: loaded.errors.map(formatDiagnostic) };
  const state = createMemoryState({}, platform.runtime === 'workerd');
  try {
    const plan = compilePlan(loaded.config, {
      platform,
      apiKey: settings.apiKey,
      adminToken: settings.adminToken,
      allowAnonymous: settings.allowAnonymous,
      allowedHosts: settings.allowedHosts,
      originPatterns: settings.originPatterns,
      random: Math.random,
      state,
      sideCalls: createSideCalls(platform),
    });
    const { adminAddress, readinessAddress } = plan.settings;
    return {
      ok: true,
      opened: {
        ...assembleGateway(plan, settings, platform),
        ports: plan.binds.map((bind) => bind.port),
        everyRouteIsProtected: plan.everyRouteIsProtected,
        admin: { admin: addressOf(adminAddress), readiness: addressOf(readinessAddress) },
        warnings: [...warnings, ...plan.warnings.map((warning) => placed(warning, loaded))],
        hasDemo: settings.hasDemo,
      },
    };
  } catch (thrown) {
    if (!(thrown instanceof PlanError)) throw thrown;
    return { ok: false, problems: [placed(thrown.message, loaded)] };
  }
};

/** `binds[0].listeners[0]: message` with the line that it speaks of. */
function placed(text: string, loaded: LoadResult & { ok: true }): string {
  const end = text.indexOf(': ');
  const path = end < 0 ? '' : text.slice(0, end);
  return /^[\w[\].-]+$/.test(path) ? formatDiagnostic(loaded.diagnosticAt(path, text.slice(end + 2))) : text;
}

function addressOf(address: ListenAddress | 'off' | undefined): ListenAddress | undefined {
  return address === 'off' ? undefined : address;
}
