/** The conversation of a Responses request as chat messages. */
import type { ObjectText } from '../../json/object-text.ts';
import { carriedBy } from './call-id.ts';
import type { Losses } from './losses.ts';
import { contentOf, invalid, objectsIn, objectUnder, stringIn } from './reading.ts';
import { nameInMark } from './reasoning-mark.ts';

export interface Conversation {
  readonly messages: readonly object[];
  /** Tools that stand among the items, as newer clients put them. */
  readonly tools: readonly ObjectText[];
}

interface AssistantTurn {
  readonly role: 'assistant';
  content: string | null;
  reasoning?: string;
  reasoning_content?: string;
  tool_calls?: object[];
}

type ChatPart = Readonly<Record<string, unknown>>;

/** What OpenAI's servers did by themselves in an earlier turn: nobody else can make use of it. */
const serverSide =
  /^(?:web_search|file_search|computer|code_interpreter|image_generation|mcp|tool_search)_|^mcp_|^compaction|_compaction$/;

export function chatMessagesOfInput(body: ObjectText, losses: Losses): Conversation {
  const turns = new Turns(losses);
  const instructions = stringIn(body, 'instructions') ?? '';
  if (instructions !== '') turns.messages.push({ role: 'system', content: instructions });
  const input = contentOf(body, 'input', 'the body');
  if (input === undefined) throw invalid('"input" is missing');
  if (typeof input === 'string') turns.messages.push({ role: 'user', content: input });
  else for (const [index, item] of input.entries()) turns.take(item, `input[${index}]`);
  return turns;
}

class Turns implements Conversation {
  readonly messages: object[] = [];
  readonly tools: ObjectText[] = [];
  readonly #losses: Losses;
  /** The message that thinking, words and calls of one turn are put together in. */
  #assistant: AssistantTurn | undefined;
  /** What tools have shown, behind their messages. */
  #shown: { readonly role: 'user'; readonly content: ChatPart[] } | undefined;

  constructor(losses: Losses) {
    this.#losses = losses;
  }

  take(item: ObjectText, place: string): void {
    const type = stringIn(item, 'type') ?? 'message';
    switch (type) {
      case 'message':
        this.#message(item, place);
        return;
      case 'reasoning':
        this.#reasoning(item);
        return;
      case 'function_call':
        this.#call(item, stringIn(item, 'arguments') ?? '{}');
        return;
      case 'custom_tool_call':
        this.#call(item, JSON.stringify({ input: stringIn(item, 'input') ?? '' }));
        return;
      case 'function_call_output':
      case 'custom_tool_call_output':
        this.#output(item, place);
        return;
      case 'additional_tools':
        this.tools.push(...(objectsIn(item, 'tools', `${place}.tools`) ?? []));
        return;
      default:
        if (!serverSide.test(type)) this.#losses.refuse(`"${place}" is of type ${type}`);
        this.#losses.note(`items of type ${type}`);
    }
  }

  #message(item: ObjectText, place: string): void {
    const role = stringIn(item, 'role') ?? 'user';
    const content = contentOf(item, 'content', place) ?? '';
    if (role === 'assistant') {
      const turn = this.#turn();
      turn.content = (turn.content ?? '') + textOfParts(content);
      return;
    }
    if (role !== 'user' && role !== 'system' && role !== 'developer')
      throw invalid(`"${place}.role" must be user, assistant or system`);
    this.#assistant = undefined;
    // Only OpenAI's own models know developers.
    if (role === 'user') this.messages.push({ role, content: this.#userContent(content) });
    else this.messages.push({ role: 'system', content: textOfParts(content) });
  }

  #turn(): AssistantTurn {
    if (this.#assistant === undefined) {
      this.#assistant = { role: 'assistant', content: null };
      this.messages.push(this.#assistant);
    }
    return this.#assistant;
  }

  /** Thinking comes before the words and calls it led to: it begins a turn. */
  #reasoning(item: ObjectText): void {
    const name = nameInMark(stringIn(item, 'encrypted_content'));
    if (name === undefined) return;
    const current = this.#assistant;
    if (current !== undefined && (current.content !== null || current.tool_calls !== undefined)) this.#assistant = undefined;
    const turn = this.#turn();
    turn[name] = (turn[name] ?? '') + textOfParts(objectsIn(item, 'summary') ?? []);
  }

  #call(item: ObjectText, text: string): void {
    const turn = this.#turn();
    turn.tool_calls ??= [];
    const called = { name: stringIn(item, 'name') ?? '', arguments: text };
    const { id, extra } = carriedBy(stringIn(item, 'call_id') ?? '');
    turn.tool_calls.push({ id, type: 'function', function: called, extra_content: extra });
  }

  /** Messages of tools are text in chat completions: their images are said to be the user's, once all results are there. */
  #output(item: ObjectText, place: string): void {
    this.#assistant = undefined;
    const output = contentOf(item, 'output', place) ?? '';
    const parts = typeof output === 'string' ? [{ type: 'text', text: output }] : output.map((part) => this.#part(part));
    const texts = parts.flatMap(({ type, text }) => (type === 'text' ? [text as string] : []));
    const others = parts.filter(({ type }) => type !== 'text');
    if (others.length > 0) texts.push(others.length === 1 ? '(an image: see below)' : `(${others.length} images: see below)`);
    const message = { role: 'tool', tool_call_id: carriedBy(stringIn(item, 'call_id') ?? '').id, content: texts.join('\n\n') };
    const shown = this.#shown !== undefined && this.messages.at(-1) === this.#shown ? this.#shown : undefined;
    this.messages.splice(shown === undefined ? this.messages.length : -1, 0, message);
    if (others.length === 0) return;
    if (shown !== undefined) {
      shown.content.push(...others);
      return;
    }
    this.#shown = { role: 'user', content: others };
    this.messages.push(this.#shown);
  }

  #userContent(content: string | readonly ObjectText[]): string | readonly ChatPart[] {
    if (typeof content === 'string') return content;
    const parts = content.map((part) => this.#part(part));
    return parts.every(({ type }) => type === 'text') ? parts.map(({ text }) => text).join('\n\n') : parts;
  }

  #part(part: ObjectText): ChatPart {
    const type = stringIn(part, 'type');
    switch (type) {
      case 'input_text':
      case 'output_text':
      case 'text':
        return { type: 'text', text: stringIn(part, 'text') ?? '' };
      case 'input_image': {
        const url = stringIn(part, 'image_url') ?? stringIn(objectUnder(part, 'image_url'), 'url');
        const detail = stringIn(part, 'detail');
        if (url === undefined) return this.#losses.refuse('an image named by "file_id"');
        return { type: 'image_url', image_url: { url, ...(detail === undefined ? {} : { detail }) } };
      }
      case 'input_file': {
        const data = stringIn(part, 'file_data');
        if (data === undefined) return this.#losses.refuse('a file without "file_data"');
        return { type: 'file', file: { filename: stringIn(part, 'filename') ?? 'file', file_data: data } };
      }
      default:
        return this.#losses.refuse(`content of type ${type}`);
    }
  }
}

function textOfParts(content: string | readonly ObjectText[]): string {
  if (typeof content === 'string') return content;
  return content.map((part) => stringIn(part, 'text') ?? stringIn(part, 'refusal') ?? '').join('');
}
