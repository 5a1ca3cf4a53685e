/** A Responses request as one of `/api/chat`: what Ollama's own `/v1/responses` makes of it (openai/responses.go, FromResponsesRequest). */
import type { ObjectText } from '../../json/object-text.ts';
import { JsonText, jsonOf, textAsIs } from './exact-json.ts';
import {
  argumentsIn,
  fillOption,
  flagIn,
  imageIn,
  optionsOf,
  ownMembers,
  putOption,
  roleIn,
  thinkOf,
  typedIn,
} from './ollama-reading.ts';
import { invalid, objectsIn, objectUnder, stringIn, textIn } from './reading.ts';

const struct = 'ResponsesRequest';

/** The JSON of the native request. Throws invalid_body where Ollama would. */
export function nativeChatOfResponses(body: ObjectText): string {
  const instructions = stringIn(body, 'instructions') ?? '';
  const system = instructions === '' ? [] : [{ role: 'system', content: instructions }];
  return jsonOf({
    model: textAsIs(textIn(body, 'model')),
    messages: [...system, ...messagesOf(body)],
    stream: flagIn(body, 'stream', struct),
    format: formatOf(body),
    tools: toolsOf(objectsIn(body, 'tools') ?? []),
    think: thinkOf(body, stringIn(objectUnder(body, 'reasoning'), 'effort')),
    options: optionsOf(body, (options) => {
      putOption(options, 'num_predict', typedIn(body, 'max_output_tokens', 'int', struct));
      putOption(options, 'temperature', typedIn(body, 'temperature', 'float64', struct));
      putOption(options, 'top_p', typedIn(body, 'top_p', 'float64', struct));
      // Of the two only this one has a value of its own here.
      fillOption(options, 'temperature', '1');
    }),
    ...ownMembers(body),
  });
}

function formatOf(body: ObjectText): JsonText | undefined {
  const format = objectUnder(objectUnder(body, 'text'), 'format');
  return stringIn(format, 'type') === 'json_schema' ? textAsIs(textIn(format, 'schema')) : undefined;
}

function toolsOf(tools: readonly ObjectText[]): object[] | undefined {
  return tools.length === 0 ? undefined : tools.flatMap((tool) => toolOf(tool, '', 0));
}

/** Each level is read anew; clients need one. */
const maxNamespaces = 16;

/** A namespace stands for its members, which are called after it. */
function toolOf(tool: ObjectText, space: string, depth: number): object[] {
  const own = stringIn(tool, 'name') ?? '';
  const name = space === '' || own.startsWith(space) ? own : space + own;
  if (stringIn(tool, 'type') === 'namespace') {
    if (depth >= maxNamespaces) throw invalid(`namespaces of tools are more than ${maxNamespaces} deep`);
    return (objectsIn(tool, 'tools') ?? []).flatMap((member) => toolOf(member, name === '' ? '' : `${name}.`, depth + 1));
  }
  const described = {
    name,
    description: stringIn(tool, 'description') || undefined,
    parameters: new JsonText(textIn(tool, 'parameters') ?? '{}'),
  };
  return [{ type: stringIn(tool, 'type') ?? '', function: described }];
}

interface NativeMessage {
  role: string;
  content: string;
  thinking?: string | undefined;
  images?: readonly string[] | undefined;
  tool_calls?: { readonly id: string; readonly function: object }[] | undefined;
  tool_call_id?: string | undefined;
}

function messagesOf(body: ObjectText): NativeMessage[] {
  const input = textIn(body, 'input');
  if (input?.startsWith('"')) {
    const content = stringIn(body, 'input') ?? '';
    return content === '' ? [] : [{ role: 'user', content }];
  }
  if (input !== undefined && !input.startsWith('[')) throw invalid('input must be a string or array');
  const items = objectsIn(body, 'input') ?? [];
  const gathered = new Gathered();
  for (const [index, item] of items.entries()) gathered.add(item, index, items[index + 1]);
  return gathered.end();
}

class Gathered {
  readonly #messages: NativeMessage[] = [];
  /** What was thought belongs to what the model says next. */
  #thinking = '';

  add(item: ObjectText, index: number, next: ObjectText | undefined): void {
    const given = stringIn(item, 'type') ?? '';
    const type = given === '' && roleIn(item) !== '' ? 'message' : given;
    switch (type) {
      case 'message':
        this.#words(item, `input[${index}]`, next);
        return;
      case 'function_call':
        this.#call(item);
        return;
      case 'function_call_output':
        this.#output(item, `input[${index}]`);
        return;
      case 'reasoning':
        this.#thinking = stringIn(item, 'encrypted_content') ?? '';
        return;
      // History only: what was found stands in the message behind it.
      case 'web_search_call':
        return;
      default:
        throw invalid(
          type === ''
            ? `input[${index}]: input item missing required 'type' field`
            : `input[${index}]: unknown input item type: ${JSON.stringify(type)}`,
        );
    }
  }

  end(): NativeMessage[] {
    if (this.#thinking !== '') this.#messages.push({ role: 'assistant', content: '', thinking: this.#takeThinking() });
    return this.#messages;
  }

  #takeThinking(): string | undefined {
    const thinking = this.#thinking;
    this.#thinking = '';
    return thinking === '' ? undefined : thinking;
  }

  #words(item: ObjectText, place: string, next: ObjectText | undefined): void {
    const role = roleIn(item);
    const message: NativeMessage = { role, ...contentIn(item, 'content', place) };
    if (role === 'assistant') message.thinking = this.#takeThinking();
    const answered = stringIn(next, 'type') === 'function_call_output' ? (stringIn(next, 'call_id') ?? '') : '';
    const last = this.#messages.at(-1);
    const isBetween =
      answered !== '' && last?.role === 'assistant' && last.tool_calls?.some(({ id }) => id === answered) === true;
    if (role !== 'assistant' || !isBetween || last === undefined) {
      this.#messages.push(message);
      return;
    }
    // Words between a call and its result: the result must follow the call at once.
    last.content += (last.content !== '' && message.content !== '' ? '\n' : '') + message.content;
    if (message.images !== undefined) last.images = [...(last.images ?? []), ...message.images];
    last.thinking = message.thinking ?? last.thinking;
  }

  #call(item: ObjectText): void {
    const given = stringIn(item, 'arguments') ?? '';
    const input = given === '' ? new JsonText('{}') : argumentsIn(given);
    if (input === undefined) throw invalid('failed to parse function call arguments: they must be a JSON object');
    const call = { id: stringIn(item, 'call_id') ?? '', function: { name: stringIn(item, 'name') ?? '', arguments: input } };
    let last = this.#messages.at(-1);
    if (last?.role !== 'assistant') {
      last = { role: 'assistant', content: '' };
      this.#messages.push(last);
    }
    // In place: a copy for each of many calls would take their number squared.
    last.tool_calls ??= [];
    last.tool_calls.push(call);
    last.thinking = this.#takeThinking() ?? last.thinking;
  }

  #output(item: ObjectText, place: string): void {
    this.#messages.push({
      role: 'tool',
      ...contentIn(item, 'output', place),
      tool_call_id: stringIn(item, 'call_id') || undefined,
    });
  }
}

function contentIn(item: ObjectText, name: 'content' | 'output', place: string): Pick<NativeMessage, 'content' | 'images'> {
  const given = textIn(item, name);
  if (given === undefined) return { content: '' };
  if (given.startsWith('"')) return { content: stringIn(item, name) ?? '' };
  if (!given.startsWith('[')) throw invalid(`${place}: ${name} must be a string or array`);
  let content = '';
  const images: string[] = [];
  for (const [index, part] of (objectsIn(item, name) ?? []).entries()) {
    const type = stringIn(part, 'type') ?? '';
    if (type === 'input_text' || type === 'output_text') content += stringIn(part, 'text') ?? '';
    else if (type === 'input_image') {
      const url = stringIn(part, 'image_url') ?? '';
      if (url !== '') images.push(imageIn(url));
    } else if (type === 'input_file') throw invalid('file inputs are not currently supported');
    else throw invalid(`${place}: ${name}[${index}]: unknown content type: ${type}`);
  }
  return images.length > 0 ? { content, images } : { content };
}
