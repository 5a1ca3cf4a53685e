/** `corral fleet …`: which command is meant, and what there is. */
import { nearestOf } from '../../config/diagnostic.ts';
import { type Command, CommandError, type CommandScope, exitCodes, type OptionShapes, optionRows } from '../command.ts';
import { diff, diffOptions, diffUsage } from './diff.ts';
import { cordon, cordonOptions, cordonUsage, drain, drainOptions, drainUsage, uncordon, uncordonUsage } from './duty.ts';
import { load, loadOptions, loadUsage, unload, unloadOptions, unloadUsage } from './load.ts';
import { ls, lsOptions, lsUsage } from './ls.ts';
import { ps, psUsage } from './ps.ts';
import { pull, pullOptions, pullUsage } from './pull.ts';
import { sync, syncOptions, syncUsage } from './sync.ts';

interface Entry {
  readonly run: Command;
  readonly usage: string;
  readonly options: OptionShapes;
  readonly about: string;
}

const commands: Readonly<Record<string, Entry>> = {
  ls: { run: ls, usage: lsUsage, options: lsOptions, about: 'the boxes: up or down, version, models, what is under way' },
  ps: { run: ps, usage: psUsage, options: lsOptions, about: 'models in memory, over all boxes' },
  diff: { run: diff, usage: diffUsage, options: diffOptions, about: 'which box has which model, and where it differs' },
  sync: { run: sync, usage: syncUsage, options: syncOptions, about: 'pull what is missing or stale, so that boxes agree' },
  pull: { run: pull, usage: pullUsage, options: pullOptions, about: 'pull a model on one box, several or all' },
  load: { run: load, usage: loadUsage, options: loadOptions, about: "load a model into a box's memory" },
  unload: { run: unload, usage: unloadUsage, options: unloadOptions, about: 'take it out again' },
  cordon: { run: cordon, usage: cordonUsage, options: cordonOptions, about: 'take a box out of service: no new work' },
  uncordon: { run: uncordon, usage: uncordonUsage, options: cordonOptions, about: 'back into service' },
  drain: { run: drain, usage: drainUsage, options: drainOptions, about: 'out of service, and wait until it has nothing to do' },
};

export async function fleet(scope: CommandScope): Promise<number> {
  const [name, ...args] = scope.args;
  const { out } = scope.surroundings;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    out(fleetHelp());
    return name === undefined ? exitCodes.wrongLine : exitCodes.done;
  }
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (entry === undefined) {
    const nearest = nearestOf(name, Object.keys(commands));
    const hint = nearest === undefined ? `there are ${Object.keys(commands).join(', ')}` : `did you mean ${nearest}?`;
    throw new CommandError(`corral fleet has no command "${name.slice(0, 100)}"; ${hint}`, exitCodes.wrongLine);
  }
  if (args.includes('--help') || args.includes('-h')) {
    out([`${name}: ${entry.about}`, '', `Usage: ${entry.usage}`, '', ...optionRows(entry.options), ''].join('\n'));
    return exitCodes.done;
  }
  return entry.run({ ...scope, args });
}

export function fleetHelp(): string {
  const width = Math.max(...Object.values(commands).map(({ usage }) => usage.length)) + 2;
  return [
    'corral fleet: the boxes behind Corral',
    '',
    ...Object.values(commands).map(({ usage, about }) => `  ${usage.padEnd(width)}${about}`),
    '',
    'Each takes -f FILE or -c YAML as a start does; ls, ps, diff, cordon, uncordon and drain ask the Corral that runs (--admin URL, else',
    'config.adminAddr; CORRAL_ADMIN_TOKEN). Exit codes: 0 done, 1 something did not work, 2 wrong command line, 3 boxes differ,',
    '130 ended by Ctrl-C.',
    '',
  ].join('\n');
}
