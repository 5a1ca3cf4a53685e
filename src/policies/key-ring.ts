/**
 * Keys and whom they stand for.
 *
 * A key that is known in clear is found by a cheap fingerprint and then compared in constant time: how long a lookup takes
 * tells nothing about how much of a guess was right. (A Map of the keys themselves would leave that to the engine's string
 * comparison; SHA-256 for every request is asynchronous in WebCrypto and costs more than everything else on the way.)
 *
 * A key of which only the hash is configured is hashed when it comes for the first time, and kept in clear from then on. So
 * what is remembered is bounded by the number of configured keys, and guesses, which are always hashed, cannot push good
 * keys out as they could from a cache of whatever comes.
 */
import type { Identity } from '../exchange.ts';
import { isSameText } from './constant-time.ts';

export interface KeyRing {
  /** Whom the key stands for, if it is known in clear. */
  find(key: string): Identity | undefined;
  /** The same through its hash; only where hashes are configured. */
  findByHash(key: string): Promise<Identity | undefined>;
  /** How many keys are known in clear. */
  readonly knownCount: number;
}

export type RingKey =
  | { readonly key: string; readonly identity: Identity }
  /** SHA-256 of the key's UTF-8 bytes, hexadecimal, lower case. */
  | { readonly keyHash: string; readonly identity: Identity };

interface KnownKey {
  readonly key: string;
  identity: Identity;
}

/** Longer than any real key; keeps guesses from costing time. */
const maxKeyLength = 4_096;

/** Of two equal keys the later one counts, as in agentgateway. */
export function createKeyRing(keys: readonly RingKey[]): KeyRing {
  const known = new Map<number, KnownKey[]>();
  const hashed = new Map<string, Identity>();
  let knownCount = 0;

  const find = (key: string): Identity | undefined => knownOf(known.get(fingerprintOf(key)), key)?.identity;

  const learn = (key: string, identity: Identity): void => {
    const fingerprint = fingerprintOf(key);
    const neighbours = known.get(fingerprint) ?? [];
    const same = knownOf(neighbours, key);
    if (same !== undefined) {
      same.identity = identity;
      return;
    }
    known.set(fingerprint, [...neighbours, { key, identity }]);
    knownCount++;
  };

  for (const entry of keys) {
    if ('key' in entry) learn(entry.key, entry.identity);
    else hashed.set(entry.keyHash, entry.identity);
  }

  return {
    find,
    async findByHash(key) {
      if (hashed.size === 0 || key.length > maxKeyLength) return undefined;
      const identity = hashed.get(await sha256HexOf(key));
      if (identity !== undefined) learn(key, identity);
      return identity;
    },
    get knownCount() {
      return knownCount;
    },
  };
}

function knownOf(candidates: readonly KnownKey[] | undefined, key: string): KnownKey | undefined {
  return candidates?.find((candidate) => isSameText(candidate.key, key));
}

/** FNV-1a over UTF-16 units: the same work for every key of one length. */
function fingerprintOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  return hash;
}

async function sha256HexOf(text: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  let hex = '';
  for (const byte of digest) hex += byte.toString(16).padStart(2, '0');
  return hex;
}
