/** The commands beside the gateway itself: `corral doctor`, `corral fleet …`, `corral help`. */
import type { Platform } from '../platform.ts';
import { CommandError, type CommandScope, exitCodes } from './command.ts';
import { doctor, doctorHelp } from './doctor/doctor.ts';
import { helpText } from './flags.ts';
import { fleet, fleetHelp } from './fleet/fleet.ts';
import type { Surroundings } from './surroundings.ts';
import { noTerminal } from './terminal.ts';

/** Prints, and resolves with the exit code. `args` begins with the command's name. */
export async function runCommand(args: readonly string[], surroundings: Surroundings, platform: Platform): Promise<number> {
  const [name, ...rest] = args;
  const scope: CommandScope = { args: rest, surroundings, platform, terminal: surroundings.terminal ?? noTerminal };
  scope.terminal.allowEarlyEnd?.();
  try {
    if (name === 'doctor') return await doctor(scope);
    if (name === 'fleet') return await fleet(scope);
    return help(scope);
  } catch (thrown) {
    if (!(thrown instanceof CommandError)) throw thrown;
    surroundings.err(`error: ${thrown.message}\n`);
    return thrown.exitCode;
  }
}

function help({ args, surroundings }: CommandScope): number {
  const [about] = args;
  surroundings.out(about === 'doctor' ? doctorHelp() : about === 'fleet' ? fleetHelp() : helpText());
  return exitCodes.done;
}
