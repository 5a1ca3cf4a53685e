/** Text → plan, with everything that is wrong or strange on the way. Nothing is begun. */
import { type CompiledPlan, compilePlan } from '../compile/compile.ts';
import { PlanError } from '../compile/upstreams.ts';
import { type Diagnostic, type LoadResult, loadConfig } from '../config/load.ts';
import type { SideCalls } from '../http/side-calls.ts';
import type { Platform } from '../platform.ts';
import type { State } from '../state/state.ts';
import type { Settings } from './settings.ts';

export interface CompileParts {
  readonly state: State;
  readonly sideCalls: SideCalls;
}

export interface Draft {
  readonly plan: CompiledPlan;
  /** Of the text and of the plan, in this order. */
  readonly warnings: readonly Diagnostic[];
  /** What was judged: values with variables put in. */
  readonly written: unknown;
  diagnosticAt(yamlPath: string, message: string): Diagnostic;
}

export type DraftResult =
  | { readonly ok: true; readonly draft: Draft }
  | { readonly ok: false; readonly errors: readonly Diagnostic[]; readonly warnings: readonly Diagnostic[] };

/** Throws NotLoaded where a module that the configuration needs is not there yet: call it within `withModules`. */
export function draftOf(settings: Settings, platform: Platform, parts: CompileParts): DraftResult {
  const { config: source, env, readFile, ignoreUnsupported = false, boxes = [] } = settings;
  const files = readFile === undefined ? {} : { readFile };
  const loaded = loadConfig(source.text, { name: source.name, env, ignoreUnsupported, boxes, ...files });
  if (!loaded.ok) return loaded;
  try {
    const plan = compilePlan(loaded.config, {
      platform,
      apiKey: settings.apiKey,
      adminToken: settings.adminToken,
      isRelay: settings.isRelay === true,
      relaySecret: settings.relaySecret,
      allowAnonymous: settings.allowAnonymous,
      allowedHosts: settings.allowedHosts,
      originPatterns: settings.originPatterns,
      random: Math.random,
      ...parts,
    });
    const { written, diagnosticAt } = loaded;
    const warnings = [...loaded.warnings, ...plan.warnings.map((warning) => placed(warning, loaded))];
    return { ok: true, draft: { plan, warnings, written, diagnosticAt } };
  } catch (thrown) {
    if (!(thrown instanceof PlanError)) throw thrown;
    return { ok: false, errors: [placed(thrown.message, loaded)], warnings: loaded.warnings };
  }
}

/** `binds[0].listeners[0]: message` with the line that it speaks of. */
function placed(text: string, loaded: LoadResult & { ok: true }): Diagnostic {
  const end = text.indexOf(': ');
  const path = end < 0 ? '' : text.slice(0, end);
  return /^[\w[\].-]+$/.test(path) ? loaded.diagnosticAt(path, text.slice(end + 2)) : loaded.diagnosticAt('', text);
}
