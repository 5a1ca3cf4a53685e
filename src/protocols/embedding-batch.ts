/**
 * Big batches of embeddings, taken apart into calls with fewer inputs, and the answers to those put together again. Numbers are
 * never read: every vector is handed on letter by letter. For `/v1/embeddings` and `/api/embed`; the older `/api/embeddings`
 * takes one text.
 */
import { GatewayError } from '../errors.ts';
import type { Call, Protocol } from '../exchange.ts';
import { parseValue } from '../json/parse.ts';
import { readObject } from '../json/read-object.ts';
import { isSpace, type MemberSpan, type ObjectSpan, scanArray, scanObject } from '../json/scan.ts';
import { joinBytes, type Splice, spliceText } from '../json/splice.ts';
import { countOf, recordOf } from './answer-text.ts';
import { ollamaEmbed } from './ollama-embed.ts';
import { openaiEmbeddings } from './openai-embeddings.ts';

/** The inputs of one call. */
export interface Inputs {
  readonly count: number;
  /** The same call with the inputs from `from` up to, and without, `to`. */
  callOf(from: number, to: number): Call;
}

/** Undefined: the call has no more than `maxBatch` inputs, or inputs that are no texts, about which the box has words of its own. */
export function inputsOf(call: Call, maxBatch: number): Inputs | undefined {
  const { protocol, body, boxRefusal } = call;
  if (!shapes.has(protocol) || body === undefined || boxRefusal !== undefined) return undefined;
  const text = body.textOf('input');
  if (text === undefined || !text.startsWith('[')) return undefined;
  const spans = scanArray(text, 0);
  if (spans.length <= maxBatch || spans.some(({ from }) => text[from] !== '"')) return undefined;
  return {
    count: spans.length,
    callOf(from, to) {
      const first = spans[from];
      const last = spans[to - 1];
      if (first === undefined || last === undefined) throw new RangeError(`no inputs from ${from} to ${to}`);
      const draft = body.draft();
      draft.setText('input', `[${text.slice(first.from, last.to)}]`);
      const bytes = draft.bytes();
      return { ...call, body: readObject(bytes), bytes };
    },
  };
}

/** What the answers of all parts come to. */
export interface JoinedAnswers {
  /** `first`, `count`: which inputs it answers. Throws unreadable_answer. */
  add(part: number, text: string, first: number, count: number): void;
  /** The whole answer, in the words of the first part's, once every part is there. `tookMs`: for all of it. */
  bytes(tookMs: number): Uint8Array;
}

export function createJoinedAnswers(protocol: Protocol): JoinedAnswers {
  const shape = shapes.get(protocol);
  if (shape === undefined) throw new TypeError(`${protocol.name} has no batches`);
  const parts: Uint8Array[] = [];
  const counts = new Map<string, number>();
  let frame = '';
  return {
    add(part, text, first, count) {
      const span = objectSpan(text, startOf(text, 0));
      const list = memberOf(span, shape.list);
      if (span === undefined || list === undefined || text[list.valueFrom] !== '[')
        throw unreadable('it is no list of embeddings');
      const items = scanArray(text, list.valueFrom);
      if (items.length !== count) throw unreadable(`it has ${items.length} embeddings for ${count} inputs`);
      const texts = items.map(({ from, to }, at) => shape.itemOf(text.slice(from, to), first + at));
      parts[part] = new TextEncoder().encode(texts.join(','));
      shape.count(counts, (name) => tellOf(text, span, name));
      if (part === 0) frame = `${text.slice(0, list.valueFrom)}[]${text.slice(list.to)}`;
    },
    bytes(tookMs) {
      const span = objectSpan(frame, startOf(frame, 0));
      const list = memberOf(span, shape.list);
      if (span === undefined || list === undefined) throw unreadable('it is no list of embeddings');
      const splices = shape.total(counts, { text: frame, span, tookMs }).sort((one, other) => one.from - other.from);
      const middle = list.valueFrom + 1;
      const encoder = new TextEncoder();
      const before = splices.filter(({ to }) => to <= middle);
      const after = splices.filter(({ to }) => to > middle);
      const pieces = parts.flatMap((bytes, at) => (at === 0 ? [bytes] : [comma, bytes]));
      return joinBytes([
        encoder.encode(spliceText(frame, 0, middle, before)),
        ...pieces,
        encoder.encode(spliceText(frame, middle, frame.length, after)),
      ]);
    },
  };
}

const comma = new Uint8Array([0x2c]);
/** Answers are some objects deep, and no more. */
const maxDepth = 32;

interface Frame {
  /** The first part's answer, its list emptied. */
  readonly text: string;
  readonly span: ObjectSpan;
  readonly tookMs: number;
}

interface Shape {
  /** The member that holds the embeddings. */
  readonly list: string;
  /** One of them, as it stands in the whole answer. */
  itemOf(item: string, index: number): string;
  /** Adds up what one part tells in numbers. */
  count(counts: Map<string, number>, tellOf: (name: string) => unknown): void;
  /** Writes the sums into the frame. */
  total(counts: ReadonlyMap<string, number>, frame: Frame): Splice[];
}

const openaiShape: Shape = {
  list: 'data',
  itemOf(item, index) {
    const span = objectSpan(item, 0);
    const vector = memberOf(span, 'embedding');
    if (vector === undefined || !/["[]/.test(item.charAt(vector.valueFrom)))
      throw unreadable('one of its items has no embedding');
    const place = memberOf(span, 'index');
    return place === undefined
      ? item
      : spliceText(item, 0, item.length, [{ from: place.valueFrom, to: place.to, insert: String(index) }]);
  },
  count(counts, tellOf) {
    for (const [name, value] of Object.entries(recordOf(tellOf('usage')) ?? {})) add(counts, name, value);
  },
  total(counts, { text, span }) {
    const usage = memberOf(span, 'usage');
    if (usage === undefined) return [];
    const inner = objectSpan(text, usage.valueFrom);
    return [...counts].flatMap(([name, sum]) => replaced(inner, name, sum));
  },
};

/** Nanoseconds, as Ollama counts (api/types.go, EmbedResponse). */
const perMs = 1_000_000;

const ollamaShape: Shape = {
  list: 'embeddings',
  itemOf(item) {
    if (!item.startsWith('[')) throw unreadable('one of its embeddings is no list of numbers');
    return item;
  },
  count(counts, tellOf) {
    add(counts, 'prompt_eval_count', tellOf('prompt_eval_count'));
    // Parts on several boxes load at the same time, and one load serves all parts of a box.
    const loadNs = countOf(tellOf('load_duration'));
    if (loadNs !== undefined) counts.set('load_duration', Math.max(counts.get('load_duration') ?? 0, loadNs));
  },
  total(counts, { span, tookMs }) {
    const tokens = counts.get('prompt_eval_count') ?? 0;
    // Left out where it is 0: the first part may have counted none where others have.
    const isMissing = tokens > 0 && memberOf(span, 'prompt_eval_count') === undefined;
    const end = span.to - 1;
    return [
      ...[...counts].flatMap(([name, sum]) => replaced(span, name, sum)),
      ...replaced(span, 'total_duration', Math.round(tookMs * perMs)),
      ...(isMissing ? [{ from: end, to: end, insert: `,"prompt_eval_count":${tokens}` }] : []),
    ];
  },
};

const shapes: ReadonlyMap<Protocol, Shape> = new Map([
  [openaiEmbeddings, openaiShape],
  [ollamaEmbed, ollamaShape],
]);

function add(counts: Map<string, number>, name: string, value: unknown): void {
  const count = countOf(value);
  if (count !== undefined) counts.set(name, (counts.get(name) ?? 0) + count);
}

function replaced(span: ObjectSpan | undefined, name: string, count: number): Splice[] {
  const member = memberOf(span, name);
  return member === undefined ? [] : [{ from: member.valueFrom, to: member.to, insert: String(count) }];
}

/** The object that begins at `from`, and behind which no other value stands; undefined when there is none, or it does not end. */
function objectSpan(text: string, from: number): ObjectSpan | undefined {
  if (text[from] !== '{') return undefined;
  const span = scanObject(text, from, maxDepth);
  return 'fault' in span ? undefined : span;
}

function startOf(text: string, from: number): number {
  let at = from;
  while (isSpace(text.charCodeAt(at))) at++;
  return at;
}

/** Of two members of one name the last counts. */
function memberOf(span: ObjectSpan | undefined, name: string): MemberSpan | undefined {
  return span?.members.findLast((member) => member.name === name);
}

function tellOf(text: string, span: ObjectSpan, name: string): unknown {
  const member = memberOf(span, name);
  if (member === undefined) return undefined;
  try {
    return parseValue(text.slice(member.valueFrom, member.to));
  } catch {
    return undefined;
  }
}

function unreadable(why: string): GatewayError {
  return new GatewayError('unreadable_answer', `a box gave an answer to a part of the batch that cannot be read: ${why}`);
}
