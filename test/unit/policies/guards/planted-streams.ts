/** Recorded streams with a text of the test's own in them, and a client that puts the texts together again. */
import { bodyTextOf, recordingOf } from '../../../support/recordings.ts';
import { type ClientEvent, ndjsonLines, sseEvents } from '../../streams/shapes.ts';

type Json = Record<string, unknown>;

export type Dialect = 'chat' | 'completions' | 'responses' | 'messages' | 'ollamaChat' | 'ollamaGenerate';

export interface Recorded {
  readonly name: string;
  readonly dialect: Dialect;
}

export const recordedStreams: readonly Recorded[] = [
  { name: 'v1-chat-stream-usage', dialect: 'chat' },
  { name: 'v1-completions-stream-usage', dialect: 'completions' },
  { name: 'v1-responses-stream', dialect: 'responses' },
  { name: 'anthropic-messages-stream', dialect: 'messages' },
  { name: 'chat-stream', dialect: 'ollamaChat' },
  { name: 'generate-stream', dialect: 'ollamaGenerate' },
];

export function eventsOf(dialect: Dialect, text: string): ClientEvent[] {
  return dialect.startsWith('ollama') ? ndjsonLines(text) : sseEvents(text);
}

/** The piece of text in an event: read, and put another in its place. Undefined: it has none. */
function slotOf(dialect: Dialect, event: Json): { get(): string; set(text: string): void } | undefined {
  const at = (holder: unknown, name: string) => {
    const object = holder as Json | undefined;
    if (typeof object?.[name] !== 'string') return undefined;
    const set = (text: string) => {
      object[name] = text;
    };
    return { get: () => object[name] as string, set };
  };
  const choice = (event.choices as Json[] | undefined)?.[0];
  switch (dialect) {
    case 'chat':
      return at(choice?.delta, 'content');
    case 'completions':
      return at(choice, 'text');
    case 'responses':
      return event.type === 'response.output_text.delta' ? at(event, 'delta') : undefined;
    case 'messages':
      return event.type === 'content_block_delta' ? at(event.delta, 'text') : undefined;
    case 'ollamaChat':
      return at(event.message, 'content');
    case 'ollamaGenerate':
      return at(event, 'response');
  }
}

function parsed(data: string): Json | undefined {
  return data === '[DONE]' ? undefined : (JSON.parse(data) as Json);
}

/** What a client shows in the end. */
export function textIn(dialect: Dialect, stream: string): string {
  return eventsOf(dialect, stream)
    .map(({ data }) => {
      const event = parsed(data);
      return event === undefined ? '' : (slotOf(dialect, event)?.get() ?? '');
    })
    .join('');
}

/** Every whole text that a stream of Responses repeats. */
export function repeatedIn(stream: string): string[] {
  const found: string[] = [];
  const look = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(look);
    else if (typeof value === 'object' && value !== null) {
      const { type, text } = value as Json;
      if (type === 'output_text' && typeof text === 'string' && text !== '') found.push(text);
      Object.values(value).forEach(look);
    }
  };
  for (const { data, name } of sseEvents(stream)) {
    const event = JSON.parse(data) as Json;
    if (name === 'response.output_text.done') found.push(String(event.text));
    look(event);
  }
  return found;
}

/** The recording with `pieces` as its text, one event each: as many of its own events as it has, the first one repeated where they are too few. */
export function planted({ name, dialect }: Recorded, pieces: readonly string[]): string {
  const whole = pieces.join('');
  const left = [...pieces];
  let out = '';
  let sequence = 0;
  const events = eventsOf(dialect, bodyTextOf(recordingOf(name)));
  const slots = events.filter(({ data }) => isSlot(dialect, data)).length;
  let seen = 0;
  for (const { name: event, data } of events) {
    const write = (json: string) => {
      out += dialect.startsWith('ollama') ? `${json}\n` : `${event === undefined ? '' : `event: ${event}\n`}data: ${json}\n\n`;
    };
    const json = parsed(data);
    if (json === undefined) {
      write(data);
      continue;
    }
    const slot = isSlot(dialect, data) ? slotOf(dialect, json) : undefined;
    const numbered = () => {
      if ('sequence_number' in json) json.sequence_number = sequence++;
      write(JSON.stringify(json));
    };
    if (slot === undefined) {
      if (dialect === 'responses') repeat(json, whole);
      numbered();
      continue;
    }
    seen++;
    const taken = left.splice(0, seen === 1 ? Math.max(1, left.length - slots + 1) : 1);
    for (const piece of taken.length === 0 ? [''] : taken) {
      slot.set(piece);
      numbered();
    }
  }
  return out;
}

/** Not the last line of Ollama's own streams, whose text is empty. */
function isSlot(dialect: Dialect, data: string): boolean {
  const json = parsed(data);
  return json !== undefined && json.done !== true && slotOf(dialect, json) !== undefined;
}

function repeat(value: unknown, whole: string): void {
  if (Array.isArray(value)) for (const item of value) repeat(item, whole);
  else if (typeof value === 'object' && value !== null) {
    const object = value as Json;
    if ((object.type === 'output_text' || object.type === 'response.output_text.done') && object.text !== '') object.text = whole;
    for (const item of Object.values(object)) repeat(item, whole);
  }
}
