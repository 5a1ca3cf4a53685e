/** Text with pieces replaced, and everything between them untouched. */

/** `[from, to)` gives way to `insert`. Lists of them are in rising order and do not overlap. */
export interface Splice {
  readonly from: number;
  readonly to: number;
  readonly insert: string;
}

/** `text[from, to)` with the splices, which lie inside it, applied. */
export function spliceText(text: string, from: number, to: number, splices: readonly Splice[]): string {
  let result = '';
  let at = from;
  for (const splice of splices) {
    result += text.slice(at, splice.from) + splice.insert;
    at = splice.to;
  }
  return result + text.slice(at, to);
}

const encoder = new TextEncoder();
/** Texts up to here are encoded anew: that costs less than putting the pieces together. */
const smallLength = 4_096;

/**
 * The UTF-8 of `text[0, to)` with the splices applied. `bytes` is the UTF-8 of `text`; whatever is not replaced is copied from
 * there, so that a megabyte of prompt is moved, not encoded again.
 */
export function spliceBytes(text: string, bytes: Uint8Array, to: number, splices: readonly Splice[]): Uint8Array {
  if (to <= smallLength) return encoder.encode(spliceText(text, 0, to, splices));
  const offsetOf = createOffsets(text, bytes.length);
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const splice of splices) {
    parts.push(bytes.subarray(at, offsetOf(splice.from)), encoder.encode(splice.insert));
    at = offsetOf(splice.to);
  }
  parts.push(bytes.subarray(at, offsetOf(to)));
  return joinBytes(parts);
}

/** One array of all the parts; the part itself when there is just one. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  let length = 0;
  for (const part of parts) length += part.length;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Turns rising text indexes into byte offsets. Free for ASCII; else it counts from the nearest known place. */
function createOffsets(text: string, byteLength: number): (index: number) => number {
  if (text.length === byteLength) return (index) => index;
  let knownIndex = 0;
  let knownOffset = 0;
  return (index) => {
    // Edits stand near one of the ends: `model` comes first, what Corral adds comes last.
    const isNearEnd = text.length - index < index - knownIndex;
    knownOffset = isNearEnd
      ? byteLength - encoder.encode(text.slice(index)).length
      : knownOffset + encoder.encode(text.slice(knownIndex, index)).length;
    knownIndex = index;
    return knownOffset;
  };
}
