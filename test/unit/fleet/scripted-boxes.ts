import { GatewayError } from '../../../src/errors.ts';
import type { Upstream } from '../../../src/exchange.ts';
import type { Platform, UpstreamRequest } from '../../../src/platform.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';

/** What a scripted box does with a request. */
export interface Script {
  /** refused, unresolved: fails at once. silent: never says anything, as when SYNs are dropped. */
  fault?: 'refused' | 'unresolved' | 'silent';
  delayMs?: number;
  /** Path → JSON value, a whole answer, or what makes one of the request's body. Paths without an entry get 404. */
  answers: Record<string, unknown>;
}

export class Raw {
  readonly status: number;
  readonly text: string;
  readonly headers: Record<string, string>;
  constructor(status: number, text: string, headers: Record<string, string> = {}) {
    this.status = status;
    this.text = text;
    this.headers = headers;
  }
}

export interface Asked {
  readonly url: string;
  readonly atMs: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The body as it was sent. */
  readonly text: string;
}

export interface World {
  readonly clock: FakeClock;
  readonly platform: Platform;
  readonly scripts: Map<string, Script>;
  readonly asked: Asked[];
  /** How many connections are open now. */
  readonly open: number;
  /** The paths that one box was asked for since the last call. */
  take(baseUrl: string): string[];
}

/** A platform whose upstreams are scripts, by base URL; one that has none does not resolve. */
export function createWorld({ hasBackground = true } = {}): World {
  const clock = createFakeClock();
  const scripts = new Map<string, Script>();
  const asked: Asked[] = [];
  let open = 0;

  const send = async (request: UpstreamRequest) => {
    const { origin, pathname } = new URL(request.url);
    const sent = request.body instanceof Uint8Array ? new TextDecoder().decode(request.body) : '';
    asked.push({ url: request.url, atMs: clock.now(), headers: request.headers, text: sent });
    const script = scripts.get(origin);
    if (script === undefined || script.fault === 'unresolved') throw new GatewayError('upstream_unresolved', 'no such host');
    if (script.fault === 'refused') throw new GatewayError('upstream_refused', 'connection refused');
    open++;
    try {
      await new Promise<void>((resolve, reject) => {
        request.signal.addEventListener('abort', () => reject(request.signal.reason));
        if (script.fault !== 'silent') clock.after(script.delayMs ?? 0, resolve);
      });
    } finally {
      open--;
    }
    const scripted = Object.hasOwn(script.answers, pathname) ? script.answers[pathname] : new Raw(404, '404 page not found');
    const found: unknown = typeof scripted === 'function' ? await scripted(sent) : scripted;
    const raw = found instanceof Raw ? found : new Raw(200, JSON.stringify(found), { 'content-type': 'application/json' });
    return {
      status: raw.status,
      headers: new Headers(raw.headers),
      body: {
        async read(maxBytes: number) {
          const bytes = new TextEncoder().encode(raw.text);
          if (bytes.length > maxBytes) throw new GatewayError('upstream_closed', 'too long');
          return bytes;
        },
        stream: () => new ReadableStream(),
        cancel() {},
      },
    };
  };

  return {
    clock,
    scripts,
    asked,
    get open() {
      return open;
    },
    platform: {
      runtime: 'node',
      clock,
      hasBackground,
      send,
      respond: () => new Response(),
      refuses: () => undefined,
      print() {},
      report() {},
    },
    take(baseUrl) {
      const paths: string[] = [];
      for (let index = 0; index < asked.length; index++) {
        const one = asked[index];
        if (one?.url.startsWith(`${baseUrl}/`) !== true) continue;
        paths.push(one.url.slice(baseUrl.length));
        asked.splice(index--, 1);
      }
      return paths;
    },
  };
}

export function upstreamNamed(name: string, baseUrl: string, kind: Upstream['kind'] = 'box'): Upstream {
  return { name, baseUrl, kind, tls: undefined };
}

/** Boxes by name; what is there to meet is told by their scripts. */
export const attic = upstreamNamed('attic', 'http://attic:11434');
export const den = upstreamNamed('den', 'http://den:11434');
export const laptop = upstreamNamed('laptop', 'http://laptop:11434');
export const ghost = upstreamNamed('ghost', 'http://ghost:11434');

/** A healthy box with these models (`name` or `[name, digest]`), the first ones newest. */
export function healthyBox(models: readonly (string | readonly [string, string])[], running: readonly object[] = []): Script {
  return {
    answers: {
      '/api/version': { version: '0.12.3' },
      '/api/tags': { models: models.map((model, age) => modelItem(model, age)) },
      '/api/ps': { models: running },
    },
  };
}

export function modelItem(model: string | readonly [string, string], ageDays = 0): object {
  const [name, digest] = typeof model === 'string' ? [model, `sha-${model}`] : model;
  const day = String(28 - ageDays).padStart(2, '0');
  return {
    name,
    model: name,
    modified_at: `2026-01-${day}T10:00:00.123456789Z`,
    size: 1_000,
    digest,
    details: { family: 'llama' },
  };
}

export function runningItem(name: string, digest = `sha-${name}`, sizes = { size: 1_000, size_vram: 1_000 }): object {
  return { name, model: name, ...sizes, digest, expires_at: '2026-01-28T10:05:00Z', context_length: 4_096 };
}
