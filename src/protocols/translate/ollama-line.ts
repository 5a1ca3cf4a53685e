/** What Ollama's own protocols answer, line by line or whole, read without trust. */
import { memberObject, memberObjects } from '../../json/nested.ts';
import { parseValue } from '../../json/parse.ts';
import { countOf, errorMessageOf, type JsonRecord, recordOf, textOf } from '../answer-text.ts';
import { objectIn } from './exact-json.ts';
import { freshId } from './identity.ts';

export interface NativeCall {
  readonly id: string;
  readonly index: number;
  readonly name: string;
  /** The very text that came, an object. */
  readonly input: string;
}

export interface NativeLine {
  /** Set where the box reports a failure; nothing else counts then. */
  readonly error: string | undefined;
  readonly model: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly text: string;
  readonly thinking: string;
  readonly calls: readonly NativeCall[];
  readonly logprobs: readonly unknown[];
  readonly isDone: boolean;
  /** `stop`, `length`, `load`, `unload`; empty before the end. */
  readonly reason: string;
  readonly input: number;
  readonly output: number;
}

/** Undefined: this is no JSON object. */
export function readNative(json: string): NativeLine | undefined {
  let line: JsonRecord | undefined;
  try {
    line = recordOf(parseValue(json));
  } catch {
    return undefined;
  }
  if (line === undefined) return undefined;
  const message = recordOf(line.message);
  return {
    error: errorMessageOf(line.error),
    model: textOf(line.model) ?? '',
    created: secondsOf(line.created_at),
    text: textOf(message?.content) ?? textOf(line.response) ?? '',
    thinking: textOf(message?.thinking) ?? '',
    calls: Array.isArray(message?.tool_calls) && message.tool_calls.length > 0 ? callsIn(json) : [],
    logprobs: Array.isArray(line.logprobs) ? line.logprobs : [],
    isDone: line.done === true,
    reason: textOf(line.done_reason) ?? '',
    input: countOf(line.prompt_eval_count) ?? 0,
    output: countOf(line.eval_count) ?? 0,
  };
}

/** Nothing in it that a client would see. */
export function isEmptyLine({ text, thinking, calls, logprobs }: NativeLine): boolean {
  return text === '' && thinking === '' && calls.length === 0 && logprobs.length === 0;
}

function secondsOf(time: unknown): number {
  const ms = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return Math.floor((Number.isNaN(ms) ? Date.now() : ms) / 1000);
}

/** Arguments stay as the box wrote them: numbers of any length, members in their order. */
function callsIn(json: string): NativeCall[] {
  const line = objectIn(json);
  const message = line === undefined ? undefined : memberObject(line, 'message');
  const calls = message === undefined ? undefined : memberObjects(message, 'tool_calls');
  return (calls ?? []).flatMap((call): NativeCall[] => {
    const called = call === undefined ? undefined : memberObject(call, 'function');
    if (call === undefined || called === undefined) return [];
    const input = called.textOf('arguments');
    return [
      {
        id: textOf(call.get('id')) ?? `call_${freshId()}`,
        index: countOf(called.get('index')) ?? 0,
        name: textOf(called.get('name')) ?? '',
        input: input === undefined || input === 'null' ? '{}' : input,
      },
    ];
  });
}
