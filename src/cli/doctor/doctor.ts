/**
 * `corral doctor`: reads the configuration as a start would, asks each box directly, and says what is wrong and what to do. Nothing is
 * started and nothing is changed.
 */
import type { CompiledPlan } from '../../compile/compile.ts';
import { formatDiagnostic } from '../../config/load.ts';
import type { Draft } from '../../entry/draft.ts';
import type { Settings } from '../../entry/settings.ts';
import type { BoxState, FleetReport } from '../../fleet/report.ts';
import { clearSecretWarnings } from '../clear-secrets.ts';
import { type CommandScope, configOptions, exitCodes, type OptionShapes, optionRows, readLine } from '../command.ts';
import { lookDirectly, readConfiguration } from '../fleet/session.ts';
import { missingModels } from '../missing-models.ts';
import { boxFindings } from './box-findings.ts';
import { doctorLines } from './doctor-text.ts';
import { examine } from './examine.ts';
import { exitCodeOf, type Finding, finding } from './finding.ts';
import { herdFindings } from './herd-findings.ts';

const usage = 'corral doctor [-f FILE | -c YAML] [--json]';
const options = {
  json: { type: 'boolean', about: 'as one JSON document (docs/doctor.md)' },
  ...configOptions,
  help: { type: 'boolean', short: 'h', about: 'print this' },
} as const satisfies OptionShapes;

/** The document of `--json`. Members may be added, never removed. */
export interface DoctorReport {
  readonly file: string;
  readonly exitCode: number;
  readonly counts: Readonly<Record<Finding['severity'], number>>;
  readonly boxes: readonly {
    readonly name: string;
    readonly url: string;
    readonly isAlive: boolean | null;
    readonly isBox: boolean;
    readonly version: string | null;
    readonly models: number | null;
    readonly running: BoxState['running'];
  }[];
  readonly findings: readonly Finding[];
}

export async function doctor(scope: CommandScope): Promise<number> {
  const line = readLine(scope.args, options, usage, 0);
  const { out } = scope.surroundings;
  if (line.isSet('help')) {
    out(doctorHelp());
    return exitCodes.done;
  }
  const { settings, result } = await readConfiguration(line, scope);
  const { boxes, findings } = result.ok
    ? await examined(result.draft, settings, scope)
    : { boxes: [], findings: result.errors.map((error) => finding('error', 'configuration', formatDiagnostic(error))) };
  const exitCode = exitCodeOf(findings);
  if (line.isSet('json')) out(`${JSON.stringify(reportOf(settings.config.name, exitCode, boxes, findings), null, 2)}\n`);
  else for (const text of doctorLines(settings.config.name, boxes, findings, scope.terminal.hasColour)) out(`${text}\n`);
  return exitCode;
}

async function examined(
  { plan, warnings, diagnosticAt }: Draft,
  settings: Settings,
  { platform, surroundings }: CommandScope,
): Promise<{ readonly boxes: readonly BoxState[]; readonly findings: readonly Finding[] }> {
  const { report, herd } = await lookDirectly(plan, platform);
  const details = await examine(plan, report.boxes, platform);
  const nothing = { headers: undefined, atMs: 0, contexts: [] };
  const inClear = clearSecretWarnings(settings, surroundings.modeOf).map(({ path, message }) => diagnosticAt(path, message));
  return {
    boxes: report.boxes,
    findings: [
      ...report.boxes.flatMap((box) => boxFindings(box, details.get(box.name) ?? nothing)),
      ...(report.boxes.length === 0 ? [noBoxes()] : []),
      ...herdFindings(report, plan.warm, plan.settings.allowCloudModels),
      ...missingModels(plan, herd).map((message) =>
        finding('warn', 'model_missing', `${message.replace(/: ollama pull .*$/s, '')}.`, pullAdvice(message)),
      ),
      ...adminFindings(plan, settings.adminToken !== undefined),
      ...restOf(report),
      ...[...warnings, ...inClear].map((warning) => finding('warn', 'configuration', formatDiagnostic(warning))),
    ],
  };
}

function noBoxes(): Finding {
  return finding('info', 'no_boxes', 'The configuration names no box.', 'Name them in CORRAL_BOXES or fleet.boxes.');
}

/** `missingModels` ends with the command for the box itself. */
function pullAdvice(message: string): string {
  const model = /: ollama pull (.*)$/s.exec(message)?.[1] ?? 'MODEL';
  return `corral fleet pull ${model} --box BOX, or correct the name.`;
}

function adminFindings({ settings: { adminAddress } }: CompiledPlan, hasToken: boolean): Finding[] {
  if (adminAddress === 'off') return [];
  const { host, port } = adminAddress;
  if (host === 'localhost' || host === '::1' || host.startsWith('127.')) return [];
  const where = `config.adminAddr is ${host}:${port}, which other machines can reach`;
  return [
    hasToken
      ? finding(
          'warn',
          'admin_exposed',
          `${where}; CORRAL_ADMIN_TOKEN guards it, over plain HTTP.`,
          'Use localhost:15000, and a tunnel or TLS proxy for others.',
        )
      : finding(
          'warn',
          'admin_exposed',
          `${where}, and without CORRAL_ADMIN_TOKEN everybody is refused there.`,
          'Use localhost:15000, or set CORRAL_ADMIN_TOKEN.',
        ),
  ];
}

/** What a box answers to with trouble while it serves all the same. */
function restOf({ boxes }: FleetReport): Finding[] {
  return boxes
    .filter(({ isAlive, isBox, models }) => isAlive === true && isBox && models === null)
    .map(({ name }) =>
      finding('warn', 'no_list', `${name} did not give its list of models in time.`, 'Look at its log.', { box: name }),
    );
}

function reportOf(file: string, exitCode: number, boxes: readonly BoxState[], findings: readonly Finding[]): DoctorReport {
  const counts = { ok: 0, info: 0, warn: 0, error: 0 };
  for (const { severity } of findings) counts[severity]++;
  return {
    file,
    exitCode,
    counts,
    boxes: boxes.map(({ name, url, isAlive, isBox, version, models, running }) => ({
      name,
      url,
      isAlive,
      isBox,
      version,
      models: models?.length ?? null,
      running,
    })),
    findings,
  };
}

export function doctorHelp(): string {
  return [
    'corral doctor: what is wrong with the boxes and what to do about it',
    '',
    `Usage: ${usage}`,
    '',
    ...optionRows(options),
    '',
    'Exit codes: 0 fine, or infos only; 1 errors, or the configuration is wrong; 2 wrong command line; 3 warnings and nothing worse.',
    '',
  ].join('\n');
}
