/** `base64`, `url`, `form`, `sha1`, `sha256`, `md5`. */
import type { Environment } from '@marcbachmann/cel-js';
import { md5, sha1 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { spendWork } from './evaluation.ts';
import { CelFailure } from './expression.ts';
import { registerNamespace, sync } from './namespaces.ts';
import { base64Of, bytesOfBase64, plainOf, textOfValue } from './values.ts';

const encoder = new TextEncoder();
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

type Text = string | Uint8Array;

export function registerEncodings(environment: Environment): void {
  // The plain names are agentgateway's older ones.
  for (const type of ['string', 'bytes']) {
    environment.registerFunction(`base64Encode(${type}): string`, encodeBase64, sync);
    environment.registerFunction(`base64Decode(${type}): bytes`, decodeBase64, sync);
  }
  registerNamespace(environment, 'base64', {
    'encode(string): string': encodeBase64,
    'encode(bytes): string': encodeBase64,
    'decode(string): bytes': decodeBase64,
    'decode(bytes): bytes': decodeBase64,
  });
  registerNamespace(environment, 'url', {
    'encode(string): string': encodeUrl,
    'encode(bytes): string': encodeUrl,
    'decode(string): string': decodeUrl,
  });
  registerNamespace(environment, 'form', {
    'encode(dyn): string': encodeForm,
    'decode(string): dyn': decodeForm,
    'decode(bytes): dyn': decodeForm,
  });
  for (const [name, hash] of Object.entries({ sha1, sha256, md5 })) {
    const encode = (text: Text): string => hexOf(hash(bytesOf(text)));
    registerNamespace(environment, name, { 'encode(string): string': encode, 'encode(bytes): string': encode });
  }
}

function bytesOf(text: Text): Uint8Array {
  const bytes = typeof text === 'string' ? encoder.encode(text) : text;
  spendWork(bytes.length);
  return bytes;
}

function textOf(text: Text): string {
  spendWork(text.length);
  return typeof text === 'string' ? text : decodeUtf8(text);
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return strictDecoder.decode(bytes);
  } catch {
    throw new CelFailure('the bytes are no UTF-8');
  }
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function encodeBase64(text: Text): string {
  return base64Of(bytesOf(text));
}

function decodeBase64(text: Text): Uint8Array {
  return bytesOfBase64(textOf(text));
}

/** Everything but letters, digits and `-_.~`. */
function encodeUrl(text: Text): string {
  return encodeURIComponent(textOf(text).toWellFormed()).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** A `%` that no two hexadecimal digits follow stays as it is, as does `+`. */
function decodeUrl(text: string): string {
  spendWork(text.length);
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (run) =>
    decodeUtf8(Uint8Array.from(run.slice(1).split('%'), (digits) => Number.parseInt(digits, 16))),
  );
}

function decodeForm(text: Text): unknown {
  const fields = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(textOf(text))) {
    const values = fields.get(name);
    if (values === undefined) fields.set(name, [value]);
    else values.push(value);
  }
  return new Map([...fields].map(([name, values]) => [name, values.length === 1 ? values[0] : values]));
}

/** Names in order; lists give a field for each item, null none. */
function encodeForm(value: unknown): string {
  const fields = plainOf(value);
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) throw new CelFailure('form.encode takes a map');
  const search = new URLSearchParams();
  for (const [name, given] of Object.entries(fields).sort(([first], [second]) => (first < second ? -1 : 1))) {
    for (const item of Array.isArray(given) ? given : [given]) {
      const text = textOfValue(item);
      if (text !== undefined) search.append(name, text);
    }
  }
  return search.toString();
}
