/// <reference types="node" />
/**
 * What agentgateway's own program was seen to do, played again: each configuration, each request. The client gets the same
 * status and the upstream the same request, unless `behaviour-differences.ts` says why not; and what it says must be true.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import { type Answer, createStage, type Script, type Sent, type Stage } from '../unit/answers/stage.ts';
import { differences } from './behaviour-differences.ts';

const folder = new URL('../../../shared/agentgateway-behaviour/', import.meta.url);
const hasCases = existsSync(folder);

interface Case {
  readonly name: string;
  readonly config: string;
  readonly startup?: { readonly started: boolean };
  readonly started?: boolean;
  readonly steps?: readonly Step[];
}

interface Step {
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly port: number;
    readonly headers: readonly (readonly [string, string])[];
    readonly host: string;
    readonly body: unknown;
    readonly raw?: string;
  };
  readonly response: { readonly status: number | null } | null;
  readonly upstream: readonly UpstreamSeen[] | null;
}

interface UpstreamSeen {
  readonly port: number;
  readonly method: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: unknown;
}

function cases(): readonly Case[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Case)
    .filter(({ config, name }) => typeof config === 'string' && typeof name === 'string');
}

/** Headers that mean something to an upstream; the others differ with every program. */
const compared = /^(authorization|x-(?!fake|retry|corral)|api-key|cookie|content-type$)/;

function headersOf(headers: Iterable<readonly [string, string]>): Record<string, string> {
  const kept = new Map<string, string>();
  for (const [given, value] of headers) {
    const name = given.toLowerCase();
    const before = kept.get(name);
    if (compared.test(name)) kept.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return Object.fromEntries([...kept].sort(([first], [second]) => (first < second ? -1 : 1)));
}

/** One step as text: what the client was told, and what upstreams were sent. */
function seenText(status: number | null | undefined, upstream: readonly UpstreamSeen[]): string {
  // A copy and its original leave in any order.
  const lines = [...upstream]
    .sort((first, second) => first.port - second.port)
    .map(({ port, method, path, headers, body }) =>
      [`→ ${port} ${method} ${path}`, JSON.stringify(headersOf(headers)), sortedJson(body)].join(' '),
    );
  return [`status ${status ?? 'none'}`, ...lines].join('\n');
}

function sortedJson(value: unknown): string {
  if (typeof value === 'string') return value;
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([first], [second]) => (first < second ? -1 : 1)))
      : member,
  );
}

function sentAs({ url, headers, text, request }: Sent): UpstreamSeen {
  const { port, pathname, search } = new URL(url);
  let body: unknown = text ?? '';
  try {
    body = text === undefined || text === '' ? '' : (JSON.parse(text) as unknown);
  } catch {
    // Not JSON: compared as text.
  }
  return {
    port: Number(port === '' ? 80 : port),
    method: request.method,
    path: pathname + search,
    headers: Object.entries(headers),
    body,
  };
}

const json = { 'content-type': 'application/json' };
const chunk =
  'data: {"id":"chatcmpl-123","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n';
const usage =
  'data: {"id":"chatcmpl-123","object":"chat.completion.chunk","model":"m","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}\n\n';

/** Where the observer had nobody listening, or no such name. */
function isNowhere(url: string): boolean {
  const { port, hostname } = new URL(url);
  return port === '19999' || hostname.endsWith('.invalid');
}

/** The upstream of the observations: it does what the header `x-fake-mode` says, for each of its ports. */
function scriptOf(): Script {
  let asked = 0;
  return (sent) => {
    asked++;
    const { port } = new URL(sent.url);
    if (isNowhere(sent.url)) return new GatewayError('upstream_refused', 'nobody listens there');
    const modes = sent.headers['x-fake-mode'] ?? 'ok';
    const mode = modes.startsWith('port')
      ? (modes.split(';').find((one) => one.startsWith(`port${port}=`)) ?? 'x=ok')
      : `x=${modes}`;
    return answerOf(mode.slice(mode.indexOf('=') + 1), asked, sent);
  };
}

function answerOf(mode: string, asked: number, sent: Sent): Answer | GatewayError | 'never' {
  const [kind = 'ok', first = '', second = ''] = mode.split(':');
  const isStream = sent.text?.includes('"stream":true') === true;
  switch (kind) {
    case 'status':
      return { status: Number(first), headers: json, body: `{"error":{"message":"fake ${first}","type":"fake_error"}}` };
    case 'flaky':
      return asked <= Number(first)
        ? { status: Number(second), headers: json, body: '{"error":{"message":"flaky"}}' }
        : good(isStream);
    case 'notfound':
      return {
        status: 404,
        headers: json,
        body: '{"error":{"message":"model \\"nope\\" not found, try pulling it first","type":"not_found_error"}}',
      };
    case 'statushtml':
      return { status: Number(first), headers: { 'content-type': 'text/html' }, body: `<html>fake ${first}</html>` };
    case 'closenow':
      return new GatewayError('upstream_closed', 'the connection closed before an answer began');
    case 'badjson':
      return { headers: json, body: '{broken' };
    case 'html200':
      return { headers: { 'content-type': 'text/html' }, body: '<html>hello</html>' };
    case 'midclose':
      return { headers: { 'content-type': 'text/event-stream' }, body: [chunk], ends: 'broken' };
    case 'midstall':
      return good(true);
    case 'slow':
      return Number(first) > 1 ? 'never' : good(isStream);
    default:
      return good(isStream);
  }
}

function good(isStream: boolean): Answer {
  if (isStream) return { headers: { 'content-type': 'text/event-stream' }, body: [chunk, usage, 'data: [DONE]\n\n'] };
  return {
    headers: json,
    body: '{"id":"chatcmpl-123","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello from upstream"},"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}',
  };
}

/** Bytes are written down as base64. */
function bodyOf(body: unknown): object | string {
  if (typeof body !== 'string' || !body.startsWith('base64:')) return body as object | string;
  return Buffer.from(body.slice('base64:'.length), 'base64');
}

/** Plays one step; time passes until it has an answer. */
async function play(stage: Stage, { request }: Step): Promise<string> {
  const before = stage.sent.length;
  const isEmpty = request.body === null || request.body === undefined || request.body === '';
  const body = isEmpty ? {} : { body: bodyOf(request.body) };
  const headers: Record<string, string> = isEmpty ? {} : { 'content-type': 'application/json' };
  stage.script = scriptOf();
  for (const [name, value] of request.headers) headers[name.toLowerCase()] = value;
  let status: number | undefined;
  const asking = stage
    .read(request.path, { method: request.method, headers, host: request.host, port: request.port, ...body })
    .then(
      (answer) => {
        status = answer.status;
      },
      (thrown: unknown) => {
        // A cut answer: the status was there before.
        status = stage.told.at(-1)?.exchange.status ?? -1;
        if (!(thrown instanceof Error && thrown.message === 'cut')) throw thrown;
      },
    );
  // Hashes and signatures are checked beside the event loop: it is asked often before time is moved on.
  for (let step = 0; step < 120 && status === undefined; step++) {
    for (let turn = 0; turn < 5 && status === undefined; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
    if (status === undefined) await stage.clock.advance(250);
  }
  if (status === undefined) throw new Error('no answer within 30 s');
  await asking;
  return seenText(
    status,
    stage.sent
      .slice(before)
      .filter(({ url }) => !isNowhere(url))
      .map(sentAs),
  );
}

/** When the observations were made: the tokens in them run out. */
const observedMs = 1_795_370_455_000;

/** The one file that a case names holds what another has inline. */
function passwords(): string {
  const { config } = JSON.parse(readFileSync(new URL('basicauth-strict.json', folder), 'utf8')) as Case;
  const found = /htpasswd: *\|?\n?([\s\S]*?)(?:\n {6}backends|$)/.exec(config)?.[1] ?? '';
  return found.replace(/^\s+/gm, '').replaceAll('$$', '$');
}

async function differencesOf({ config, steps = [], startup, started }: Case): Promise<ReadonlyMap<string, string>> {
  const starts = startup?.started ?? started ?? true;
  let stage: Stage;
  try {
    stage = createStage(config, {
      script: scriptOf(),
      env: { HOME: '/home/x', MY_MODEL: 'from-env' },
      // Who may come in without a key is a difference of its own, in docs/differences.md; here everybody may.
      allowAnonymous: true,
      allowedHosts: [...new Set(steps.map(({ request }) => request.host?.replace(/:\d+$/, '').toLowerCase() ?? ''))],
      wallTimeMs: observedMs,
      readFile: () => passwords(),
    });
  } catch (thrown) {
    return new Map(starts ? [['start', String(thrown).slice(0, 300)]] : []);
  }
  if (!starts) return new Map([['start', 'it starts']]);
  const found = new Map<string, string>();
  for (const [index, step] of steps.entries()) {
    if (step.request.raw !== undefined || step.response === null || !step.request.path.startsWith('/')) continue;
    const expected = seenText(step.response.status, step.upstream ?? []);
    let actual: string;
    try {
      actual = await play(stage, step);
    } catch (thrown) {
      actual = String(thrown);
    }
    if (actual !== expected)
      found.set(String(index), `${step.request.method} ${step.request.path}\n  theirs ${expected}\n  ours   ${actual}`);
  }
  return found;
}

describe.skipIf(!hasCases)("agentgateway's own behaviour", () => {
  test.each(hasCases ? cases().map((one) => [one.name, one] as const) : [])('%s', async (name, one) => {
    const found = await differencesOf(one);
    const explained = new Map(
      (differences[name] ?? []).flatMap(({ reason, steps }) => steps.map((step) => [String(step), reason] as const)),
    );
    expect([...found].filter(([step]) => !explained.has(step))).toEqual([]);
    // What is said to differ does differ.
    expect([...explained].filter(([step]) => !found.has(step))).toEqual([]);
  });
});

if (!hasCases)
  test.skip("SKIPPED: ../shared/agentgateway-behaviour is not here, so nothing was compared with agentgateway's own behaviour", () =>
    undefined);
