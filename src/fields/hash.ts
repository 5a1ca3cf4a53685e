/** A hash that is the same on every runtime and after every restart. For spreading, never for secrets. */

/** FNV-1a's start and prime, 32 bits (draft-eastlake-fnv). */
const offset = 0x811c9dc5;
const prime = 0x01000193;

/** Takes `text` into `state`, UTF-16 unit by unit. Begin with `hashSeed`; several texts one after the other are one. */
export function hashInto(state: number, text: string, maxLength = text.length): number {
  let next = state;
  const length = Math.min(text.length, maxLength);
  for (let at = 0; at < length; at++) {
    const unit = text.charCodeAt(at);
    next = Math.imul(next ^ (unit & 0xff), prime);
    next = Math.imul(next ^ (unit >>> 8), prime);
  }
  return next;
}

export const hashSeed = offset;

/** Mixed once more, so that neighbours differ in all bits (MurmurHash3's finalizer). 0 up to 2^32. */
export function finishHash(hashed: number): number {
  let state = Math.imul(hashed ^ (hashed >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}

/** 32 bits of one text. */
export function hashOf(text: string): number {
  return finishHash(hashInto(hashSeed, text));
}
