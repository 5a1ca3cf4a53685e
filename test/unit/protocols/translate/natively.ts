/** Calls that are put to a box in Ollama's own words, in memory: what leaves, and what comes back, whole or cut into any chunks. */
import type { Protocol } from '../../../../src/exchange.ts';
import { protocols } from '../../../../src/protocols/index.ts';
import { type NativeCallPut, putNatively } from '../../../../src/protocols/translate/ollama.ts';
import { type Recording, recordingOf } from '../../../support/recordings.ts';

const encoder = new TextEncoder();

// biome-ignore lint/suspicious/noExplicitAny: bodies of any shape, read by assertions that say which
export type Json = any;

export function protocolAt(path: string): Protocol {
  const found = protocols.find((one) => one.path === path);
  if (found === undefined) throw new Error(`no protocol at ${path}`);
  return found;
}

export function put(path: string, request: object): NativeCallPut {
  const { stream, stream_options: options } = request as { stream?: boolean; stream_options?: { include_usage?: boolean } };
  const facts = { isStream: stream === true, wantsUsage: options?.include_usage === true };
  const native = putNatively(protocolAt(path), encoder.encode(JSON.stringify(request)), facts);
  if (native === undefined) throw new Error('there is no native way');
  return native;
}

/** What the box gets. */
export function nativeBody(path: string, request: object): Json {
  return JSON.parse(new TextDecoder().decode(put(path, request).bytes));
}

/** What the client gets for these lines; `bytesAtOnce`: how they are cut. */
export function streamed(path: string, request: object, lines: string, bytesAtOnce = 1_000_000): string {
  const stream = put(path, request).rewrite.stream();
  if (stream === undefined) throw new Error('no stream');
  const bytes = encoder.encode(lines);
  const decoder = new TextDecoder();
  let out = '';
  for (let at = 0; at < bytes.length; at += bytesAtOnce)
    out += decoder.decode(stream.push(bytes.slice(at, at + bytesAtOnce)) as Uint8Array);
  return out + decoder.decode(stream.end() as Uint8Array);
}

export function whole(path: string, request: object, text: string, status = 200): { text: string; contentType?: string } {
  const answer = put(path, request).rewrite.whole(text, status);
  if (answer instanceof Promise) throw new Error('translations do not wait');
  return answer;
}

export function recorded(name: string): Recording & { readonly request: { readonly body: Json } } {
  return recordingOf(name) as Recording & { readonly request: { readonly body: Json } };
}

/** Members that differ from answer to answer by nature. */
const accidental: ReadonlySet<string> = new Set(['created', 'created_at', 'completed_at', 'request_id', 'item_id', 'call_id']);

/** The value with everything accidental put the same; ids keep what they begin with. */
export function essence(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(essence);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => {
      if (name === 'id' && typeof member === 'string') return [name, member.replace(/_.*|-.*/, '')];
      if (accidental.has(name)) return [name, member === null ? null : 'accidental'];
      return [name, essence(member)];
    }),
  );
}
