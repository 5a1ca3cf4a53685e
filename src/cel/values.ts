/**
 * Values on their way into CEL and out of it. CEL tells whole numbers (`bigint` here) from doubles, JSON does not: every whole
 * number goes in as an int, so that `json(request.body).n + 1` adds up.
 */
import { parseValue } from '../json/parse.ts';
import { CelFailure } from './expression.ts';
import { View } from './views.ts';

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
  if (value instanceof View || value instanceof Map) {
    return Object.fromEntries([...value].map(([name, member]) => [name, plainOf(member, depth + 1)]));
  }
  if (value instanceof Date) return value.toISOString();
  if (!isPlain(value)) return String(value);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plainOf(member, depth + 1)]));
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
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
