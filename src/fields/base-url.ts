/** Base URLs of servers: `http://box.lan:11434`, `https://api.example.com/v1`. */
import { FieldError, textField } from './text-field.ts';

export interface BaseUrl {
  readonly scheme: 'http' | 'https';
  /** `host:port`, the port always there. */
  readonly authority: string;
  /** From `/` on, without trailing slash; empty when there is none. */
  readonly path: string;
}

const expected = 'a URL that starts with http:// or https://';

/** Throws FieldError; never repeats the URL, which may hold a password. */
export function baseUrlOf(text: string): BaseUrl {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) throw new FieldError(`expected ${expected}`);
  const url = new URL(text);
  if (url.username !== '' || url.password !== '')
    throw new FieldError('a base URL holds no user and no password; use apiKey or auth');
  if (url.search !== '' || url.hash !== '') throw new FieldError('a base URL holds no "?" and no "#"');
  const scheme = url.protocol === 'https:' ? 'https' : 'http';
  const port = url.port === '' ? (scheme === 'https' ? 443 : 80) : Number(url.port);
  return { scheme, authority: `${url.hostname}:${port}`, path: url.pathname.replace(/\/+$/, '') };
}

/** A base URL in the YAML. Output: BaseUrl. */
export const baseUrlField = textField(expected, baseUrlOf, 'URL');
