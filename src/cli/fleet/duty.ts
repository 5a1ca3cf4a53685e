/** `corral fleet cordon`, `uncordon` and `drain`: a box out of service and back. Only a running Corral can do that. */
import { durationMsOf } from '../../fields/duration.ts';
import { FieldError } from '../../fields/text-field.ts';
import { CommandError, type CommandScope, configOptions, exitCodes, type OptionShapes, readLine } from '../command.ts';
import type { AdminLine } from './admin-line.ts';
import { untilInterrupted } from './interrupt.ts';
import { adminOption, openSession } from './session.ts';

export const cordonUsage = 'corral fleet cordon BOX';
export const uncordonUsage = 'corral fleet uncordon BOX';
export const drainUsage = 'corral fleet drain BOX [--wait | --wait=TIME]';
export const cordonOptions = { ...adminOption, ...configOptions } as const satisfies OptionShapes;
export const drainOptions = {
  wait: { type: 'string', value: '[TIME]', about: 'until the box has nothing to do, or so long: 90s, 10m' },
  ...cordonOptions,
} as const satisfies OptionShapes;

interface DutyAnswer {
  readonly box: string;
  readonly isCordoned: boolean;
  readonly hasChanged: boolean;
  readonly inFlight: number;
  readonly waiting: number;
  readonly isIdle: boolean;
}

export const cordon = (scope: CommandScope) => once(scope, 'cordon', cordonUsage);
export const uncordon = (scope: CommandScope) => once(scope, 'uncordon', uncordonUsage);

async function once(scope: CommandScope, what: 'cordon' | 'uncordon', usage: string): Promise<number> {
  const line = readLine(scope.args, cordonOptions, usage, 1);
  const box = boxIn(line.words, usage);
  const state = await told(await adminOf(openSession(line, scope)), what, { box });
  scope.surroundings.out(`${sentenceOf(state)}\n`);
  return exitCodes.done;
}

/** A look every so often: what changes is told, and Ctrl-C is heard. */
const sliceSeconds = 5;

/** 1 where the box still has something to do when the time is over. */
export async function drain(scope: CommandScope): Promise<number> {
  const line = readLine(waitsSpelt(scope.args), drainOptions, drainUsage, 1);
  const box = boxIn(line.words, drainUsage);
  const waitMs = waitMsOf(line.text('wait'));
  const { out, err } = scope.surroundings;
  const { clock } = scope.platform;
  const admin = await adminOf(openSession(line, scope));
  const untilMs = clock.now() + (waitMs ?? 0);
  return untilInterrupted(
    scope.terminal,
    async (signal) => {
      let state = await told(admin, 'drain', { box });
      let said = sentenceOf(state);
      out(`${said}\n`);
      if (waitMs === undefined) return exitCodes.done;
      while (!state.isIdle && clock.now() < untilMs) {
        const wait = Math.max(0, Math.min(sliceSeconds, Math.ceil((untilMs - clock.now()) / 1_000)));
        state = await interruptible(told(admin, 'drain', { box, wait }), signal);
        if (sentenceOf(state) !== said) out(`${sentenceOf(state)}\n`);
        said = sentenceOf(state);
      }
      if (!state.isIdle) err(`the time is over and ${box} still has something to do; it stays out of service\n`);
      return state.isIdle ? exitCodes.done : exitCodes.failed;
    },
    () => err(`stopped waiting; ${box} stays out of service: corral fleet uncordon ${box}\n`),
  );
}

async function told(admin: AdminLine, what: string, body: { box: string; wait?: number }): Promise<DutyAnswer> {
  const answer = await admin.post(`/fleet/${what}`, body, 3_000 + (body.wait ?? 0) * 1_000);
  if (!answer.ok) throw new CommandError(answer.why);
  return answer.value as DutyAnswer;
}

async function adminOf(session: ReturnType<typeof openSession>): Promise<AdminLine> {
  const admin = await session.admin();
  if (admin === undefined) throw new CommandError('config.adminAddr is off: name a running Corral with --admin URL');
  return admin;
}

function sentenceOf({ box, isCordoned, hasChanged, inFlight, waiting, isIdle }: DutyAnswer): string {
  const already = hasChanged ? '' : ' already';
  if (!isCordoned) return `${box} is${already} in service`;
  const rest = isIdle ? 'nothing under way' : `${inFlight} under way, ${waiting} waiting`;
  return `${box} is out of service: ${rest}`;
}

function boxIn([box]: readonly string[], usage: string): string {
  if (box === undefined) throw new CommandError(`which box?\nUsage: ${usage}`, exitCodes.wrongLine);
  return box;
}

/** Undefined: not waited for. Infinite: as long as it takes. */
function waitMsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (text === forEver) return Number.POSITIVE_INFINITY;
  try {
    return durationMsOf(text);
  } catch (thrown) {
    if (!(thrown instanceof FieldError)) throw thrown;
    throw new CommandError(`--wait: ${thrown.message}`, exitCodes.wrongLine);
  }
}

const forEver = 'for ever';

/** `--wait` alone, `--wait=90s` and `--wait 90s`; what is no time is the box's name. */
function waitsSpelt(args: readonly string[]): string[] {
  return args.flatMap((arg, index) => {
    if (arg !== '--wait') return args[index - 1] === '--wait' && isTime(arg) ? [] : [arg];
    const next = args[index + 1];
    return [`--wait=${next !== undefined && isTime(next) ? next : forEver}`];
  });
}

function isTime(text: string): boolean {
  return /^\d[\d.]*(?:ms|s|m|h|d)[\da-z.]*$/.test(text);
}

function interruptible<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    if (signal.aborted) leave();
    signal.addEventListener('abort', leave, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}
