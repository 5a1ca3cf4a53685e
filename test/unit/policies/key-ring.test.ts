import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Identity } from '../../../src/exchange.ts';
import { createKeyRing } from '../../../src/policies/key-ring.ts';

const identity = (name: string): Identity => ({ name, isAdmin: false, allowedModels: undefined, metadata: {} });
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

describe('a key ring', () => {
  it('finds keys in clear at once and no others', () => {
    const ring = createKeyRing([
      { key: 'one', identity: identity('1') },
      { key: 'zwei-ü', identity: identity('2') },
    ]);
    expect(ring.find('one')?.name).toBe('1');
    expect(ring.find('zwei-ü')?.name).toBe('2');
    for (const guess of ['', 'on', 'onee', 'One', 'eno', 'zwei-u']) expect(ring.find(guess)).toBeUndefined();
  });

  it('tells apart keys with the same fingerprint', () => {
    // Found by search: FNV-1a over UTF-16 units gives both the same 32 bits.
    const [a, b] = collidingKeys();
    const ring = createKeyRing([{ key: a, identity: identity('a') }]);
    expect(ring.find(a)?.name).toBe('a');
    expect(ring.find(b)).toBeUndefined();
    const both = createKeyRing([
      { key: a, identity: identity('a') },
      { key: b, identity: identity('b') },
    ]);
    expect([both.find(a)?.name, both.find(b)?.name]).toEqual(['a', 'b']);
  });

  it('lets the later of two equal keys count', () => {
    const ring = createKeyRing([
      { key: 'k', identity: identity('first') },
      { key: 'k', identity: identity('second') },
    ]);
    expect(ring.find('k')?.name).toBe('second');
    expect(ring.knownCount).toBe(1);
  });

  it('remembers a hashed key after its first coming, and nothing of guesses', async () => {
    const ring = createKeyRing([{ keyHash: sha256('secret'), identity: identity('h') }]);
    expect(ring.find('secret')).toBeUndefined();
    expect((await ring.findByHash('secret'))?.name).toBe('h');
    expect(ring.find('secret')?.name).toBe('h');
    for (let guess = 0; guess < 2_000; guess++) expect(await ring.findByHash(`guess-${guess}`)).toBeUndefined();
    expect(ring.knownCount).toBe(1);
  });

  it('learns a key once, however many ask for it at the same time', async () => {
    const ring = createKeyRing([{ keyHash: sha256('secret'), identity: identity('h') }]);
    const found = await Promise.all(Array.from({ length: 20 }, () => ring.findByHash('secret')));
    expect(found.every((one) => one?.name === 'h')).toBe(true);
    expect(ring.knownCount).toBe(1);
  });

  it('does not hash what is longer than any key', async () => {
    const atLimit = 'a'.repeat(4_096);
    const ring = createKeyRing([
      { keyHash: sha256(atLimit), identity: identity('long') },
      { keyHash: sha256(`${atLimit}a`), identity: identity('too long') },
    ]);
    expect((await ring.findByHash(atLimit))?.name).toBe('long');
    expect(await ring.findByHash(`${atLimit}a`)).toBeUndefined();
  });
});

/** A birthday search in the small space of the fingerprint: about 2^16 tries. */
function collidingKeys(): [string, string] {
  const seen = new Map<number, string>();
  for (let index = 0; ; index++) {
    const key = `k${index.toString(36)}`;
    let hash = 0x811c9dc5;
    for (const char of key) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
    const earlier = seen.get(hash);
    if (earlier !== undefined) return [earlier, key];
    seen.set(hash, key);
  }
}
