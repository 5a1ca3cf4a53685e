/** From the command line to an open gateway, or to the end: the part of a start that every runtime shares. */
import type { Opened, OpenGateway } from '../entry/opened.ts';
import type { Settings } from '../entry/settings.ts';
import { version } from '../entry/version.ts';
import type { Platform } from '../platform.ts';
import { clearSecretWarnings } from './clear-secrets.ts';
import type { FilesRead } from './files-read.ts';
import { commandNames, flagsOf, helpText } from './flags.ts';
import { settingsOf } from './settings.ts';
import type { Surroundings } from './surroundings.ts';
import { lastLines, validate } from './validate.ts';

export type Prepared =
  | { readonly goesOn: true; readonly opened: Opened; readonly settings: Settings; readonly files: FilesRead }
  | { readonly goesOn: false; readonly exitCode: number };

export { version };

/** Prints what there is to say. Exit codes: 0 done as asked, 1 the configuration is wrong, 2 the command line is. */
export async function prepare(surroundings: Surroundings, platform: Platform, openGateway: OpenGateway): Promise<Prepared> {
  const { out, err, args } = surroundings;
  if (commandNames.includes(args[0] ?? '')) {
    // Read when it is asked for: a start needs none of it.
    const { runCommand } = await import('./commands.ts');
    return { goesOn: false, exitCode: await runCommand(args, surroundings, platform) };
  }
  const read = flagsOf(surroundings.args);
  if (!read.ok) {
    err(`error: ${read.problem}\nFlags are listed by --help\n`);
    return { goesOn: false, exitCode: 2 };
  }
  const { flags } = read;
  const alone = !flags.validateOnly && (['portable', 'json', 'probe'] as const).find((name) => flags[name]);
  if (typeof alone === 'string') {
    err(`error: --${alone} goes with --validate-only\n`);
    return { goesOn: false, exitCode: 2 };
  }
  if (flags.help || flags.version) {
    out(flags.help ? helpText() : `corral ${version}\n`);
    return { goesOn: false, exitCode: 0 };
  }
  const told = settingsOf(flags, surroundings);
  if (!told.ok) {
    err(`error: ${told.problem}\n`);
    return { goesOn: false, exitCode: 1 };
  }
  if (flags.validateOnly) {
    const exitCode = await validate({ settings: told.settings, platform, flags, surroundings });
    return { goesOn: false, exitCode };
  }
  const result = await openGateway(told.settings, platform);
  if (!result.ok) {
    for (const problem of result.problems) err(`${problem}\n`);
    err(lastLines(result.problems, told.settings));
    return { goesOn: false, exitCode: 1 };
  }
  for (const warning of result.opened.warnings) err(`warning: ${warning}\n`);
  for (const { path, message } of clearSecretWarnings(told.settings, surroundings.modeOf))
    err(`warning: ${result.opened.warningAt(path, message)}\n`);
  return { goesOn: true, opened: result.opened, settings: told.settings, files: told.files };
}
