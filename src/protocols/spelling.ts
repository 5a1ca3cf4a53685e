/**
 * One path, many spellings: `//api/tags`, `/api%2ftags`, `/v1/../api/tags`, `/API/tags;x`. Everything here errs on the side of
 * recognising: a spelling that *some* server, proxy or URL parser reads as a path is that path.
 */

/** A path taken apart. Both lists hold segments without empty ones, `.`, path parameters (`;x`), blanks and control characters. */
export interface PathSegments {
  /** With `..` applied. Letters as the client wrote them. */
  readonly resolved: readonly string[];
  /** With `..` left out but not applied: what a server that does not resolve dots would see. */
  readonly unresolved: readonly string[];
}

/** Takes a path (no query) apart, after undoing every layer of percent-encoding. Never throws; linear in the path's length. */
export function segmentsOf(path: string): PathSegments {
  const resolved: string[] = [];
  const unresolved: string[] = [];
  for (const raw of undoEncoding(path).split(/[/\\]/)) {
    const segment = plainSegment(raw);
    if (segment === '' || segment === '.') continue;
    if (segment === '..') {
      resolved.pop();
      continue;
    }
    resolved.push(segment);
    unresolved.push(segment);
  }
  return { resolved, unresolved };
}

function plainSegment(raw: string): string {
  const end = raw.indexOf(';');
  const segment = end < 0 ? raw : raw.slice(0, end);
  // URL parsers drop tabs and line ends wherever they stand, and blanks at the ends.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return utf8Of(segment.replace(/[\x00-\x20\x7f]/g, ''));
}

/**
 * Percent-decodes until nothing is left to decode, in one pass: what a decoded character completes is decoded at once, so
 * `%252e` and `%%32e` both become `.`. Decoding again and again instead would take quadratic time on `%2525252525…`.
 */
function undoEncoding(path: string): string {
  if (!path.includes('%')) return path;
  const out: string[] = [];
  for (const character of path) {
    out.push(character);
    while (out.length >= 3 && out[out.length - 3] === '%') {
      const code = hexPair(out[out.length - 2], out[out.length - 1]);
      if (code === undefined) break;
      out.length -= 3;
      out.push(String.fromCharCode(code));
    }
  }
  return out.join('');
}

function hexPair(high: string | undefined, low: string | undefined): number | undefined {
  const pair = `${high}${low}`;
  return /^[0-9a-f]{2}$/i.test(pair) ? Number.parseInt(pair, 16) : undefined;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/** Decoded bytes above 0x7f stand as one character each until here; names that people give may hold any letter. */
function utf8Of(text: string): string {
  const codes = Array.from(text, (character) => character.codePointAt(0) ?? 0);
  if (!codes.some((code) => code > 0x7f) || codes.some((code) => code > 0xff)) return text;
  try {
    return strictUtf8.decode(Uint8Array.from(codes));
  } catch {
    return text;
  }
}

/** Whether a segment is the word, in any case, with or without trailing junk that is no letter, digit, `_` or `-`. */
export function isWord(segment: string | undefined, word: string): boolean {
  if (segment === undefined) return false;
  const lower = segment.toLowerCase();
  return lower === word || (lower.startsWith(word) && !/[a-z0-9_-]/.test(lower.charAt(word.length)));
}
