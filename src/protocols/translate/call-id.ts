/**
 * What a server wants back with a call of a tool and no other protocol has a place for: Gemini 3 refuses the next request without
 * the `extra_content` (its thought's signature) of each call. Nothing is kept here; so it travels in the id of the call, which
 * clients give back as it is.
 */
import { isJson, JsonText } from './exact-json.ts';

const mark = '__corral_';
/** Signatures have some hundred letters to a few thousand. */
const maxExtraLength = 16_384;

/** Letters, digits, `_` and `-` only, as Anthropic's clients expect of ids. */
export function idCarrying(id: string, extra: unknown): string {
  if (typeof extra !== 'object' || extra === null) return id;
  const bytes = new TextEncoder().encode(JSON.stringify(extra));
  if (bytes.length > maxExtraLength) return id;
  const base64 = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
  return id + mark + base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** The server's own id, and what goes with it. */
export function carriedBy(id: string): { readonly id: string; readonly extra: JsonText | undefined } {
  const at = id.indexOf(mark);
  if (at < 0) return { id, extra: undefined };
  const text = textIn(id.slice(at + mark.length));
  return { id: id.slice(0, at), extra: text.startsWith('{') && isJson(text) ? new JsonText(text) : undefined };
}

function textIn(base64Url: string): string {
  try {
    const letters = atob(base64Url.replaceAll('-', '+').replaceAll('_', '/'));
    return new TextDecoder().decode(Uint8Array.from(letters, (letter) => letter.charCodeAt(0)));
  } catch {
    return '';
  }
}
