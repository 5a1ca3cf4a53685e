/**
 * Apache's password files: `user:hash`, one a line. Understood are bcrypt (`htpasswd -B`), MD5-apr1 (`htpasswd -m`) and `{SHA}`
 * (`htpasswd -s`); what is plain text or crypt(3) is refused, because anybody who sees the file has the passwords.
 */
import { md5, sha1 } from '@noble/hashes/legacy.js';
import { FieldError } from '../fields/text-field.ts';
import { isSameText } from './constant-time.ts';

export type PasswordHash =
  | { readonly kind: 'bcrypt'; readonly text: string; readonly cost: number }
  | { readonly kind: 'apr1'; readonly text: string; readonly salt: string }
  | { readonly kind: 'sha'; readonly text: string };

export type Users = ReadonlyMap<string, PasswordHash>;

const maxUsers = 10_000;
/** Beyond it one check takes seconds. */
const maxCost = 15;
const mend = 'make the line anew with: htpasswd -nB USER';

/** Throws FieldError that names the line, and never what stands in its hash. */
export function usersOf(text: string): Users {
  const users = new Map<string, PasswordHash>();
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const place = `line ${index + 1}`;
    const [user = '', hash] = line.split(':');
    if (hash === undefined || user === '') throw new FieldError(`${place}: expected "user:hash"; ${mend}`);
    const where = `${place} (${JSON.stringify(user.slice(0, 60))})`;
    if (users.has(user)) throw new FieldError(`${where}: this user stands in it twice; keep one of the lines`);
    users.set(user, hashOf(hash.trim(), where));
    if (users.size > maxUsers) throw new FieldError(`at most ${maxUsers} users`);
  }
  if (users.size === 0) throw new FieldError(`there are no users in it; ${mend}`);
  return users;
}

function hashOf(text: string, where: string): PasswordHash {
  const bcrypt = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(text);
  if (bcrypt !== null) {
    const cost = Number(bcrypt[1]);
    if (cost < 4 || cost > maxCost) throw new FieldError(`${where}: a bcrypt cost is from 4 to ${maxCost}; ${mend}`);
    return { kind: 'bcrypt', text, cost };
  }
  const apr1 = /^\$apr1\$([./A-Za-z0-9]{1,8})\$[./A-Za-z0-9]{22}$/.exec(text);
  if (apr1 !== null) return { kind: 'apr1', text, salt: apr1[1] ?? '' };
  if (/^\{SHA\}[+/A-Za-z0-9]{27}=$/.test(text)) return { kind: 'sha', text };
  throw new FieldError(`${where}: ${kindOf(text)}; ${mend}`);
}

function kindOf(text: string): string {
  if (text.startsWith('$2')) return 'this is no whole bcrypt hash';
  if (text.startsWith('$apr1$')) return 'this is no whole MD5 hash';
  if (text.startsWith('{SHA}')) return 'this is no whole SHA hash';
  if (/^\$[156y]\$|^\$7\$|^\$gy\$/.test(text) || /^[./A-Za-z0-9]{13}$/.test(text)) {
    return "a hash of the system's crypt(3), which is not the same everywhere, is not supported";
  }
  return 'the password stands there in plain text, or hashed in a way that is not known here';
}

/** htpasswd takes no longer ones, and a thousand rounds of a very long one would take seconds. */
const maxPasswordLength = 255;

/** False for passwords that a hash would cut or fold, so that another one would pass in their place (RFC 7617 §2 forbids controls). */
export function isSound(password: string, hash: PasswordHash): boolean {
  if (password.length > maxPasswordLength || /\p{Cc}/u.test(password)) return false;
  return hash.kind !== 'bcrypt' || new TextEncoder().encode(password).length <= 72;
}

/** bcrypt takes from 1 ms (cost 4) to 2 s (cost 15) in pieces of 100 ms at most, the others a millisecond at once. */
export function checkPassword(password: string, hash: PasswordHash): boolean | Promise<boolean> {
  switch (hash.kind) {
    case 'bcrypt':
      // Loaded here: few files of passwords have such a hash, and fewer configurations have such a file.
      return import('bcryptjs').then(({ compare }) => compare(password, hash.text));
    case 'apr1':
      return isSameText(apr1Of(password, hash.salt), hash.text);
    case 'sha':
      return isSameText(`{SHA}${btoa(String.fromCharCode(...sha1(new TextEncoder().encode(password))))}`, hash.text);
  }
}

/** Apache's variant of MD5-crypt (apr_md5_encode), a thousand rounds. */
export function apr1Of(password: string, salt: string): string {
  const key = new TextEncoder().encode(password);
  const saltBytes = new TextEncoder().encode(salt);
  const inner = md5(joined(key, saltBytes, key));
  const parts: Uint8Array[] = [key, new TextEncoder().encode('$apr1$'), saltBytes];
  for (let left = key.length; left > 0; left -= 16) parts.push(inner.subarray(0, Math.min(16, left)));
  for (let bits = key.length; bits > 0; bits >>= 1) parts.push((bits & 1) === 1 ? new Uint8Array(1) : key.subarray(0, 1));
  let digest = md5(joined(...parts));
  for (let round = 0; round < 1000; round++) {
    const isOdd = (round & 1) === 1;
    digest = md5(
      joined(
        isOdd ? key : digest,
        round % 3 === 0 ? new Uint8Array() : saltBytes,
        round % 7 === 0 ? new Uint8Array() : key,
        isOdd ? digest : key,
      ),
    );
  }
  return `$apr1$${salt}$${shuffled(digest)}`;
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const alphabet = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** Three bytes to four letters, in crypt's own order; the last letters come from one byte alone. */
const order = [
  [0, 6, 12],
  [1, 7, 13],
  [2, 8, 14],
  [3, 9, 15],
  [4, 10, 5],
] as const;

function shuffled(digest: Uint8Array): string {
  const byteAt = (index: number): number => digest[index] ?? 0;
  const letters = (value: number, count: number): string =>
    Array.from({ length: count }, (_, index) => alphabet[(value >> (6 * index)) & 63]).join('');
  const groups = order.map(([high, middle, low]) => letters((byteAt(high) << 16) | (byteAt(middle) << 8) | byteAt(low), 4));
  return groups.join('') + letters(byteAt(11), 2);
}
