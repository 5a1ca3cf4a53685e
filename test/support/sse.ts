/** One event of a `text/event-stream`. */
export interface SseEvent {
  /** Undefined where the stream gives no name. */
  readonly event: string | undefined;
  /** The data lines, joined. */
  readonly data: string;
  /** The data as JSON; undefined for `[DONE]` and other texts. */
  readonly json: unknown;
}

/** All whole events of a text, comments left out. Half an event at the end throws: a test should know about it. */
export function parseSse(text: string): SseEvent[] {
  const blocks = text.replaceAll('\r\n', '\n').split('\n\n');
  const rest = blocks.pop();
  if (rest !== '') throw new Error(`half an event at the end: ${JSON.stringify(rest)}`);
  return blocks.map(eventOf).filter((event): event is SseEvent => event !== undefined);
}

function eventOf(block: string): SseEvent | undefined {
  const lines = block.split('\n');
  const values = (field: string) =>
    lines.filter((line) => line.startsWith(`${field}:`)).map((line) => line.slice(field.length + 1).replace(/^ /, ''));
  const data = values('data');
  if (data.length === 0) return undefined;
  const joined = data.join('\n');
  return { event: values('event')[0], data: joined, json: jsonOf(joined) };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Comment lines (`: …`), as heartbeats send them. */
export function sseComments(text: string): string[] {
  return text.split(/\r?\n/).filter((line) => line.startsWith(':'));
}
