/** From a request's bytes to an object that may be trusted to be one. */
import { parse } from 'lossless-json';
import { GatewayError } from '../errors.ts';
import type { ObjectText } from './object-text.ts';
import { isSpace, scanObject } from './scan.ts';
import { TextObject } from './text-object.ts';

/** Go's encoding/json refuses deeper nesting (scanner.go, maxNestingDepth), so Ollama would too. */
const maxDepthOfGo = 10_000;
/** Beyond this the place of a syntax error is not looked for: finding it costs more than reading the body did. */
const maxLocatedLength = 1_048_576;

/**
 * Reads a request body that must be a JSON object. What follows the object is ignored, as Ollama does, and not forwarded.
 * Throws GatewayError invalid_body, which says what is wrong and where; places are counted in characters from 0.
 */
export function readObject(bytes: Uint8Array, limits: { readonly maxDepth?: number } = {}): ObjectText {
  const text = decode(bytes);
  let from = 0;
  while (from < text.length && isSpace(text.charCodeAt(from))) from++;
  if (text[from] !== '{') throw refusal(complaintAbout(text, from));
  const maxDepth = limits.maxDepth ?? maxDepthOfGo;
  const span = scanObject(text, from, maxDepth);
  if ('fault' in span) {
    if (span.fault === 'truncated') throw refusal(truncation(text));
    throw refusal(`The body is nested deeper than ${maxDepth} levels, at character ${span.at}.`);
  }
  const json = from === 0 && span.to === text.length ? text : text.slice(from, span.to);
  try {
    // The engine's own parser checks the grammar; it does not recurse, so depth is no danger. The result is not kept: members
    // are parsed one by one when somebody asks, and a prompt is not held in memory twice.
    JSON.parse(json);
  } catch {
    throw refusal(`The body is not valid JSON${placeOfError(json, from)}.`);
  }
  return new TextObject(text, span, bytes);
}

function refusal(message: string): GatewayError {
  return new GatewayError('invalid_body', message);
}

// ignoreBOM keeps a byte order mark in the text, where it is refused as by Go; without it the decoders would swallow it.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = { ignoreBOM: true, fatal: true };
const strictDecoder = new TextDecoder('utf-8', strict);

function decode(bytes: Uint8Array): string {
  if (bytes.length === 0) throw refusal('The request has no body. A JSON object is expected.');
  const text = decoder.decode(bytes);
  // A strict decoder takes six times as long on Deno. What it would refuse leaves this mark, which few texts hold by right.
  if (!text.includes('\ufffd')) return text;
  try {
    return strictDecoder.decode(bytes);
  } catch {
    throw refusal(`The body is not valid UTF-8 near byte ${invalidUtf8At(bytes)}.`);
  }
}

/** Where the first piece of 256 bytes begins that cannot be decoded: near enough to find it. */
function invalidUtf8At(bytes: Uint8Array): number {
  const pieces = new TextDecoder('utf-8', strict);
  const pieceBytes = 256;
  let at = 0;
  try {
    for (; at + pieceBytes < bytes.length; at += pieceBytes) {
      pieces.decode(bytes.subarray(at, at + pieceBytes), { stream: true });
    }
  } catch {
    // `at` is the answer, as it is when the last piece is the bad one.
  }
  return at;
}

/** What stands where `{` should. */
function complaintAbout(text: string, from: number): string {
  if (from === text.length) return 'The body is empty but for white space. A JSON object is expected.';
  const first = text.charAt(from);
  if (first === '\ufeff') return 'The body starts with a byte order mark. JSON over HTTP must not have one.';
  const kind = /^[[]/.test(first) ? 'an array' : /^"/.test(first) ? 'a string' : /^[-0-9]/.test(first) ? 'a number' : undefined;
  if (kind !== undefined) return `The body must be a JSON object; this is ${kind}.`;
  const word = /^(?:true|false|null)(?![^\s])/.exec(text.slice(from, from + 8))?.[0];
  if (word !== undefined) return `The body must be a JSON object; this is ${word}.`;
  return `The body is not valid JSON: it should start with "{" at character ${from}.`;
}

function truncation(text: string): string {
  return `The body is not valid JSON: it ends at character ${text.length}, before the object is closed.`;
}

/** Engines word their errors differently, tell no place at times, and quote the prompt. So the place is found by other means. */
function placeOfError(json: string, offset: number): string {
  if (json.length > maxLocatedLength) return '';
  try {
    parse(json, undefined, { onDuplicateKey: ({ newValue }) => newValue });
  } catch (error) {
    const place = error instanceof SyntaxError ? /at position (\d+)/.exec(error.message)?.[1] : undefined;
    if (place !== undefined) return `: error at character ${offset + Number(place)}`;
  }
  return '';
}
