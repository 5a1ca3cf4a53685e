import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import type { Exchange } from '../../../src/exchange.ts';
import { createAccessLog } from '../../../src/observe/access-log.ts';
import { ollamaRoot } from '../../../src/protocols/ollama-probes.ts';
import { openaiChat } from '../../../src/protocols/openai-chat.ts';
import { createStage } from '../answers/stage.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';

function lineOf(exchange: Exchange, format: 'text' | 'json' = 'text', endedMs = 1_234.4): string {
  const lines: string[] = [];
  createAccessLog({ format, print: (line) => lines.push(line) })(exchange, endedMs);
  expect(lines).toHaveLength(1);
  return lines[0] ?? '';
}

function exchangeWith(given: Partial<Exchange>, request: Parameters<typeof fakeExchange>[0] = {}): Exchange {
  return Object.assign(fakeExchange(request), given);
}

const box = { name: 'box', baseUrl: 'http://box.lan:11434', kind: 'box', tls: undefined } as const;
const tried = { upstream: box, startedMs: 0, status: undefined, error: undefined };

/** Everything that a line can hold. */
function fullExchange(): Exchange {
  return exchangeWith(
    {
      gatewayName: 'bind/3000',
      listenerName: 'listener0',
      routeName: 'route0',
      protocol: openaiChat,
      attempts: [tried, tried],
      status: 502,
      requestModel: 'llama3.2',
      responseModel: 'llama3.2:latest',
      usage: { inputTokens: 3, outputTokens: 5, estimated: true },
      firstByteMs: 250.6,
      identity: { name: 'alice', isAdmin: false, allowedModels: undefined, metadata: {} },
      warnings: ['one', 'two'],
      outcome: 'broken',
      error: new GatewayError('broken_stream', 'it broke'),
    },
    { method: 'POST', path: '/v1/chat/completions?key=secret', host: 'llm.test:3000', address: '10.0.0.7' },
  );
}

const fullText =
  '2026-01-01T00:00:00.000Z\tinfo\trequest gateway=bind/3000 listener=listener0 route=route0 endpoint=box.lan:11434' +
  ' src.addr=10.0.0.7 http.method=POST http.host=llm.test http.path=/v1/chat/completions http.status=502 protocol=llm' +
  ' gen_ai.operation.name=chat gen_ai.provider.name=ollama gen_ai.request.model=llama3.2' +
  ' gen_ai.response.model=llama3.2:latest gen_ai.usage.input_tokens=3 gen_ai.usage.output_tokens=5' +
  ' corral.usage.estimated=true agw.ai.time_to_first_token=251ms corral.box=box corral.attempts=2 corral.key=alice' +
  ' corral.warning="one; two" corral.outcome=broken error="it broke" reason=broken_stream duration=1234ms';

const fullJson = {
  level: 'info',
  time: '2026-01-01T00:00:00.000Z',
  scope: 'request',
  gateway: 'bind/3000',
  listener: 'listener0',
  route: 'route0',
  endpoint: 'box.lan:11434',
  'src.addr': '10.0.0.7',
  'http.method': 'POST',
  'http.host': 'llm.test',
  'http.path': '/v1/chat/completions',
  'http.status': 502,
  protocol: 'llm',
  'gen_ai.operation.name': 'chat',
  'gen_ai.provider.name': 'ollama',
  'gen_ai.request.model': 'llama3.2',
  'gen_ai.response.model': 'llama3.2:latest',
  'gen_ai.usage.input_tokens': 3,
  'gen_ai.usage.output_tokens': 5,
  'corral.usage.estimated': true,
  'agw.ai.time_to_first_token': '251ms',
  'corral.box': 'box',
  'corral.attempts': 2,
  'corral.key': 'alice',
  'corral.warning': 'one; two',
  'corral.outcome': 'broken',
  error: 'it broke',
  reason: 'broken_stream',
  duration: '1234ms',
};

describe('a line', () => {
  test('as text', () => {
    expect(lineOf(fullExchange())).toBe(fullText);
  });

  test('as JSON, in the same order', () => {
    const line = lineOf(fullExchange(), 'json');
    expect(JSON.parse(line)).toEqual(fullJson);
    expect(Object.keys(JSON.parse(line))).toEqual(Object.keys(fullJson));
    expect(line).not.toContain('\n');
  });

  test('what is not known is left out', () => {
    const bare = exchangeWith({ status: 404, outcome: 'refused' }, { host: '', address: null, path: '/x' });
    expect(lineOf(bare, 'text', 0)).toBe(
      '2026-01-01T00:00:00.000Z\tinfo\trequest http.method=GET http.path=/x http.status=404 protocol=http corral.outcome=refused duration=0ms',
    );
    expect(JSON.parse(lineOf(bare, 'json', 0))).toEqual({
      level: 'info',
      time: '2026-01-01T00:00:00.000Z',
      scope: 'request',
      'http.method': 'GET',
      'http.path': '/x',
      'http.status': 404,
      protocol: 'http',
      'corral.outcome': 'refused',
      duration: '0ms',
    });
  });

  test('zero is something known', () => {
    const line = lineOf(
      exchangeWith({ protocol: openaiChat, usage: { inputTokens: 0, outputTokens: 0, estimated: false }, firstByteMs: 0 }),
    );
    expect(line).toContain('gen_ai.usage.input_tokens=0 gen_ai.usage.output_tokens=0 agw.ai.time_to_first_token=0ms');
    expect(line).not.toContain('estimated');
  });

  test('a protocol that runs no model has no operation; a host is no provider of models', () => {
    const probe = lineOf(exchangeWith({ protocol: ollamaRoot, attempts: [tried] }));
    expect(probe).toContain('protocol=llm gen_ai.provider.name=ollama');
    expect(probe).not.toContain('operation');
    const host = lineOf(exchangeWith({ attempts: [{ ...tried, upstream: { ...box, kind: 'host' } }] }));
    expect(host).toContain('endpoint=box.lan:11434');
    expect(host).not.toContain('gen_ai');
    expect(host).not.toContain('corral.attempts');
  });

  test('the time is that of the line, not of a line before', () => {
    const first = exchangeWith({});
    const later = exchangeWith({ clock: { ...first.clock, wallTime: () => Date.UTC(2027, 4, 6, 7, 8, 9, 10) } });
    expect(lineOf(first)).toMatch(/^2026-01-01T00:00:00\.000Z\t/);
    expect(lineOf(later)).toMatch(/^2027-05-06T07:08:09\.010Z\t/);
    expect(lineOf(first)).toMatch(/^2026-01-01T00:00:00\.000Z\t/);
  });
});

describe('values that could be mistaken', () => {
  const shown = (requestModel: string) => {
    const line = lineOf(exchangeWith({ protocol: openaiChat, requestModel }));
    return /gen_ai\.request\.model=(.*) corral|gen_ai\.request\.model=(.*) duration/.exec(line)?.slice(1).find(Boolean);
  };

  test.each([
    ['llama3.2:1b', 'llama3.2:1b'],
    ['acme/gemma-3_x', 'acme/gemma-3_x'],
    ['two words', '"two words"'],
    ['a=b', '"a=b"'],
    ['say "hi"', '"say \\"hi\\""'],
    ['back\\slash', 'back\\slash'],
    ['größe', '"größe"'],
  ])('%s', (given, expected) => {
    expect(shown(given)).toBe(expected);
  });

  test.each([
    ['line\nfeed', 'line\\nfeed'],
    ['carriage\rreturn', 'carriage\\rreturn'],
    ['tab\tstop', 'tab\\tstop'],
    ['null\u0000', 'null\\u0000'],
    ['escape\u001b[31m', 'escape\\u001b[31m'],
    ['delete\u007f', 'delete\\u007f'],
    ['next line\u0085', 'next line\\u0085'],
    ['csi\u009b31m', 'csi\\u009b31m'],
    ['first c1\u0080', 'first c1\\u0080'],
    ['line separator\u2028', 'line separator\\u2028'],
    ['paragraph separator\u2029', 'paragraph separator\\u2029'],
    ['override\u202e', 'override\\u202e'],
    ['isolate\u2066', 'isolate\\u2066'],
  ])('%j reaches no terminal', (given, expected) => {
    expect(shown(given)).toBe(`"${expected}"`);
    const line = lineOf(exchangeWith({ protocol: openaiChat, requestModel: given }), 'json');
    expect(line).toContain(`"gen_ai.request.model":"${expected}"`);
    expect(JSON.parse(line)['gen_ai.request.model']).toBe(given);
  });

  test('a client cannot write a field of its own', () => {
    const line = lineOf(exchangeWith({ protocol: openaiChat, requestModel: 'x http.status=200\n2026 info request' }));
    expect(line.split('\n')).toHaveLength(1);
    expect(line).toContain('gen_ai.request.model="x http.status=200\\n2026 info request"');
  });
});

test.each(['text', 'json'] as const)('no prompt, no credential, no query (%s)', async (format) => {
  const stage = createStage(
    `binds: [{ port: 3000, listeners: [{ policies: { apiKey: { keys: [{ key: sk-secret, metadata: { user: alice } }] } }, routes: [{ backends: [{ ai: { name: a, hostOverride: "a:1", provider: { openAI: {} } } }] }] }] }]`,
    {
      script: () => ({
        headers: { 'content-type': 'application/json' },
        body: '{"choices":[{"message":{"content":"the answer"}}]}',
      }),
    },
  );
  await stage.read('/v1/chat/completions?key=sk-query', {
    body: { model: 'm', messages: [{ role: 'user', content: 'the prompt' }] },
    headers: { authorization: 'Bearer sk-secret', cookie: 'session=sk-cookie' },
  });
  await stage.read('/v1/chat/completions', { body: { messages: [] }, headers: { 'x-api-key': 'sk-wrong' } });
  const lines = stage.told.map(({ exchange, endedMs }) => lineOf(exchange, format, endedMs)).join('\n');
  expect(lines).toContain('alice');
  for (const secret of ['sk-', 'the prompt', 'the answer', 'session', 'Bearer s']) expect(lines).not.toContain(secret);
});
