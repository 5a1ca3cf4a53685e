/** Boxes and an admin address that are plain data, and commands run over them with what they print. */
import { runCommand } from '../../../src/cli/commands.ts';
import type { Terminal } from '../../../src/cli/terminal.ts';
import { GatewayError } from '../../../src/errors.ts';
import type { Platform, UpstreamRequest } from '../../../src/platform.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { createQuietPlatform } from '../../support/quiet-platform.ts';

export interface MockModel {
  readonly digest: string;
  readonly size?: number;
  readonly at?: string;
  readonly remoteHost?: string;
  readonly info?: Readonly<Record<string, unknown>>;
  readonly capabilities?: readonly string[];
}

export interface MockBox {
  fault?: 'refused' | 'unresolved' | 'tls' | 'silent';
  /** Instead of everything else. */
  answer?: { readonly status: number; readonly text: string; readonly headers?: Readonly<Record<string, string>> };
  version?: string;
  headers?: Readonly<Record<string, string>>;
  models?: Record<string, MockModel>;
  running?: readonly Readonly<Record<string, unknown>>[];
  /** Writes the progress of a pull; ends when it returns. */
  pull?: (model: string, say: (line: unknown) => void) => void | Promise<void>;
  /** Instead of 200 at /api/generate and /api/embed. */
  refusal?: { readonly status: number; readonly error: string };
}

export interface Asked {
  readonly at: string;
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string>>;
}

export type AdminScript = (method: string, path: string, body: unknown) => { readonly status: number; readonly body: unknown };

export function createMockHerd(boxes: Readonly<Record<string, MockBox>>, admin?: AdminScript) {
  const clock = createFakeClock();
  const asked: Asked[] = [];
  const send = async (request: UpstreamRequest) => {
    const { host, pathname } = new URL(request.url);
    const text = request.body instanceof Uint8Array ? new TextDecoder().decode(request.body) : '';
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    asked.push({ at: host, method: request.method, path: pathname, body, headers: request.headers });
    if (host === 'localhost:15000') {
      if (admin === undefined) throw new GatewayError('upstream_refused', 'connection refused');
      const { status, body: said } = admin(request.method, pathname, body);
      return answerOf(status, typeof said === 'string' ? said : JSON.stringify(said));
    }
    const box = boxes[host.split(':')[0] ?? ''];
    if (box === undefined || box.fault === 'unresolved') throw new GatewayError('upstream_unresolved', 'host name not found');
    if (box.fault === 'refused') throw new GatewayError('upstream_refused', 'connection refused');
    if (box.fault === 'tls') throw new GatewayError('upstream_tls', 'no TLS connection');
    if (box.fault === 'silent') {
      return new Promise<never>((_, reject) =>
        request.signal.addEventListener('abort', () => reject(request.signal.reason), { once: true }),
      );
    }
    return boxAnswer(box, pathname, body, request.signal);
  };
  const platform = createQuietPlatform({ clock, send });
  return { clock, asked, platform };
}

function boxAnswer(box: MockBox, path: string, body: unknown, signal: AbortSignal) {
  if (box.answer !== undefined) return answerOf(box.answer.status, box.answer.text, box.answer.headers);
  const models = box.models ?? {};
  const model = typeof body === 'object' && body !== null && 'model' in body ? String(body.model) : '';
  switch (path) {
    case '/api/version':
      return answerOf(200, JSON.stringify({ version: box.version ?? '0.20.0' }), box.headers);
    case '/api/tags':
      return answerOf(
        200,
        JSON.stringify({
          models: Object.entries(models).map(([name, { digest, size = 2e9, at = '2026-01-01T00:00:00Z', remoteHost }]) => ({
            name,
            model: name,
            digest,
            size,
            modified_at: at,
            ...(remoteHost === undefined ? {} : { remote_host: remoteHost }),
          })),
        }),
      );
    case '/api/ps':
      return answerOf(200, JSON.stringify({ models: box.running ?? [] }));
    case '/api/show':
      return answerOf(
        200,
        JSON.stringify({ model_info: models[model]?.info ?? {}, capabilities: models[model]?.capabilities ?? ['completion'] }),
      );
    case '/api/generate':
    case '/api/embed':
      return box.refusal === undefined
        ? answerOf(200, JSON.stringify({ model, done: true }))
        : answerOf(box.refusal.status, JSON.stringify({ error: box.refusal.error }));
    case '/api/pull':
      return pullAnswer(box, model, signal);
  }
  return answerOf(404, '404 page not found');
}

function pullAnswer({ pull }: MockBox, model: string, signal: AbortSignal) {
  const stream = new ReadableStream<Uint8Array>({
    async start(controller) {
      signal.addEventListener('abort', () => controller.error(signal.reason), { once: true });
      await pull?.(model, (line) => controller.enqueue(new TextEncoder().encode(`${JSON.stringify(line)}\n`)));
      if (!signal.aborted) controller.close();
    },
  });
  return { ...answerOf(200, ''), body: { read: async () => new Uint8Array(), stream: () => stream, cancel: () => undefined } };
}

function answerOf(status: number, text: string, headers: Readonly<Record<string, string>> = {}) {
  return {
    status,
    headers: new Headers(headers),
    body: {
      read: async () => new TextEncoder().encode(text),
      stream: () => new Response(text).body ?? new ReadableStream<Uint8Array>(),
      cancel: () => undefined,
    },
  };
}

export interface CommandRun {
  readonly out: () => string;
  readonly err: () => string;
  readonly code: Promise<number>;
  /** Ctrl-C. */
  interrupt(): void;
}

/** Starts a command line such as `fleet sync --dry-run`. `text` is what every file holds. */
export function begin(
  args: readonly string[],
  platform: Platform,
  { env = {}, text, terminal = {} }: { env?: Record<string, string>; text?: string; terminal?: Partial<Terminal> } = {},
): CommandRun {
  let out = '';
  let err = '';
  let onInterrupt = () => {};
  const surroundings = {
    args,
    env: (name: string) => env[name],
    readFile: (path: string) => {
      if (text !== undefined && path !== 'corral.yaml') return text;
      throw Object.assign(new Error('none'), { code: 'ENOENT' });
    },
    readStdin: () => '',
    modeOf: () => undefined,
    isTerminalGone: () => false,
    out: (said: string) => {
      out += said;
    },
    err: (said: string) => {
      err += said;
    },
    terminal: {
      isTerminal: false,
      hasColour: false,
      columns: () => 100,
      onInterrupt: (listener: () => void) => {
        onInterrupt = listener;
        return () => undefined;
      },
      ...terminal,
    },
  };
  const code = runCommand(args, surroundings, platform);
  return { out: () => out, err: () => err, code, interrupt: () => onInterrupt() };
}

export async function run(...given: Parameters<typeof begin>): Promise<{ out: string; err: string; code: number }> {
  const started = begin(...given);
  const code = await started.code;
  return { out: started.out(), err: started.err(), code };
}

export const words = (text: string): string[] => text.split(' ').filter((word) => word !== '');
