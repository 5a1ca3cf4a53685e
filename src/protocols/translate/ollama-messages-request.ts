/** A Messages request as one of `/api/chat`: what Ollama's own `/v1/messages` makes of it (anthropic/anthropic.go, FromMessagesRequest). */
import type { JsonDraft, ObjectText } from '../../json/object-text.ts';
import { JsonText, jsonOf, textAsIs } from './exact-json.ts';
import { flagIn, isBase64, optionsOf, ownMembers, putOption, roleIn, typedIn } from './ollama-reading.ts';
import { contentOf, invalid, objectsIn, objectUnder, stringIn, textIn } from './reading.ts';

const struct = 'MessagesRequest';

/** The JSON of the native request. Throws invalid_body where Ollama would. */
export function nativeChatOfMessages(body: ObjectText): string {
  const limit = typedIn(body, 'max_tokens', 'int', struct);
  if (limit === undefined || Number(limit) <= 0) throw invalid('max_tokens is required and must be positive');
  const messages = objectsIn(body, 'messages') ?? [];
  if (messages.length === 0) throw invalid('messages is required');
  const system = systemIn(body);
  return jsonOf({
    model: textAsIs(textIn(body, 'model')),
    messages: [...(system === '' ? [] : [{ role: 'system', content: system }]), ...messages.flatMap(messageOf)],
    stream: flagIn(body, 'stream', struct),
    tools: objectsIn(body, 'tools')?.map(toolOf),
    think: thinkIn(body),
    // Nothing is filled in here: the model's own parameters hold, as on the box's own path.
    options: optionsOf(body, (options) => putOptions(options, body, limit)),
    ...ownMembers(body),
  });
}

function putOptions(options: JsonDraft, body: ObjectText, limit: string): void {
  putOption(options, 'num_predict', limit);
  putOption(options, 'temperature', typedIn(body, 'temperature', 'float64', struct));
  putOption(options, 'top_p', typedIn(body, 'top_p', 'float64', struct));
  putOption(options, 'top_k', typedIn(body, 'top_k', 'int', struct));
  const stops = textIn(body, 'stop_sequences');
  putOption(options, 'stop', stops === undefined || /^\[\s*\]$/.test(stops) ? undefined : stops);
}

function thinkIn(body: ObjectText): JsonText | undefined {
  const own = textIn(body, 'think');
  if (own !== undefined) return new JsonText(own);
  const type = stringIn(objectUnder(body, 'thinking'), 'type');
  if (type === 'enabled') return new JsonText('true');
  if (type === 'disabled') return new JsonText('false');
  const effort = stringIn(objectUnder(body, 'output_config'), 'effort')?.trim().toLowerCase();
  const known = effort === 'xhigh' ? 'high' : effort;
  return known === 'high' || known === 'medium' || known === 'low' || known === 'max'
    ? new JsonText(JSON.stringify(known))
    : undefined;
}

function systemIn(body: ObjectText): string {
  const system = contentOf(body, 'system', 'system');
  return typeof system === 'string' ? system : textsOf(system ?? []);
}

function textsOf(blocks: readonly ObjectText[]): string {
  return blocks.map((block) => (stringIn(block, 'type') === 'text' ? (stringIn(block, 'text') ?? '') : '')).join('');
}

function messageOf(message: ObjectText, index: number): object[] {
  const role = roleIn(message).toLowerCase();
  const content = contentOf(message, 'content', `messages[${index}]`) ?? [];
  if (typeof content === 'string') return content === '' ? [] : [{ role, content }];
  const images = content
    .filter((block) => stringIn(block, 'type') === 'image')
    .map((block) => imageIn(objectUnder(block, 'source')));
  const calls = content.filter((block) => /^(?:server_)?tool_use$/.test(stringIn(block, 'type') ?? '')).map(callOf);
  const results = content.flatMap(resultOf);
  const thinking = content.findLast((block) => stringIn(block, 'type') === 'thinking');
  const said = {
    role,
    content: textsOf(content),
    thinking: stringIn(thinking, 'thinking') || undefined,
    images: images.length > 0 ? images : undefined,
    tool_calls: calls.length > 0 ? calls : undefined,
  };
  const isSilent = said.content === '' && said.thinking === undefined && images.length + calls.length === 0;
  const words = isSilent ? [] : [said];
  // What tools have found comes before what the person adds to it.
  return role === 'user' ? [...results, ...words] : [...words, ...results];
}

function callOf(block: ObjectText): object {
  const id = stringIn(block, 'id') ?? '';
  const name = stringIn(block, 'name') ?? '';
  if (id === '') throw invalid("tool_use block missing required 'id' field");
  if (name === '') throw invalid("tool_use block missing required 'name' field");
  return { id, function: { name, arguments: new JsonText(textIn(block, 'input') ?? '{}') } };
}

function resultOf(block: ObjectText): object[] {
  if (stringIn(block, 'type') !== 'tool_result') return [];
  const given = block.textOf('content');
  const parts = given?.startsWith('[') ? (objectsIn(block, 'content') ?? []) : [];
  const images = parts.filter((part) => stringIn(part, 'type') === 'image').map((part) => imageIn(objectUnder(part, 'source')));
  return [
    {
      role: 'tool',
      content: stringIn(block, 'content') ?? textsOf(parts),
      images: images.length > 0 ? images : undefined,
      tool_call_id: stringIn(block, 'tool_use_id') || undefined,
    },
  ];
}

function imageIn(source: ObjectText | undefined): string {
  if (source === undefined) throw invalid('invalid image source');
  const type = stringIn(source, 'type') ?? '';
  if (type !== 'base64') throw invalid(`invalid image source type: ${type}. Only base64 images are supported.`);
  const data = stringIn(source, 'data') ?? '';
  if (!isBase64(data)) throw invalid('invalid base64 image data');
  return data;
}

function toolOf(tool: ObjectText): object {
  return {
    type: 'function',
    function: {
      name: stringIn(tool, 'name') ?? '',
      description: stringIn(tool, 'description') || undefined,
      parameters: new JsonText(textIn(tool, 'input_schema') ?? '{}'),
    },
  };
}

/** What Ollama says of the prompt before it has read it: a token for four letters (anthropic/anthropic.go, EstimateCountTokens). */
export function guessedTokens(body: ObjectText): number {
  const inTools = (objectsIn(body, 'tools') ?? []).map(
    (tool) => lengthOf(stringIn(tool, 'name')) + lengthOf(stringIn(tool, 'description')) + lengthOf(textIn(tool, 'input_schema')),
  );
  const inMessages = (objectsIn(body, 'messages') ?? []).map((message) => {
    const content = contentOf(message, 'content', 'messages') ?? [];
    const words = typeof content === 'string' ? lengthOf(content) : sum(content.map(lengthOfBlock));
    return lengthOf(roleIn(message)) + words;
  });
  const system = contentOf(body, 'system', 'system') ?? '';
  const inSystem = typeof system === 'string' ? lengthOf(system) : sum(system.map(lengthOfBlock));
  return Math.max(1, Math.floor((inSystem + sum(inMessages) + sum(inTools)) / 4));
}

function lengthOfBlock(block: ObjectText): number {
  const type = stringIn(block, 'type');
  if (type === 'tool_use' || type === 'tool_result') return lengthOf(textIn(block, 'input') ?? textIn(block, 'content')) + 60;
  return lengthOf(stringIn(block, 'text')) + lengthOf(stringIn(block, 'thinking'));
}

/** Letters stand for bytes: this is a guess. */
function lengthOf(text: string | undefined): number {
  return text?.length ?? 0;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
