/** OLLAMA_HOST in all the forms Ollama itself takes (Ollama envconfig/config.go `Host`), seen from a client. */
import { FieldError } from './text-field.ts';

export interface OllamaHost {
  readonly scheme: 'http' | 'https';
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  /** `host:port`, an IPv6 address in brackets. */
  readonly authority: string;
  /** `http://host:port`. */
  readonly baseUrl: string;
}

/**
 * Where a client finds the Ollama that OLLAMA_HOST describes. Unset or empty: 127.0.0.1:11434. Without a scheme the port is
 * 11434, with `http://` 80 and with `https://` 443. Addresses that mean "every interface" to a server mean this machine to a
 * client. A port that is none falls back to the default, as in Ollama. Throws FieldError for another scheme or an
 * impossible host.
 */
export function ollamaHostOf(text: string | undefined): OllamaHost {
  const trimmed = (text ?? '')
    .trim()
    .replace(/^["']+|["']+$/g, '')
    .trim();
  const [schemeText, rest] = cut(trimmed);
  const scheme = (schemeText ?? 'http').toLowerCase();
  if (scheme !== 'http' && scheme !== 'https')
    throw new FieldError(`OLLAMA_HOST: the scheme "${scheme}" is neither http nor https`);
  const defaultPort = schemeText === undefined ? 11_434 : scheme === 'http' ? 80 : 443;
  const authorityText = rest.split('/', 1)[0] ?? '';
  if (schemeText === undefined && authorityText === 'ollama.com') return ollamaHost('https', 'ollama.com', 443);
  const [host, portText] = hostAndPort(authorityText);
  const port = /^\d{1,5}$/.test(portText) && Number(portText) <= 65_535 && Number(portText) > 0 ? Number(portText) : defaultPort;
  return ollamaHost(scheme, hostForClient(host), port);
}

function cut(text: string): [string | undefined, string] {
  const at = text.indexOf('://');
  return at < 0 ? [undefined, text] : [text.slice(0, at), text.slice(at + 3)];
}

/** As Go's net.SplitHostPort, with a bare IPv6 address taken whole. */
function hostAndPort(text: string): [string, string] {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text);
  if (bracketed !== null) return [bracketed[1] ?? '', bracketed[2] ?? ''];
  const colons = text.split(':').length - 1;
  if (colons !== 1) return [text, ''];
  const at = text.indexOf(':');
  return [text.slice(0, at), text.slice(at + 1)];
}

function hostForClient(host: string): string {
  if (host === '' || host === '0.0.0.0') return '127.0.0.1';
  return /^[0:]+$/.test(host) && host.includes(':') ? '::1' : host.toLowerCase();
}

function ollamaHost(scheme: 'http' | 'https', host: string, port: number): OllamaHost {
  const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const baseUrl = `${scheme}://${authority}`;
  if (/[\s/?#@\\%]/.test(host) || !URL.canParse(baseUrl))
    throw new FieldError(`OLLAMA_HOST: "${host}" is no host name and no IP address`);
  return { scheme, host, port, authority, baseUrl };
}
