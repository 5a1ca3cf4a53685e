/** What commands have in common beside the gateway's own start: their surroundings, exit codes and how a command line is read. */
/// <reference types="node" />
import { parseArgs } from 'node:util';
import { nearestOf } from '../config/diagnostic.ts';
import type { Platform } from '../platform.ts';
import type { Surroundings } from './surroundings.ts';
import type { Terminal } from './terminal.ts';

export interface CommandScope {
  /** Behind the command's name. */
  readonly args: readonly string[];
  readonly surroundings: Surroundings;
  readonly platform: Platform;
  readonly terminal: Terminal;
}

/** Resolves with the exit code. */
export type Command = (scope: CommandScope) => Promise<number>;

/** `wrongLine` and `failed` as for a start: 2 the command line is wrong, 1 the configuration is, or something did not work. */
export const exitCodes = { done: 0, failed: 1, wrongLine: 2, toSee: 3, interrupted: 130 } as const;

/** Ends a command; the message is complete and printable. */
export class CommandError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = exitCodes.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}

export interface OptionShape {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  /** What its value is called in the help; only of strings. */
  readonly value?: string;
  readonly about: string;
}

export type OptionShapes = Readonly<Record<string, OptionShape>>;

export interface CommandLine {
  text(name: string): string | undefined;
  isSet(name: string): boolean;
  /** What stands without a flag. */
  readonly words: readonly string[];
}

/** Asked of every command that reads the configuration. */
export const configOptions = {
  file: { type: 'string', short: 'f', value: 'FILE', about: 'the configuration; `-` is standard input' },
  config: { type: 'string', short: 'c', value: "'YAML'", about: 'the configuration itself' },
} as const satisfies OptionShapes;

/** Throws CommandError with what to type instead. `most`: how many words may stand without a flag. */
export function readLine(args: readonly string[], options: OptionShapes, usage: string, most: number): CommandLine {
  const wrong = (problem: string) => new CommandError(`${problem}\nUsage: ${usage}`, exitCodes.wrongLine);
  const values = new Map<string, string | true>();
  const words: string[] = [];
  const shapes = Object.fromEntries(
    Object.entries(options).map(([name, { type, short }]) => [name, { type, ...(short === undefined ? {} : { short }) }]),
  );
  const { tokens } = parseArgs({ args: [...args], options: shapes, strict: false, allowPositionals: true, tokens: true });
  for (const token of tokens) {
    if (token.kind === 'positional') words.push(token.value);
    if (token.kind !== 'option') continue;
    const shape = Object.hasOwn(options, token.name) ? options[token.name] : undefined;
    if (shape === undefined) {
      const nearest = nearestOf(token.rawName.replace(/^-+/, ''), Object.keys(options));
      throw wrong(`unknown flag ${token.rawName}${nearest === undefined ? '' : `; did you mean --${nearest}?`}`);
    }
    if (shape.type === 'boolean' && token.value !== undefined) throw wrong(`${token.rawName} takes no value`);
    if (shape.type === 'string' && (token.value === undefined || (!token.inlineValue && isForgotten(token.value))))
      throw wrong(`${token.rawName} needs a value: ${token.rawName} ${shape.value}`);
    values.set(token.name, token.value ?? true);
  }
  if (words.length > most) throw wrong(`"${words[most]}" is one too many`);
  return {
    text: (name) => {
      const value = values.get(name);
      return typeof value === 'string' ? value : undefined;
    },
    isSet: (name) => values.has(name),
    words,
  };
}

/** `--box --all`: the value was forgotten. `-` is standard input, `-1` a number. */
function isForgotten(value: string): boolean {
  return /^-[^\d]/.test(value);
}

/** The rows of a help text. */
export function optionRows(options: OptionShapes): string[] {
  const rows = Object.entries(options).map(([name, { short, value, about }]) => {
    const flag = `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
    return [flag, about] as const;
  });
  const width = Math.max(...rows.map(([flag]) => flag.length)) + 2;
  return rows.map(([flag, about]) => `  ${flag.padEnd(width)}${about}`);
}
