/** A whole answer of Anthropic's as a chat completion. */
import type { ObjectText } from '../../json/object-text.ts';
import { recordOf } from '../answer-text.ts';
import { chatUsageOf, finishReasonOf, noCounts, takeCounts } from './anthropic-reading.ts';
import { argumentsText, jsonOf, objectIn } from './exact-json.ts';
import { freshId, idAs, nowInSeconds } from './identity.ts';
import { objectsIn, stringIn } from './reading.ts';

/** Undefined when the text is no message. Arguments of tools are the very text that came. */
export function chatAnswerOf(text: string): string | undefined {
  const answer = objectIn(text);
  if (answer === undefined || !answer.textOf('content')?.startsWith('[')) return undefined;
  const message = messageOf(objectsIn(answer, 'content') ?? []);
  const counts = noCounts();
  takeCounts(counts, recordOf(answer.get('usage')));
  return jsonOf({
    id: idAs('chatcmpl-', stringIn(answer, 'id') ?? freshId()),
    object: 'chat.completion',
    created: nowInSeconds(),
    model: stringIn(answer, 'model') ?? '',
    choices: [
      {
        index: 0,
        message,
        logprobs: null,
        finish_reason: finishReasonOf(answer.get('stop_reason'), message.tool_calls !== undefined),
      },
    ],
    usage: chatUsageOf(counts),
  });
}

interface ChatMessage {
  readonly role: 'assistant';
  readonly content: string | null;
  readonly refusal: null;
  readonly reasoning_content?: string;
  /** Only where there is one thought: of several the client could give none back exactly. */
  readonly reasoning_signature?: string;
  readonly tool_calls?: readonly object[];
}

function messageOf(blocks: readonly ObjectText[]): ChatMessage {
  const calls: object[] = [];
  const thoughts: ObjectText[] = [];
  let text = '';
  for (const block of blocks) {
    const type = stringIn(block, 'type');
    if (type === 'text') text += stringIn(block, 'text') ?? '';
    else if (type === 'thinking') thoughts.push(block);
    else if (type === 'tool_use') {
      const called = { name: stringIn(block, 'name') ?? '', arguments: argumentsText(block.textOf('input')) };
      calls.push({ id: stringIn(block, 'id') ?? '', type: 'function', function: called });
    }
  }
  const thinking = thoughts.map((thought) => stringIn(thought, 'thinking') ?? '').join('\n\n');
  const signature = thoughts.length === 1 ? stringIn(thoughts[0], 'signature') : undefined;
  return {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    refusal: null,
    ...(thinking === '' ? {} : { reasoning_content: thinking }),
    ...(signature === undefined || signature === '' ? {} : { reasoning_signature: signature }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
}
