/** The access log: one line per exchange, at its answer's last byte. */
import type { CelExpression } from '../cel/expression.ts';
import type { Exchange } from '../exchange.ts';
import { type AddedField, createFieldReader, extrasOf, nobody, type StandardAttributes, tellWho } from './added-fields.ts';
import { type AddField, tellExchange } from './fields.ts';

/** Told once per exchange, at its answer's last byte. */
export type Observer = (exchange: Exchange, endedMs: number) => void;

export interface LogSetting {
  readonly format: 'text' | 'json';
  /** Only exchanges for which it is true are logged; undefined: all. */
  readonly filter?: CelExpression | undefined;
  readonly added?: readonly AddedField[];
  /** Names that are left out. */
  readonly removed?: readonly string[];
  readonly standard?: StandardAttributes;
  /** Lower case. Their values stand in no line. */
  readonly sensitiveHeaders?: readonly string[];
}

export interface AccessLogOptions extends LogSetting {
  /** One finished line, without line end. */
  print(line: string): void;
}

export function createAccessLog(options: AccessLogOptions): Observer {
  const { format, filter, print } = options;
  const tell = tellerOf(options);
  const lineOf = format === 'json' ? jsonLineOf : textLineOf;
  return (exchange, endedMs) => {
    if (filter === undefined || filter.holds(exchange, extrasOf(exchange))) print(lineOf(exchange, endedMs, tell));
  };
}

type Teller = (exchange: Exchange, endedMs: number, add: AddField) => void;

/** All fields of a line in their order: agentgateway's, then what the configuration adds, which wins where names meet. */
function tellerOf({ added = [], removed = [], standard = nobody, sensitiveHeaders = [] }: LogSetting): Teller {
  const read = createFieldReader(sensitiveHeaders);
  const asksNothing = added.length === 0 && standard.user === undefined && standard.group === undefined;
  const tellOwn: Teller = (exchange, endedMs, add) => {
    tellExchange(exchange, endedMs, add);
    if (!asksNothing || exchange.claims?.user !== undefined) tellWho(exchange, standard, read, add);
    add('duration', millisecondsOf(endedMs - exchange.startedMs));
  };
  const left = new Set([...removed, ...added.map(({ name }) => name)]);
  if (left.size === 0) return tellOwn;
  return (exchange, endedMs, add) => {
    tellOwn(exchange, endedMs, (name, value) => {
      if (!left.has(name)) add(name, value);
    });
    const extras = extrasOf(exchange);
    for (const { name, value } of added) add(name, read(exchange, value, extras));
  };
}

function textLineOf(exchange: Exchange, endedMs: number, tell: Teller): string {
  let line = `${timeOf(exchange.clock.wallTime())}\tinfo\trequest`;
  tell(exchange, endedMs, (name, value) => {
    if (value === undefined || value === '') return;
    line += typeof value !== 'string' || isPlain.test(value) ? ` ${name}=${value}` : ` ${name}=${quoted(value)}`;
  });
  return line;
}

/** What a reader can take for one value without quotes. */
const isPlain = /^[\x21\x23-\x3c\x3e-\x7e]*$/;

function jsonLineOf(exchange: Exchange, endedMs: number, tell: Teller): string {
  let line = `{"level":"info","time":"${timeOf(exchange.clock.wallTime())}","scope":"request"`;
  tell(exchange, endedMs, (name, value) => {
    if (value === undefined || value === '') return;
    line += `,${isName.test(name) ? `"${name}"` : quoted(name)}:${typeof value === 'string' ? quoted(value) : jsonOf(value)}`;
  });
  return `${line}}`;
}

const isName = /^[\w.-]+$/;

/** JSON has no Infinity and no NaN. */
function jsonOf(value: number | boolean): string {
  return typeof value === 'number' && !Number.isFinite(value) ? `"${value}"` : String(value);
}

/** JSON's quotes, and no control character of any kind: terminals obey some that JSON leaves alone. */
function quoted(value: string): string {
  return JSON.stringify(value).replace(unsafe, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const unsafe = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

function millisecondsOf(durationMs: number): string {
  return `${Math.round(durationMs)}ms`;
}

/** Many lines are written in one millisecond, and writing the time costs as much as all the rest. */
let lastTimeMs = Number.NaN;
let lastTime = '';

function timeOf(wallTimeMs: number): string {
  if (wallTimeMs !== lastTimeMs) {
    lastTimeMs = wallTimeMs;
    lastTime = new Date(wallTimeMs).toISOString();
  }
  return lastTime;
}
