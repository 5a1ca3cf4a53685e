/** Where OpenAI's Responses hold texts. Its streams bring every text bit by bit, and then whole, up to three times over. */
import type { AnswerText, ProtocolTexts, StreamPiece, StreamWhole } from '../exchange.ts';
import type { JsonDraft } from '../json/object-text.ts';
import { type JsonNode, treeOf } from '../json/tree.ts';
import { asidesAt, extendArray, isStructural, isSystem, leavesOf, membersText, messageText, TextsOf } from './texts.ts';
import { RequestTexts } from './texts-requests.ts';

export const responsesTexts: ProtocolTexts = {
  openRequest(body) {
    const texts = new RequestTexts(body).openText('instructions', 'systemPrompt', 'system');
    return texts.open('input', (input, found) => {
      if (input.kind === 'string') texts.add(found, [input], 'messages', 'user', texts.nextMessage());
      for (const item of input.elements()) addItem(texts, item, found);
    });
  },
  addMessages(body, prepend, append) {
    asItems(body);
    extendArray(body, 'input', prepend.map(messageText), append.map(messageText));
  },
  replaceMessages(body, messages) {
    const [first] = messages;
    const isInstructions = body.has('instructions') && first !== undefined && isSystem(first);
    if (body.has('instructions')) body.set('instructions', isInstructions ? first.content : undefined);
    body.setText(
      'input',
      `[${messages
        .slice(isInstructions ? 1 : 0)
        .map(messageText)
        .join(',')}]`,
    );
  },
  openAnswer(text) {
    const tree = treeOf(text);
    if (tree === undefined) return undefined;
    const found = new TextsOf(tree);
    const items = tree.root.member('output')?.elements() ?? [];
    const texts = items.flatMap((item, choice): AnswerText[] => {
      const parts = item.member('content')?.elements() ?? [];
      for (const part of parts) dropLogprobs(part);
      const main = item.member('type')?.string === 'message' ? parts : [];
      return [
        ...main.flatMap((part) => found.at(part.member('text'), { choice, isMain: true }) ?? []),
        ...main.flatMap((part) => asidesAt(found, leavesOf(part, textOnly), choice)),
        ...asidesAt(found, leavesOf(item, main.length > 0 ? contentOnly : undefined), choice),
      ];
    });
    return { texts, write: () => found.write() };
  },
  openEvent,
  repeatsLanes: true,
};

const textOnly: ReadonlySet<string> = new Set(['text', 'logprobs']);
const contentOnly: ReadonlySet<string> = new Set(['content']);

function asItems(body: JsonDraft): void {
  const input = body.get('input') ?? undefined;
  if (typeof input === 'string') body.setText('input', `[${messageText({ role: 'user', content: input })}]`);
}

/** What a tool said, among the members of its item; all else in it is what the model asked for. */
const outputs: ReadonlySet<string> = new Set(['output', 'outputs', 'result', 'results', 'error', 'tools']);

function addItem(texts: RequestTexts, item: JsonNode, found: TextsOf): void {
  const number = texts.nextMessage();
  const role = item.member('role')?.string;
  const type = item.member('type')?.string ?? '';
  if (role !== undefined) {
    texts.add(found, leavesOf(item.member('content')), isSystem({ role }) ? 'systemPrompt' : 'messages', role, number);
  } else if (type === 'reasoning' || type === '') {
    texts.add(found, leavesOf(item), 'messages', 'assistant', number);
  } else {
    for (const { name, node } of item.members()) {
      if (isStructural(name)) continue;
      const isOutput = outputs.has(name.toLowerCase()) || type.endsWith('_output');
      texts.add(found, leavesOf(node), isOutput ? 'toolOutput' : 'toolInput', isOutput ? 'tool' : 'assistant', number);
    }
  }
}

/** They spell the answer out, token by token. */
function dropLogprobs(holder: JsonNode | undefined): void {
  const logprobs = holder?.member('logprobs');
  if (logprobs?.kind === 'array' && logprobs.elements().length > 0) logprobs.replace('[]');
}

const lastEvents: ReadonlySet<string> = new Set(['response.completed', 'response.incomplete', 'response.failed']);
/** Where an event `….done` repeats its lane. */
const wholeMembers = ['text', 'refusal', 'arguments', 'input', 'code', 'transcript'];

class EventTexts {
  readonly pieces: StreamPiece[] = [];
  readonly wholes: StreamWhole[] = [];
  ends: readonly string[] | 'all' = [];
  sequence: number | undefined;
  readonly #root: JsonNode;
  readonly #found: TextsOf;
  readonly #given: number | undefined;

  constructor(root: JsonNode, found: TextsOf) {
    this.#root = root;
    this.#found = found;
    const sequence = root.valueOf('sequence_number');
    this.#given = typeof sequence === 'number' ? sequence : undefined;
    this.sequence = this.#given;
    this.#read(root.member('type')?.string ?? '');
  }

  write(): string {
    if (this.sequence !== this.#given) this.#root.member('sequence_number')?.replace(String(this.sequence));
    return this.#found.write();
  }

  #read(type: string): void {
    dropLogprobs(this.#root);
    const output = this.#root.valueOf('output_index') ?? 0;
    const part = this.#root.valueOf('content_index') ?? this.#root.valueOf('summary_index') ?? '';
    const kind = type.replace(/^response\.|\.[a-z]+$/g, '');
    if (type === 'error') this.ends = 'all';
    else if (lastEvents.has(type)) this.#readLast();
    else if (kind === 'output_item') this.#wholeItem(this.#root.member('item'), output);
    else if (kind === 'content_part' || kind === 'reasoning_summary_part')
      this.#wholePart(this.#root.member('part'), output, part, kind);
    else if (type.endsWith('.delta')) this.#piece(type, `${kind}/${output}/${part}`);
    else if (type.endsWith('.done')) this.#whole(`${kind}/${output}/${part}`);
    else if (type.endsWith('.annotation.added')) this.#others(leavesOf(this.#root.member('annotation')));
  }

  #readLast(): void {
    this.ends = 'all';
    const items = this.#root.member('response')?.member('output')?.elements() ?? [];
    for (const [index, item] of items.entries()) this.#wholeItem(item, index);
  }

  #piece(type: string, lane: string): void {
    const piece = this.#found.at(this.#root.member('delta'), {
      lane,
      group: lane,
      isMain: type === 'response.output_text.delta',
      alone: (text: string, sequence: number | undefined) => ({ event: type, data: this.#aloneData(type, text, sequence) }),
    });
    if (piece !== undefined) this.pieces.push(piece);
  }

  #aloneData(type: string, text: string, sequence: number | undefined): string {
    const members = [
      `"type":"${type}"`,
      sequence === undefined ? '' : `"sequence_number":${sequence}`,
      membersText(this.#root, ['item_id', 'output_index', 'content_index', 'summary_index']),
      `"delta":${JSON.stringify(text)}`,
    ];
    return `{${members.filter((member) => member !== '').join(',')}}`;
  }

  #whole(lane: string): void {
    this.ends = [lane];
    for (const name of wholeMembers) this.#at(this.#root.member(name), lane);
  }

  #wholePart(part: JsonNode | undefined, output: unknown, index: unknown, kind: string): void {
    dropLogprobs(part);
    const type = part?.member('type')?.string ?? '';
    const lane = kind === 'reasoning_summary_part' ? 'reasoning_summary_text' : type;
    this.#at(part?.member('text'), `${lane}/${output}/${index}`);
    this.#at(part?.member('refusal'), `refusal/${output}/${index}`);
    this.#others(leavesOf(part, new Set(['text', 'refusal', 'logprobs'])));
  }

  #wholeItem(item: JsonNode | undefined, output: unknown): void {
    const type = item?.member('type')?.string ?? '';
    for (const [index, part] of (item?.member('content')?.elements() ?? []).entries()) {
      this.#wholePart(part, output, index, 'content_part');
    }
    for (const [index, part] of (item?.member('summary')?.elements() ?? []).entries()) {
      this.#wholePart(part, output, index, 'reasoning_summary_part');
    }
    const own = type === 'custom_tool_call' ? 'input' : type === 'code_interpreter_call' ? 'code' : 'arguments';
    const lane = type === 'custom_tool_call' ? 'custom_tool_call_input' : `${type}_${own}`;
    this.#at(item?.member(own), `${lane}/${output}/`);
    this.#others(leavesOf(item, new Set(['content', 'summary', own])));
  }

  #at(node: JsonNode | undefined, lane: string): void {
    const whole = this.#found.at(node, { lane, isMain: lane.startsWith('output_text/') });
    if (whole !== undefined) this.wholes.push(whole);
  }

  #others(nodes: readonly JsonNode[]): void {
    for (const node of nodes) {
      const whole = this.#found.at(node, {});
      if (whole !== undefined) this.wholes.push(whole);
    }
  }
}

function openEvent(data: string) {
  const tree = treeOf(data);
  return tree === undefined ? undefined : new EventTexts(tree.root, new TextsOf(tree));
}
