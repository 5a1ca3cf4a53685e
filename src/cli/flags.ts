/// <reference types="node" />
/** The command line as typed, read but not yet judged against the environment. */
import { parseArgs } from 'node:util';
import { nearestOf } from '../config/diagnostic.ts';

export interface Flags {
  readonly file: string | undefined;
  readonly inline: string | undefined;
  readonly host: string | undefined;
  readonly port: string | undefined;
  readonly allowHosts: readonly string[];
  readonly relay: boolean;
  readonly allowAnonymous: boolean;
  readonly noDemo: boolean;
  readonly validateOnly: boolean;
  /** Beside the errors and warnings, what agentgateway would say. */
  readonly portable: boolean;
  /** What `--validate-only` says, as one JSON document. */
  readonly json: boolean;
  /** Boxes are asked for the models that the configuration names. */
  readonly probe: boolean;
  readonly ignoreUnsupported: boolean;
  readonly version: boolean;
  readonly help: boolean;
}

/** In the order of `--help`. Names and letters are agentgateway's where it has them. */
const known = {
  file: { type: 'string', short: 'f', value: 'FILE', about: 'read the configuration from FILE; `-` is standard input' },
  config: { type: 'string', short: 'c', value: "'YAML'", about: 'the configuration itself' },
  'validate-only': { type: 'boolean', about: 'say what is wrong with the configuration and what would be served, and end' },
  json: { type: 'boolean', about: 'with --validate-only: as JSON' },
  portable: { type: 'boolean', about: 'with --validate-only: say what agentgateway itself would refuse' },
  probe: { type: 'boolean', about: 'with --validate-only: ask the boxes for the models that are named' },
  'ignore-unsupported': { type: 'boolean', about: 'leave out what Corral has not got; what it might have locked answers 503' },
  host: { type: 'string', value: 'ADDRESS', about: 'listen here; 0.0.0.0 is every interface' },
  port: { type: 'string', value: 'PORT', about: "instead of the first bind's port; 0 is any free one" },
  relay: { type: 'boolean', about: 'stand beside the boxes, for Corrals in front that know CORRAL_RELAY_SECRET' },
  'allow-anonymous': { type: 'boolean', about: 'serve other machines on routes without a key, too' },
  'allow-host': {
    type: 'string',
    multiple: true,
    value: 'NAME',
    about: 'a further Host name for routes without a key; may be repeated',
  },
  'no-demo': { type: 'boolean', about: 'no built-in demo box while no Ollama answers' },
  version: { type: 'boolean', short: 'V', about: 'print the version' },
  help: { type: 'boolean', short: 'h', about: 'print this' },
} as const satisfies Record<
  string,
  { type: 'string' | 'boolean'; short?: string; multiple?: boolean; value?: string; about: string }
>;

/** Commands beside the gateway itself (commands.ts), in the order of `--help`. */
const commands = {
  doctor: 'ask the boxes, and say what is wrong and what to do',
  fleet: 'ls, ps, diff, sync, pull, load, unload, cordon, uncordon, drain: the boxes behind Corral',
  help: 'print this; `corral help fleet` tells more',
} as const;

export const commandNames: readonly string[] = Object.keys(commands);

export type FlagsResult = { readonly ok: true; readonly flags: Flags } | { readonly ok: false; readonly problem: string };

/** Never throws; the problem is one line that says what to type instead. */
export function flagsOf(args: readonly string[]): FlagsResult {
  const stray = strayOf(args);
  if (stray !== undefined) return { ok: false, problem: stray };
  const { values } = parseArgs({ args: [...args], options: known, strict: true, allowPositionals: false });
  return {
    ok: true,
    flags: {
      file: values.file,
      inline: values.config,
      host: values.host,
      port: values.port,
      allowHosts: values['allow-host'] ?? [],
      relay: values.relay ?? false,
      allowAnonymous: values['allow-anonymous'] ?? false,
      noDemo: values['no-demo'] ?? false,
      validateOnly: values['validate-only'] ?? false,
      portable: values.portable ?? false,
      json: values.json ?? false,
      probe: values.probe ?? false,
      ignoreUnsupported: values['ignore-unsupported'] ?? false,
      version: values.version ?? false,
      help: values.help ?? false,
    },
  };
}

/** What parseArgs would throw about, in words of ours. */
function strayOf(args: readonly string[]): string | undefined {
  const { tokens } = parseArgs({ args: [...args], options: known, strict: false, allowPositionals: true, tokens: true });
  for (const token of tokens) {
    if (token.kind === 'positional' && commandNames.includes(token.value))
      return `a command stands first: corral ${token.value} …`;
    if (token.kind === 'positional') return `"${token.value}" stands alone: a configuration file is named with -f ${token.value}`;
    if (token.kind !== 'option') continue;
    const option = (known as Record<string, { type: string; value?: string }>)[token.name];
    if (option === undefined) return unknownFlag(token.rawName);
    if (option.type === 'boolean' && token.value !== undefined) return `${token.rawName} takes no value`;
    // `--port --host x`: the value was forgotten. `-f -` is standard input.
    if (option.type === 'string' && (token.value === undefined || (!token.inlineValue && /^-./.test(token.value)))) {
      return `${token.rawName} needs a value: ${token.rawName} ${option.value}`;
    }
  }
  return undefined;
}

function unknownFlag(typed: string): string {
  const nearest = typed.startsWith('--') ? nearestOf(typed.slice(2), Object.keys(known)) : undefined;
  return `unknown flag ${typed}${nearest === undefined ? '' : `; did you mean --${nearest}?`}`;
}

/** The text of `--help`. */
export function helpText(): string {
  const rows = Object.entries(known).map(([name, option]) => {
    const short = 'short' in option ? `-${option.short}, ` : '    ';
    return [`${short}--${name}${'value' in option ? ` ${option.value}` : ''}`, option.about] as const;
  });
  const width = Math.max(...rows.map(([flag]) => flag.length)) + 2;
  return [
    'corral: the gateway in front of Ollama',
    '',
    'Usage: corral [-f FILE | -c YAML] [flags]',
    '       corral COMMAND …',
    '',
    ...Object.entries(commands).map(([name, about]) => `  ${name.padEnd(width)}${about}`),
    '',
    ...rows.map(([flag, about]) => `  ${flag.padEnd(width)}${about}`),
    '',
    'Without -f or -c: CORRAL_CONFIG (a path, or the YAML itself), then ./corral.yaml, then the boxes of CORRAL_BOXES',
    '(desk=192.168.1.7,http://box.lan:11434), then the Ollama at OLLAMA_HOST or localhost:11434. Further variables: CORRAL_HOST, CORRAL_PORT, CORRAL_ALLOW_ANONYMOUS, CORRAL_API_KEY (asked of every',
    'client), CORRAL_ADMIN_TOKEN, CORRAL_RELAY, CORRAL_RELAY_SECRET (known to a relay and to the Corrals in front of it), OLLAMA_ORIGINS.',
    '',
  ].join('\n');
}
