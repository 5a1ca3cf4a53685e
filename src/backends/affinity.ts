/**
 * Rendezvous hashing: each value gives every target a number of its own, and the greatest number wins. A target that goes away
 * only moves the values that it had, and they are back with it.
 */
import type { Target } from './target.ts';

/** By address and model, not by name: unnamed upstreams are numbered, and may have another number after a reload. Above 0 and below 1, the same for the same value and target on every runtime and after every restart. */
export function affinityDraw(value: string, { upstream, declares = '' }: Target): number {
  return (hash(`${value}\n${upstream.baseUrl}\n${declares}`) + 0.5) / 2 ** 32;
}

/** FNV-1a over UTF-16 units, mixed once more so that neighbours differ in all bits (MurmurHash3's finalizer). 32 bits. */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    state = Math.imul(state ^ (text.charCodeAt(index) & 0xff), 0x01000193);
    state = Math.imul(state ^ (text.charCodeAt(index) >>> 8), 0x01000193);
  }
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}
