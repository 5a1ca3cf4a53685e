/**
 * Values on their way into CEL and out of it. CEL tells whole numbers (`bigint` here) from doubles, JSON does not: every whole
 * number goes in as an int, so that `json(request.body).n + 1` adds up.
 */
import { parseValue } from '../json/parse.ts';
import { CelFailure } from './expression.ts';

/** As deep as the values that expressions read and make may be. */
const maxDepth = 256;

/** Converts what JSON.parse (or a YAML reader) gave, in place: only for values that nobody else holds. */
export function adoptJson(value: unknown, depth = 0): unknown {
  if (typeof value === 'number') return intOf(value);
  if (value === undefined) return null;
  if (typeof value !== 'object' || value === null) return value;
  if (depth > maxDepth) throw new CelFailure(`a value is nested more than ${maxDepth} deep`);
  const members = value as Record<string, unknown>;
  for (const name of Object.keys(members)) {
    const member = members[name];
    if (typeof member === 'number' || (typeof member === 'object' && member !== null))
      members[name] = adoptJson(member, depth + 1);
    else if (member === undefined) delete members[name];
  }
  return value;
}

const known = new WeakMap<object, unknown>();

/** Converts a value that others hold too, such as claims: what comes out is a copy, made once for as long as the value lives. */
export function celCopyOf(value: unknown): unknown {
  if (typeof value === 'number') return intOf(value);
  if (typeof value !== 'object' || value === null) return value;
  let copy = known.get(value);
  if (copy === undefined) {
    copy = adoptJson(structuredClone(value));
    known.set(value, copy);
  }
  return copy;
}

function intOf(value: number): number | bigint {
  return Number.isSafeInteger(value) ? BigInt(value) : value;
}

/** The value of a JSON text as CEL has it. */
export function celValueOfJson(json: string): unknown {
  let value: unknown;
  try {
    value = parseValue(json);
  } catch {
    throw new CelFailure('this is no valid JSON');
  }
  return adoptJson(value);
}

/** A CEL value as JSON.stringify takes it: ints as numbers, bytes in base64 as agentgateway prints them, views as objects. */
export function plainOf(value: unknown, depth = 0): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth > maxDepth) throw new CelFailure(`a value is nested more than ${maxDepth} deep`);
  if (value instanceof Uint8Array) return base64Of(value);
  if (Array.isArray(value)) return value.map((item) => plainOf(item, depth + 1));
  if (value instanceof Date) return value.toISOString();
  if ('whole' in value && !isMap(value)) return plainOf(value.whole, depth + 1);
  if (!isMap(value)) return String(value);
  return Object.fromEntries(entriesOf(value).map(([name, member]) => [String(name), plainOf(member, depth + 1)]));
}

/** Whether CEL would call it a map. */
function isMap(value: object): boolean {
  if (value instanceof Map) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Names and values of a map, or places and items of a list. Throws CelFailure for anything else. */
export function entriesOf(value: unknown): readonly (readonly [key: unknown, value: unknown])[] {
  if (value instanceof Map) return [...value];
  if (Array.isArray(value)) return value.map((item, index) => [BigInt(index), item]);
  if (typeof value === 'object' && value !== null && isMap(value)) return Object.entries(value);
  throw new CelFailure('a map was expected');
}

/** A value as JSON text. */
export function jsonOf(value: unknown): string {
  return JSON.stringify(plainOf(value)) ?? 'null';
}

/** A value as text for headers, keys and log fields; undefined for null. */
export function textOfValue(value: unknown): string | undefined {
  if (value === null || value === undefined) return undefined;
  if (typeof value === 'string') return value;
  if (typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean') return String(value);
  const plain = plainOf(value);
  return typeof plain === 'string' ? plain : JSON.stringify(plain);
}

/** Standard base64 with padding. In pieces, because an argument list has a limit. */
export function base64Of(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += 8_192) binary += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  return btoa(binary);
}

/** Padding may be there or not. Throws CelFailure for what is no base64. */
export function bytesOfBase64(text: string): Uint8Array {
  try {
    if (/\s/.test(text)) throw new TypeError('atob passes over white space');
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch {
    throw new CelFailure('this is no base64');
  }
}
