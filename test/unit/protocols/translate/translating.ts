/** Translations at work, in memory: requests in and out, answers whole and cut into any chunks, read by the real SDKs. */
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import type { Call, Protocol, Translation } from '../../../../src/exchange.ts';
import { anthropicMessages } from '../../../../src/protocols/anthropic-messages.ts';
import { decodeCall } from '../../../../src/protocols/decode.ts';
import { openaiChat } from '../../../../src/protocols/openai-chat.ts';
import { openaiResponses } from '../../../../src/protocols/openai-responses.ts';
import { translationTo } from '../../../../src/protocols/translate/index.ts';
import { bodyTextOf, recordingOf } from '../../../support/recordings.ts';

const encoder = new TextEncoder();

export function translationBetween(client: Protocol, format: string): Translation {
  const translation = translationTo({ provider: 'test', formats: new Set([format]), passes: () => true }, client);
  if (translation === undefined) throw new Error('nothing to translate');
  return translation;
}

export const messagesOverChat = translationBetween(anthropicMessages, 'completions');
export const responsesOverChat = translationBetween(openaiResponses, 'completions');
export const chatOverMessages = translationBetween(openaiChat, 'messages');

// biome-ignore lint/suspicious/noExplicitAny: bodies of any shape, read by assertions that say which
export type Json = any;

export interface Translated {
  readonly body: Json;
  readonly text: string;
  readonly warnings: readonly string[];
}

export function translated(translation: Translation, request: object | string): Translated {
  const { bytes, warnings } = translation.request(
    encoder.encode(typeof request === 'string' ? request : JSON.stringify(request)),
  );
  const text = new TextDecoder().decode(bytes);
  return { body: JSON.parse(text), text, warnings };
}

/** Which client protocol a translation is for. */
function clientOf(translation: Translation): Protocol {
  if (translation === messagesOverChat) return anthropicMessages;
  return translation === responsesOverChat ? openaiResponses : openaiChat;
}

export function callOf(translation: Translation, request: object): Call {
  return decodeCall(clientOf(translation), encoder.encode(JSON.stringify(request)), { request: new Request('http://x/') });
}

/** What comes out of a stream; `cuts` are places between bytes, in any order. */
export function streamed(translation: Translation, request: object, sse: string, cuts: readonly number[] = []): string {
  return chunksOf(translation, request, sse, cuts).join('');
}

/** One text for each chunk that went in, and one for the end. */
export function chunksOf(translation: Translation, request: object, sse: string, cuts: readonly number[] = []): string[] {
  const stream = translation.rewriteFor(callOf(translation, request)).stream();
  if (stream === undefined) throw new Error('no stream');
  const bytes = encoder.encode(sse);
  const places = [0, ...cuts.map((cut) => Math.abs(cut) % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  const decoder = new TextDecoder();
  const out: string[] = [];
  for (let at = 1; at < places.length; at++)
    out.push(decoder.decode(stream.push(bytes.subarray(places[at - 1], places[at])) as Uint8Array));
  out.push(decoder.decode(stream.end() as Uint8Array));
  return out;
}

export function wholeOf(
  translation: Translation,
  request: object,
  text: string,
  status = 200,
): { text: string; status?: number } {
  const rewritten = translation.rewriteFor(callOf(translation, request)).whole(text, status);
  if (rewritten instanceof Promise) throw new Error('translations do not wait');
  return rewritten;
}

export function recordedText(name: string): string {
  return bodyTextOf(recordingOf(name));
}

type Fetch = (url: unknown, init?: { body?: unknown }) => Promise<Response>;

/** A server that speaks another protocol than the client, with a translation between them. */
function fetchOver(translation: Translation, answer: string, status: number, bytesAtOnce: number): Fetch {
  return (_url, init) => {
    const request = JSON.parse(String(init?.body)) as { stream?: boolean };
    translation.request(encoder.encode(String(init?.body)));
    if (status >= 400 || request.stream !== true) {
      const whole = wholeOf(translation, request, answer, status);
      return Promise.resolve(
        new Response(whole.text, { status: whole.status ?? status, headers: { 'content-type': 'application/json' } }),
      );
    }
    const cuts = Array.from({ length: Math.ceil(answer.length / bytesAtOnce) }, (_, index) => index * bytesAtOnce);
    const chunks = chunksOf(translation, request, answer, cuts).map((text) => encoder.encode(text));
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(chunk);
        controller.close();
      },
    });
    return Promise.resolve(new Response(body as never, { headers: { 'content-type': 'text/event-stream' } }));
  };
}

/** The real client in front of a chat server that answers this. */
export function anthropicOver(answer: string, status = 200, bytesAtOnce = 7): Anthropic {
  const fetch = fetchOver(messagesOverChat, answer, status, bytesAtOnce);
  return new Anthropic({ apiKey: 'x', baseURL: 'http://x', maxRetries: 0, fetch: fetch as never });
}

export function openaiOver(translation: Translation, answer: string, status = 200, bytesAtOnce = 7): OpenAI {
  const fetch = fetchOver(translation, answer, status, bytesAtOnce);
  return new OpenAI({ apiKey: 'x', baseURL: 'http://x/v1', maxRetries: 0, fetch: fetch as never });
}

/** Chunks of a chat completion as a server sends them. */
export function chatStream(
  deltas: readonly object[],
  { finish = 'stop', usage }: { finish?: string | null; usage?: object } = {},
): string {
  const head = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1_700_000_000, model: 'm' };
  const frames = deltas.map((delta) => ({ ...head, choices: [{ index: 0, delta, finish_reason: null }] }) as object);
  frames.push({ ...head, choices: [{ index: 0, delta: {}, finish_reason: finish }] });
  if (usage !== undefined) frames.push({ ...head, choices: [], usage });
  return `${frames.map((frame) => `data: ${JSON.stringify(frame)}\n\n`).join('')}data: [DONE]\n\n`;
}
