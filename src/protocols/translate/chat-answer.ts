/** A whole chat completion, taken apart. */
import { parse } from 'lossless-json';
import { parseValue } from '../../json/parse.ts';
import { type JsonRecord, recordOf, textOf } from '../answer-text.ts';
import type { AnswerEnd, AnswerHead, FilledPart } from './answer-parts.ts';
import { idCarrying } from './call-id.ts';
import { argumentsIn, countsIn, reasonOf, saidIn, stopSequenceIn } from './chat-reading.ts';
import { freshId, nowInSeconds } from './identity.ts';

export interface ChatAnswer {
  readonly head: AnswerHead;
  readonly parts: readonly FilledPart[];
  readonly end: AnswerEnd;
}

/** Undefined when the text is no chat completion. */
export function readChatAnswer(text: string): ChatAnswer | undefined {
  const answer = recordIn(text, parseValue);
  const choice = firstChoice(answer);
  const message = recordOf(choice?.message);
  if (answer === undefined || choice === undefined || message === undefined) return undefined;
  const hasObjects = callsIn(message).some(({ called }) => recordOf(called?.arguments) !== undefined);
  const exact = hasObjects ? recordOf(firstChoice(recordIn(text, losslessly))?.message) : undefined;
  const parts = partsOf(message, callsIn(exact ?? message));
  return {
    head: headOf(answer),
    parts,
    end: {
      reason: reasonOf(
        choice.finish_reason,
        parts.some(({ part }) => part.kind === 'tool'),
      ),
      stopSequence: stopSequenceIn(choice),
      usage: countsIn(answer.usage),
    },
  };
}

export function headOf(answer: JsonRecord): AnswerHead {
  const created = typeof answer.created === 'number' ? Math.floor(answer.created) : nowInSeconds();
  return { id: textOf(answer.id) ?? freshId(), model: textOf(answer.model) ?? '', created };
}

function firstChoice(answer: JsonRecord | undefined): JsonRecord | undefined {
  return recordOf(Array.isArray(answer?.choices) ? answer.choices[0] : undefined);
}

interface SeenCall {
  readonly id: string | undefined;
  readonly called: JsonRecord | undefined;
  readonly extra: unknown;
}

function callsIn(message: JsonRecord): readonly SeenCall[] {
  const calls = Array.isArray(message.tool_calls) ? message.tool_calls : [];
  return calls.map((one) => {
    const call = recordOf(one);
    return { id: textOf(call?.id), called: recordOf(call?.function), extra: call?.extra_content };
  });
}

function partsOf(message: JsonRecord, calls: readonly SeenCall[]): FilledPart[] {
  const { thinking, text, refusal } = saidIn(message);
  const parts: FilledPart[] = [];
  if (thinking !== undefined) parts.push({ part: { kind: 'thinking', name: thinking.name }, text: thinking.text });
  if (text !== '') parts.push({ part: { kind: 'text' }, text });
  if (refusal !== '') parts.push({ part: { kind: 'refusal' }, text: refusal });
  for (const { id, called, extra } of calls) {
    if (called === undefined) continue;
    const part = { kind: 'tool' as const, id: idCarrying(id ?? `call_${freshId()}`, extra), name: textOf(called.name) ?? '' };
    parts.push({ part, text: argumentsIn(called) });
  }
  return parts;
}

function recordIn(text: string, parse: (text: string) => unknown): JsonRecord | undefined {
  try {
    return recordOf(parse(text));
  } catch {
    return undefined;
  }
}

function losslessly(text: string): unknown {
  return parse(text, undefined, { onDuplicateKey: ({ newValue }) => newValue });
}
