/** A request for chat completions as one of `/api/chat`: what Ollama's own `/v1` makes of it (openai/openai.go, FromChatRequest). */
import type { ObjectText } from '../../json/object-text.ts';
import { JsonText, jsonOf, textAsIs } from './exact-json.ts';
import {
  argumentsIn,
  fillOption,
  flagIn,
  imageIn,
  isBase64,
  optionsOf,
  ownMembers,
  putOption,
  roleIn,
  stopsIn,
  thinkOf,
  typedIn,
} from './ollama-reading.ts';
import { invalid, objectsIn, objectUnder, stringIn, textIn } from './reading.ts';

const struct = 'ChatCompletionRequest';

/** The JSON of the native request. Throws invalid_body where Ollama would. */
export function nativeChatOf(body: ObjectText): string {
  const stream = flagIn(body, 'stream', struct);
  const messages = messagesOf(body);
  const limits = { name: 'max_tokens', json: typedIn(body, 'max_tokens', 'int', struct) };
  const seed = typedIn(body, 'seed', 'int', struct);
  const numbers = ['temperature', 'top_p', 'frequency_penalty', 'presence_penalty'].map(
    (name) => [name, typedIn(body, name, 'float64', struct)] as const,
  );
  return jsonOf({
    model: textAsIs(textIn(body, 'model')),
    messages,
    stream,
    format: formatOf(body),
    tools: textAsIs(textIn(body, 'tools')),
    think: thinkOf(body, effortIn(body)),
    logprobs: flagIn(body, 'logprobs', struct) ? true : undefined,
    top_logprobs: textAsIs(typedIn(body, 'top_logprobs', 'int', struct)),
    options: optionsOf(body, (options) => {
      putOption(options, 'stop', stopsIn(body));
      putOption(options, 'num_predict', limits.json);
      putOption(options, 'seed', seed);
      for (const [name, json] of numbers) putOption(options, name, json);
      // Natively a model's own parameters or 0.8 and 0.9 would hold.
      fillOption(options, 'temperature', '1');
      fillOption(options, 'top_p', '1');
    }),
    ...ownMembers(body),
  });
}

function effortIn(body: ObjectText): string | undefined {
  const reasoning = objectUnder(body, 'reasoning');
  return reasoning === undefined ? stringIn(body, 'reasoning_effort') : stringIn(reasoning, 'effort');
}

function formatOf(body: ObjectText): JsonText | undefined {
  const format = objectUnder(body, 'response_format');
  switch (stringIn(format, 'type')?.trim().toLowerCase()) {
    case 'json_object':
      return new JsonText('"json"');
    case 'json_schema':
      return textAsIs(textIn(objectUnder(format, 'json_schema'), 'schema'));
    default:
      return undefined;
  }
}

function messagesOf(body: ObjectText): object[] {
  const messages = objectsIn(body, 'messages') ?? [];
  if (messages.length === 0) throw invalid("[] is too short - 'messages'");
  const all: NativeMessage[] = [];
  const names = new ToolNames(messages);
  for (const message of messages) {
    const text = message.textOf('content');
    if (text?.startsWith('"')) all.push({ ...whole(message, names), content: new JsonText(text) });
    else if (text?.startsWith('[')) addParts(all, message, names);
    else all.push(withoutContent(message, text));
  }
  return all;
}

interface NativeMessage {
  role: string;
  content: JsonText | string;
  thinking?: string | undefined;
  images?: readonly string[] | undefined;
  tool_calls?: readonly object[] | undefined;
  tool_name?: string | undefined;
  tool_call_id?: string | undefined;
}

function whole(message: ObjectText, names: ToolNames): Omit<NativeMessage, 'content'> {
  return {
    role: roleIn(message),
    thinking: said(message, 'reasoning'),
    tool_calls: callsIn(message),
    tool_name: toolNameOf(message, names),
    tool_call_id: said(message, 'tool_call_id'),
  };
}

/** Content may only be missing beside calls of tools. */
function withoutContent(message: ObjectText, text: string | undefined): NativeMessage {
  if (textIn(message, 'tool_calls') === undefined) throw invalid(`invalid message content type: ${goKindOf(text)}`);
  return {
    role: roleIn(message),
    content: '',
    thinking: said(message, 'reasoning'),
    tool_calls: callsIn(message),
    tool_call_id: said(message, 'tool_call_id'),
  };
}

function goKindOf(text: string | undefined): string {
  if (text === undefined || text === 'null') return '<nil>';
  if (text.startsWith('{')) return 'map[string]interface {}';
  return text === 'true' || text === 'false' ? 'bool' : 'float64';
}

/** On `/v1` each part is a message of its own; calls of tools go with the last of them. */
function addParts(all: NativeMessage[], message: ObjectText, names: ToolNames): void {
  const role = roleIn(message);
  for (const part of objectsIn(message, 'content') ?? []) all.push({ role, ...partOf(part) });
  const last = all.at(-1);
  const calls = callsIn(message);
  if (last === undefined || calls === undefined) return;
  last.tool_calls = calls;
  last.tool_name = toolNameOf(message, names);
  last.tool_call_id = said(message, 'tool_call_id');
  last.thinking = said(message, 'reasoning');
}

function partOf(part: ObjectText): Pick<NativeMessage, 'content' | 'images'> {
  switch (stringIn(part, 'type')) {
    case 'text': {
      const text = part.textOf('text');
      if (text?.startsWith('"') !== true) throw invalid('invalid message format');
      return { content: new JsonText(text) };
    }
    case 'image_url': {
      const image = objectUnder(part, 'image_url');
      const url = image === undefined ? stringIn(part, 'image_url') : stringIn(image, 'url');
      if (url === undefined) throw invalid('invalid message format');
      return { content: '', images: [imageIn(url)] };
    }
    case 'input_audio': {
      const audio = objectUnder(part, 'input_audio');
      if (audio === undefined) throw invalid('invalid input_audio format');
      const data = stringIn(audio, 'data');
      if (data === undefined) throw invalid('invalid input_audio format: missing data');
      if (!isBase64(data)) throw invalid('invalid input_audio base64 data');
      return { content: '', images: [data] };
    }
    default:
      throw invalid('invalid message format');
  }
}

function callsIn(message: ObjectText): object[] | undefined {
  const calls = objectsIn(message, 'tool_calls');
  if (calls === undefined || calls.length === 0) return undefined;
  return calls.map((call) => {
    const called = objectUnder(call, 'function');
    const input = argumentsIn(stringIn(called, 'arguments'));
    if (input === undefined) throw invalid('invalid tool call arguments');
    return { id: stringIn(call, 'id') ?? '', function: { name: stringIn(called, 'name') ?? '', arguments: input } };
  });
}

/** Templates want the tool's name beside its result; where the client does not say it, the call of that id does. */
function toolNameOf(message: ObjectText, names: ToolNames): string | undefined {
  if (roleIn(message).toLowerCase() !== 'tool') return undefined;
  const name = said(message, 'name');
  const id = said(message, 'tool_call_id');
  return name !== undefined || id === undefined ? name : names.of(id);
}

/** The names of the tools that were called, by the calls' ids; of equal ids the last message's first. Read once, however many ask. */
class ToolNames {
  readonly #messages: readonly ObjectText[];
  #names: Map<string, string | undefined> | undefined;

  constructor(messages: readonly ObjectText[]) {
    this.#messages = messages;
  }

  of(id: string): string | undefined {
    this.#names ??= this.#read();
    return this.#names.get(id);
  }

  #read(): Map<string, string | undefined> {
    const names = new Map<string, string | undefined>();
    for (const message of this.#messages) {
      for (const call of objectsIn(message, 'tool_calls')?.toReversed() ?? []) {
        const id = stringIn(call, 'id');
        if (id !== undefined) names.set(id, said(objectUnder(call, 'function'), 'name'));
      }
    }
    return names;
  }
}

/** The text; undefined when there is none, or an empty one. */
function said(object: ObjectText | undefined, name: string): string | undefined {
  return stringIn(object, name) || undefined;
}
