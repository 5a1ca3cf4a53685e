/** Asks a running Corral at its admin address. */
import { GatewayError } from '../../errors.ts';
import { ask, createStop } from '../../fleet/asking/ask.ts';
import type { Platform } from '../../platform.ts';
import { plainText } from '../table.ts';

export interface AdminLine {
  readonly url: string;
  get(path: string): Promise<AdminAnswer>;
  /** `limitMs`: 3 s unless said. */
  post(path: string, body: unknown, limitMs?: number): Promise<AdminAnswer>;
}

export type AdminAnswer =
  | { readonly ok: true; readonly value: unknown }
  /** `isRefusal`: a Corral is there and says no. */
  | { readonly ok: false; readonly isRefusal: boolean; readonly why: string };

const usualLimitMs = 3_000;
/** 256 boxes with 2,000 models each would fit. */
const maxBytes = 256 * 1024 * 1024;

/** `url`: such as `http://localhost:15000`, or a Worker's `https://llm.example.com/_corral`. */
export function openAdminLine(url: string, token: string | undefined, platform: Platform): AdminLine {
  const baseUrl = url.replace(/\/+$/, '');
  const upstream = { name: `the admin address ${baseUrl}`, baseUrl, kind: 'host', tls: undefined } as const;
  const headers = token === undefined || token.trim() === '' ? {} : { authorization: `Bearer ${token.trim()}` };
  const asked = async (path: string, json: string | undefined, limitMs: number): Promise<AdminAnswer> => {
    const body = json === undefined ? {} : { json };
    const answer = await ask(platform, { upstream, path, headers, ...body, limitMs, maxBytes, stop: createStop() });
    if (answer instanceof GatewayError)
      return { ok: false, isRefusal: false, why: `no Corral answers at ${baseUrl}: ${answer.message}` };
    const { status, text = '' } = answer;
    if (status === 401 || status === 403) {
      const said = plainText(text.trim(), 300);
      return { ok: false, isRefusal: isOurs(said), why: `${baseUrl} does not let this command in (${status}): ${said}` };
    }
    const value = parsed(text);
    if (status < 300 && value !== undefined) return { ok: true, value };
    const error = typeof value === 'object' && value !== null && 'error' in value ? value.error : undefined;
    if (typeof error === 'string') return { ok: false, isRefusal: true, why: plainText(error) };
    return { ok: false, isRefusal: false, why: `what answers at ${baseUrl} is no Corral that knows ${path} (${status})` };
  };
  return {
    url: baseUrl,
    get: (path) => asked(path, undefined, usualLimitMs),
    post: (path, body, limitMs = usualLimitMs) => asked(path, JSON.stringify(body), limitMs),
  };
}

/** The words of admin/access.ts: another program at this port refuses in its own. */
function isOurs(said: string): boolean {
  return said.includes('CORRAL_ADMIN_TOKEN') || said.startsWith('web pages of other addresses');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
