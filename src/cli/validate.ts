/** `--validate-only`: everything that is wrong or strange, and what would be served, for people or as one JSON document. */
import { type PlanSummary, summaryOf } from '../compile/summary.ts';
import { foreignMessage } from '../config/foreign-keys.ts';
import { type Diagnostic, formatDiagnostic } from '../config/load.ts';
import { type Portability, portabilityOf } from '../config/portable.ts';
import { type Draft, draftOf } from '../entry/draft.ts';
import type { Settings } from '../entry/settings.ts';
import { withModules } from '../fields/on-demand.ts';
import { createSideCalls } from '../http/side-calls.ts';
import type { Platform } from '../platform.ts';
import { createMemoryState } from '../state/memory.ts';
import { clearSecretWarnings } from './clear-secrets.ts';
import type { Flags } from './flags.ts';
import { probeModels } from './missing-models.ts';
import { summaryLines } from './summary-text.ts';
import type { Surroundings } from './surroundings.ts';

/** The JSON document of `--json` (docs/validation.md). Members may be added, never removed. */
export interface ValidationReport {
  /** False: the exit code is 1. */
  readonly valid: boolean;
  readonly file: string;
  readonly errors: readonly Problem[];
  readonly warnings: readonly Problem[];
  /** Null where errors leave nothing to show. */
  readonly summary: PlanSummary | null;
  /** Only with `--portable`. */
  readonly portable?: { readonly refused: readonly Problem[]; readonly differs: readonly Problem[] };
}

export interface Problem {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** In the YAML; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

export interface ValidationSetting {
  readonly settings: Settings;
  readonly platform: Platform;
  readonly flags: Pick<Flags, 'portable' | 'json' | 'probe'>;
  readonly surroundings: Pick<Surroundings, 'out' | 'err' | 'modeOf'>;
}

/** Prints, and returns the exit code: 0 valid, 1 not; with `--portable` also 1 when agentgateway would refuse it. */
export async function validate(setting: ValidationSetting): Promise<0 | 1> {
  const { settings, platform, flags, surroundings } = setting;
  const parts = { state: createMemoryState({}, platform.runtime === 'workerd'), sideCalls: createSideCalls(platform) };
  const result = await withModules(() => draftOf(settings, platform, parts));
  const found: Found = result.ok
    ? await foundIn(result.draft, setting)
    : { errors: result.errors, warnings: result.warnings, draft: undefined, portable: undefined };
  const isRefused = found.portable !== undefined && found.portable.refused.length > 0;
  const isValid = found.errors.length === 0 && !isRefused;
  if (flags.json) surroundings.out(`${JSON.stringify(reportOf(found, isValid, settings.config.name), null, 2)}\n`);
  else print(found, settings, surroundings);
  return isValid ? 0 : 1;
}

interface Found {
  readonly errors: readonly Diagnostic[];
  readonly warnings: readonly Diagnostic[];
  readonly draft: Draft | undefined;
  readonly portable: Placed | undefined;
}

type Placed = { readonly [Part in keyof Portability]: readonly Diagnostic[] };

async function foundIn(draft: Draft, { settings, platform, flags, surroundings }: ValidationSetting): Promise<Found> {
  const at = ({ path, message }: { path: string; message: string }) => draft.diagnosticAt(path, message);
  const warnings = [...draft.warnings, ...clearSecretWarnings(settings, surroundings.modeOf).map(at)];
  if (flags.probe) warnings.push(...(await probeModels(draft.plan, platform)).map((message) => at({ path: '', message })));
  if (!flags.portable) return { errors: [], warnings, draft, portable: undefined };
  const { refused, differs } = portabilityOf(draft.written);
  return { errors: [], warnings, draft, portable: { refused: refused.map(at), differs: differs.map(at) } };
}

function reportOf({ errors, warnings, draft, portable }: Found, valid: boolean, file: string): ValidationReport {
  return {
    valid,
    file,
    errors: errors.map(problemOf),
    warnings: warnings.map(problemOf),
    summary: draft === undefined ? null : summaryOf(draft.plan),
    ...(portable === undefined
      ? {}
      : { portable: { refused: portable.refused.map(problemOf), differs: portable.differs.map(problemOf) } }),
  };
}

function problemOf({ file, line, column, path, message }: Diagnostic): Problem {
  return { file, line, column, path, message };
}

/** Below the errors: how many, and the way around those that a flag leaves out. */
export function lastLines(errors: readonly string[], { config, ignoreUnsupported }: Settings): string {
  const isForeign = ignoreUnsupported !== true && errors.some((error) => error.includes(foreignMessage));
  const hint = isForeign ? 'what Corral has not got is left out with --ignore-unsupported, see docs/validation.md\n' : '';
  return `${countOf(errors.length, 'error')} in ${config.name}; nothing was started\n${hint}`;
}

function print(
  { errors, warnings, draft, portable }: Found,
  settings: Settings,
  { out, err }: Pick<Surroundings, 'out' | 'err'>,
) {
  for (const warning of warnings) err(`warning: ${formatDiagnostic(warning)}\n`);
  for (const error of errors) err(`${formatDiagnostic(error)}\n`);
  if (draft === undefined) {
    err(
      lastLines(
        errors.map(({ message }) => message),
        settings,
      ),
    );
    return;
  }
  out('Configuration is valid!\n');
  for (const line of summaryLines(summaryOf(draft.plan))) out(`${line}\n`);
  if (portable === undefined) return;
  for (const one of portable.differs) err(`agentgateway differs: ${formatDiagnostic(one)}\n`);
  for (const one of portable.refused) err(`agentgateway refuses: ${formatDiagnostic(one)}\n`);
  out(
    portable.refused.length === 0
      ? 'agentgateway takes it, too.\n'
      : `agentgateway would refuse it: ${countOf(portable.refused.length, 'place')}\n`,
  );
}

function countOf(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
