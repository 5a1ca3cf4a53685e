/** Flags and environment become Settings: flag > variable > ./corral.yaml > the configuration that comes with Corral. */
import { type ConfigText, environmentSettings, filled, herdConfigOf, type Settings } from '../entry/settings.ts';
import { FieldError } from '../fields/text-field.ts';
import { bundledConfig, bundledName } from './bundled-config.ts';
import { createFilesRead, type FilesRead } from './files-read.ts';
import type { Flags } from './flags.ts';
import { type Surroundings, saidPlainly, systemReasonOf } from './surroundings.ts';

export type SettingsResult =
  | { readonly ok: true; readonly settings: Settings /** What was read, and what will be. */; readonly files: FilesRead }
  | { readonly ok: false; readonly problem: string };

/** Said once, of one thing, with the mend. */
class Unusable extends Error {}

export function settingsOf(flags: Flags, surroundings: Surroundings): SettingsResult {
  const { env } = surroundings;
  const files = createFilesRead(surroundings.readFile);
  try {
    const environment = environmentSettings(env);
    const config = configTextOf(flags, surroundings, files, herdConfigOf(environment.boxes));
    return {
      ok: true,
      files,
      settings: {
        ...environment,
        config,
        host: hostOf(flags.host ?? filled(env('CORRAL_HOST'))),
        port: portOf(flags.port, '--port') ?? portOf(filled(env('CORRAL_PORT')), 'CORRAL_PORT'),
        isRelay: flags.relay || environment.isRelay === true,
        allowAnonymous: flags.allowAnonymous || environment.allowAnonymous,
        allowedHosts: flags.allowHosts,
        ignoreUnsupported: flags.ignoreUnsupported || environment.ignoreUnsupported === true,
        // Only where nothing was said: whoever wrote a configuration has boxes, and wants no invented model beside theirs.
        hasDemo: !flags.noDemo && config.name === bundledName,
        readFile: saidPlainly(files.readFile),
      },
    };
  } catch (thrown) {
    if (thrown instanceof Unusable || thrown instanceof FieldError) return { ok: false, problem: thrown.message };
    throw thrown;
  }
}

function configTextOf(
  flags: Flags,
  { env, readFile, readStdin }: Surroundings,
  files: FilesRead,
  herd: ConfigText | undefined,
): ConfigText {
  if (flags.file !== undefined && flags.inline !== undefined)
    throw new Unusable('-f and -c exclude each other: give one of them');
  if (flags.inline !== undefined) return { text: flags.inline, name: '<-c>' };
  if (flags.file === '-') return { text: readStdin(), name: '<stdin>' };
  if (flags.file !== undefined) return fileText(flags.file, '-f', files.readFile);
  const variable = filled(env('CORRAL_CONFIG'));
  if (variable?.includes('\n') === true) return { text: variable, name: 'CORRAL_CONFIG' };
  if (variable !== undefined) return fileText(variable, 'CORRAL_CONFIG', files.readFile);
  try {
    return { text: files.readFile('corral.yaml'), name: 'corral.yaml', path: 'corral.yaml' };
  } catch (thrown) {
    // A file that is there and cannot be read must not be passed over: the bundled one would open other doors.
    if ((thrown as { code?: unknown }).code !== 'ENOENT')
      throw new Unusable(`corral.yaml cannot be read: ${systemReasonOf(thrown)}`);
    files.forget('corral.yaml');
    return herd ?? bundledConfig(readFile);
  }
}

function fileText(path: string, origin: string, readFile: Surroundings['readFile']): ConfigText {
  try {
    return { text: readFile(path), name: path, path };
  } catch (thrown) {
    throw new Unusable(`${path} (from ${origin}) cannot be read: ${systemReasonOf(thrown)}`);
  }
}

function hostOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const host = text.trim().replace(/^\[(.*)\]$/, '$1');
  if (!/^[\w.:-]+(%\w+)?$/.test(host))
    throw new Unusable(`"${text}" is no address to listen on: give --host 127.0.0.1, --host 0.0.0.0 or a name`);
  if (/^[^:]+:\d+$/.test(host))
    throw new Unusable(`--host takes an address without a port: --host ${host.split(':')[0]} --port ${host.split(':')[1]}`);
  return host;
}

function portOf(text: string | undefined, origin: string): number | undefined {
  if (text === undefined) return undefined;
  const port = /^\d{1,5}$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new Unusable(`${origin} is a number from 0 (any free port) to 65535, not "${text}"`);
  return port;
}
