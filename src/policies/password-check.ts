/**
 * Checks passwords against an htpasswd file without letting anybody learn from it, or overwork it.
 *
 * A good password is remembered by a salted digest, so that a client that sends it with every request pays for bcrypt once.
 * What is remembered is one digest a user, so guesses cannot push it out. Somebody who is not in the file is checked against
 * the hash of somebody who is: how long the answer takes does not tell who exists. And only so many checks run at once.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { isSameText } from './constant-time.ts';
import { checkPassword, isSound, type PasswordHash, type Users } from './htpasswd.ts';
import type { WorkGate } from './work-gate.ts';

export interface PasswordCheck {
  /** At once for a password that is known to be good. `overworked`: not looked at, too many others are. */
  check(user: string, password: string): Verdict | Promise<Verdict>;
  /** How many good passwords are remembered. */
  readonly knownCount: number;
}

export type Verdict = 'good' | 'wrong' | 'overworked';

export interface PasswordCheckOptions {
  readonly users: Users;
  /** Undefined where the runtime itself bounds what a request may cost. */
  readonly gate: WorkGate | undefined;
}

export function createPasswordCheck({ users, gate }: PasswordCheckOptions): PasswordCheck {
  const salt = crypto.getRandomValues(new Uint8Array(32));
  const hashes = [...users.values()];
  const known = new Map<string, string>();
  const underWay = new Map<string, Promise<Verdict>>();

  const decoyFor = (user: string): PasswordHash | undefined => hashes[numberOf(user) % hashes.length];

  const verdictOf = async (user: string, password: string, digest: string): Promise<Verdict> => {
    const own = users.get(user);
    const hash = own ?? decoyFor(user);
    if (hash === undefined || !isSound(password, hash)) return 'wrong';
    const isRight = await checkPassword(password, hash);
    if (!isRight || own === undefined) return 'wrong';
    known.set(user, digest);
    return 'good';
  };

  const queued = (user: string, password: string, digest: string): Promise<Verdict> | 'overworked' => {
    if (gate === undefined) return verdictOf(user, password, digest);
    // A client's first requests come together: they are one question.
    const same = underWay.get(digest);
    if (same !== undefined) return same;
    const verdict = gate.run(() => verdictOf(user, password, digest))?.finally(() => underWay.delete(digest));
    if (verdict === undefined) return 'overworked';
    underWay.set(digest, verdict);
    return verdict;
  };

  return {
    check(user, password) {
      const digest = digestOf(salt, user, password);
      const good = known.get(user);
      return good !== undefined && isSameText(good, digest) ? 'good' : queued(user, password, digest);
    },
    get knownCount() {
      return known.size;
    },
  };
}

function digestOf(salt: Uint8Array, user: string, password: string): string {
  const text = new TextEncoder().encode(JSON.stringify([user, password]));
  const salted = new Uint8Array(salt.length + text.length);
  salted.set(salt);
  salted.set(text, salt.length);
  return bytesToHex(sha256(salted));
}

/** The same for the same name, so that somebody who is not there always takes equally long. */
function numberOf(user: string): number {
  let hash = 0;
  for (let index = 0; index < user.length; index++) hash = (Math.imul(hash, 31) + user.charCodeAt(index)) >>> 0;
  return hash;
}
