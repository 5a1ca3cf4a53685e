/**
 * Where the commands learn of the herd: from the running Corral (`GET /fleet` at its admin address) or, where none runs, from the
 * boxes that the configuration names.
 */
import type { CompiledPlan } from '../../compile/compile.ts';
import { formatDiagnostic } from '../../config/load.ts';
import { type Draft, type DraftResult, draftOf } from '../../entry/draft.ts';
import type { Settings } from '../../entry/settings.ts';
import { withModules } from '../../fields/on-demand.ts';
import { createFleet, type TendedHerd } from '../../fleet/fleet.ts';
import type { FleetReport } from '../../fleet/report.ts';
import { createSideCalls } from '../../http/side-calls.ts';
import type { Platform } from '../../platform.ts';
import { createMemoryState } from '../../state/memory.ts';
import { CommandError, type CommandLine, type CommandScope, exitCodes, type OptionShapes } from '../command.ts';
import { flagsOf } from '../flags.ts';
import { settingsOf } from '../settings.ts';
import { lastLines } from '../validate.ts';
import { type AdminLine, openAdminLine } from './admin-line.ts';

export const adminOption = {
  admin: { type: 'string', value: 'URL', about: 'where the running Corral has its admin address' },
} as const satisfies OptionShapes;

export interface Configured {
  readonly settings: Settings;
  readonly draft: Draft;
  readonly plan: CompiledPlan;
}

export interface Session {
  /** Read once. Throws CommandError where it is wrong. */
  configured(): Promise<Configured>;
  /** Undefined: the configuration has switched it off. */
  admin(): Promise<AdminLine | undefined>;
  /** Also says on standard error where nobody but the boxes could be asked. */
  herd(): Promise<HerdSeen>;
}

export interface HerdSeen {
  readonly report: FleetReport;
  /** A running Corral said so: it knows what is under way, too. */
  readonly isFromGateway: boolean;
}

export function openSession(line: CommandLine, scope: CommandScope): Session {
  const { surroundings, platform } = scope;
  let read: Promise<Configured> | undefined;
  const configured = () => {
    read ??= readConfiguration(line, scope).then(({ settings, result }) => {
      if (result.ok) return { settings, draft: result.draft, plan: result.draft.plan };
      const problems = result.errors.map(formatDiagnostic);
      throw new CommandError(`${problems.join('\n')}\n${lastLines(problems, settings).trimEnd()}`);
    });
    return read;
  };
  const admin = async () => {
    const url = line.text('admin') ?? adminUrlOf((await configured()).plan);
    if (url === undefined) return undefined;
    if (!/^https?:\/\/[^/?#]/.test(url))
      throw new CommandError(`--admin takes a URL such as http://localhost:15000, not "${url}"`, exitCodes.wrongLine);
    return openAdminLine(url, surroundings.env('CORRAL_ADMIN_TOKEN'), platform);
  };
  return {
    configured,
    admin,
    async herd() {
      const running = await admin();
      const answer = await running?.get('/fleet');
      if (answer?.ok === true && isReport(answer.value)) return { report: answer.value, isFromGateway: true };
      if (answer?.ok === false && (answer.isRefusal || line.isSet('admin'))) throw new CommandError(answer.why);
      if (answer?.ok === true && line.isSet('admin')) throw new CommandError(`what answers at ${running?.url} is no Corral`);
      const { plan, settings } = await configured();
      const where = running === undefined ? 'the admin address is off' : `no Corral answers at ${running.url}`;
      surroundings.err(`${where}: the boxes of ${settings.config.name} are asked directly\n`);
      return { report: (await lookDirectly(plan, platform)).report, isFromGateway: false };
    },
  };
}

/** As a start would read it; nothing is begun. Throws CommandError where there is nothing to read. */
export async function readConfiguration(
  line: CommandLine,
  { surroundings, platform }: CommandScope,
): Promise<{ readonly settings: Settings; readonly result: DraftResult }> {
  const args = (['file', 'config'] as const).flatMap((name) => {
    const value = line.text(name);
    return value === undefined ? [] : [`--${name}=${value}`];
  });
  const flags = flagsOf(args);
  if (!flags.ok) throw new CommandError(flags.problem, exitCodes.wrongLine);
  const told = settingsOf(flags.flags, surroundings);
  if (!told.ok) throw new CommandError(told.problem);
  const { settings } = told;
  const parts = { state: createMemoryState({}, false), sideCalls: createSideCalls(platform) };
  return { settings, result: await withModules(() => draftOf(settings, platform, parts)) };
}

/** Asks all boxes of a plan: two seconds for a sign of life, five in all. */
export async function lookDirectly(
  plan: Pick<CompiledPlan, 'upstreams' | 'headersFor' | 'leg' | 'warm' | 'settings'>,
  platform: Platform,
): Promise<{ readonly report: FleetReport; readonly herd: TendedHerd }> {
  const herd = createFleet({
    upstreams: plan.upstreams,
    // What the herd would tell a log is what the command itself is about to say.
    platform: { ...platform, report: () => undefined },
    instanceId: 'command',
    headersFor: plan.headersFor,
    leg: plan.leg,
    warm: plan.warm,
    tuning: plan.settings.tuning,
  });
  await herd.keeper.refresh();
  const report = herd.keeper.report();
  herd.stop();
  return { report, herd };
}

/** Undefined: off. An address that means every interface is asked at this machine. */
export function adminUrlOf({ settings: { adminAddress } }: Pick<CompiledPlan, 'settings'>): string | undefined {
  if (adminAddress === 'off') return undefined;
  const { host, port } = adminAddress;
  const local = host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host;
  return `http://${local}:${port}`;
}

function isReport(value: unknown): value is FleetReport {
  return typeof value === 'object' && value !== null && 'boxes' in value && Array.isArray(value.boxes);
}
