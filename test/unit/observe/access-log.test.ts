import { describe, expect, test } from 'vitest';
import { compileCel } from '../../../src/cel/compile-cel.ts';
import { GatewayError } from '../../../src/errors.ts';
import type { Call, Exchange, Protocol } from '../../../src/exchange.ts';
import { readObject } from '../../../src/json/read-object.ts';
import { createAccessLog, type LogSetting } from '../../../src/observe/access-log.ts';
import { ollamaChat } from '../../../src/protocols/ollama-chat.ts';
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

function callOf(body: object, protocol: Protocol = openaiChat): Call {
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  const read = readObject(bytes);
  return { protocol, body: read, bytes, model: undefined, ...protocol.readCall(read), boxWarnings: [] };
}

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
      call: callOf({ model: 'llama3.2', stream: true, temperature: 0.5 }),
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
  ' corral.usage.estimated=true agw.ai.time_to_first_token=0.2506 agw.ai.time_per_output_token=0.19676 gen_ai.request.temperature=0.5 corral.box=box retry.attempt=1 corral.key=alice' +
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
  'agw.ai.time_to_first_token': 0.2506,
  'agw.ai.time_per_output_token': 0.19676,
  'gen_ai.request.temperature': 0.5,
  'corral.box': 'box',
  'retry.attempt': 1,
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
      exchangeWith({
        protocol: openaiChat,
        call: callOf({ stream: true }),
        usage: { inputTokens: 0, outputTokens: 0, estimated: false },
        firstByteMs: 0,
      }),
    );
    expect(line).toContain('gen_ai.usage.input_tokens=0 gen_ai.usage.output_tokens=0 agw.ai.time_to_first_token=0');
    expect(line).not.toContain('estimated');
  });

  test('a protocol that runs no model has no operation; a host is no provider of models', () => {
    const probe = lineOf(exchangeWith({ protocol: ollamaRoot, attempts: [tried] }));
    expect(probe).toContain('protocol=llm gen_ai.provider.name=ollama');
    expect(probe).not.toContain('operation');
    const other = lineOf(exchangeWith({ protocol: openaiChat, attempts: [{ ...tried, isOllama: false }] }));
    expect(other).toContain('gen_ai.provider.name=openai');
    const host = lineOf(exchangeWith({ attempts: [{ ...tried, upstream: { ...box, kind: 'host' } }] }));
    expect(host).toContain('endpoint=box.lan:11434');
    expect(host).not.toContain('gen_ai');
    expect(host).not.toContain('retry.attempt');
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

describe('what the configuration asks for', () => {
  function linesOf(setting: Partial<LogSetting>, exchange: Exchange): string[] {
    const lines: string[] = [];
    createAccessLog({ format: 'json', ...setting, print: (line) => lines.push(line) })(exchange, 1_000);
    return lines;
  }
  const told = (setting: Partial<LogSetting>, exchange: Exchange) => JSON.parse(linesOf(setting, exchange)[0] ?? '{}');
  const added = (fields: Record<string, string>) =>
    Object.entries(fields).map(([name, source]) => ({ name, value: compileCel(source) }));

  test('a filter: what it is true for is logged; what it fails for is not', () => {
    const setting = { filter: compileCel('response.code >= 500') };
    expect(linesOf(setting, exchangeWith({ status: 500 }))).toHaveLength(1);
    expect(linesOf(setting, exchangeWith({ status: 499 }))).toHaveLength(0);
    expect(linesOf({ filter: compileCel('jwt.sub == "x"') }, exchangeWith({ status: 500 }))).toHaveLength(0);
  });

  test('added fields: at the end, typed; those that fail are left out; one of an own name replaces it', () => {
    const exchange = exchangeWith({
      status: 200,
      usage: { inputTokens: 3, outputTokens: 4, estimated: false },
      call: callOf({}),
    });
    const line = told(
      {
        added: added({
          sum: 'llm.totalTokens',
          'is.get': 'request.method == "GET"',
          nope: 'jwt.sub',
          'http.path': '"/x"',
          list: '[1, "a"]',
        }),
      },
      exchange,
    );
    expect(line).toMatchObject({ sum: 7, 'is.get': true, 'http.path': '/x', list: '[1,"a"]' });
    expect(line).not.toHaveProperty('nope');
    expect(Object.keys(line).slice(-5)).toEqual(['duration', 'sum', 'is.get', 'http.path', 'list']);
  });

  test('removed fields', () => {
    const line = told({ removed: ['http.host', 'duration'] }, exchangeWith({ status: 200 }));
    expect(line).not.toHaveProperty('http.host');
    expect(line).not.toHaveProperty('duration');
    expect(line).toHaveProperty(['http.method']);
  });

  test('credentials of the request stand in no added field, nor do headers that are named', () => {
    const exchange = exchangeWith(
      { status: 200 },
      { headers: { authorization: 'Bearer sk-secret', 'x-mine': 'hidden', 'x-open': 'seen' } },
    );
    const setting = {
      added: added({
        a: 'request.headers["authorization"]',
        b: '"key " + request.headers["authorization"].substring(7)',
        c: 'request.headers["x-mine"]',
        d: 'request.headers["x-open"]',
      }),
      sensitiveHeaders: ['x-mine'],
    };
    const [line = ''] = linesOf(setting, exchange);
    expect(JSON.parse(line)).toMatchObject({ a: '<redacted>', b: 'key <redacted>', c: '<redacted>', d: 'seen' });
    expect(line).not.toMatch(/sk-secret|hidden/);
  });

  test('who is asking: said by a trusted client, or as the configuration tells it', () => {
    const said = { user: { id: 'u7', email: 'u@example.com' } };
    expect(told({}, exchangeWith({ claims: said }))).toMatchObject({ 'agentgateway.user': 'u7' });
    expect(told({}, exchangeWith({ claims: { user: { email: 'u@example.com' } } }))).toMatchObject({
      'agentgateway.user': 'u@example.com',
    });
    const standard = { user: compileCel('user.email'), group: compileCel('"staff"') };
    expect(told({ standard }, exchangeWith({ claims: said }))).toMatchObject({
      'agentgateway.user': 'u@example.com',
      'agentgateway.group': 'staff',
    });
    expect(told({}, exchangeWith({}))).not.toHaveProperty('agentgateway.user');
    expect(told({}, exchangeWith({ claims: { jwt: { sub: 'j1' } } }))).toMatchObject({ 'jwt.sub': 'j1' });
  });

  test('parameters, by each API’s own names', () => {
    const parametersOf = (call: Call) =>
      Object.fromEntries(
        Object.entries(told({}, exchangeWith({ protocol: call.protocol, call }))).filter(([name]) =>
          /request\.|dimension/.test(name),
        ),
      );
    const sent = { temperature: 0, top_p: 0.9, max_completion_tokens: 7, frequency_penalty: 1, presence_penalty: -1, seed: 42 };
    expect(parametersOf(callOf(sent))).toEqual({
      'gen_ai.request.temperature': 0,
      'gen_ai.request.top_p': 0.9,
      'gen_ai.request.max_tokens': 7,
      'gen_ai.request.frequency_penalty': 1,
      'gen_ai.request.presence_penalty': -1,
      'gen_ai.request.seed': 42,
    });
    expect(parametersOf(callOf({ options: { num_predict: 9, temperature: 0.3 } }, ollamaChat))).toEqual({
      'gen_ai.request.temperature': 0.3,
      'gen_ai.request.max_tokens': 9,
    });
    expect(parametersOf(callOf({ temperature: 'x'.repeat(200), seed: [1] }))).toEqual({
      'gen_ai.request.temperature': 'x'.repeat(64),
    });
  });

  test('cached and thought tokens, in agentgateway’s order', () => {
    const usage = {
      inputTokens: 9,
      outputTokens: 5,
      cachedInputTokens: 4,
      cacheCreationInputTokens: 2,
      reasoningTokens: 3,
      estimated: false,
    };
    const line = told({}, exchangeWith({ protocol: openaiChat, usage }));
    expect(Object.entries(line).filter(([name]) => name.includes('usage'))).toEqual([
      ['gen_ai.usage.input_tokens', 9],
      ['gen_ai.usage.cache_creation.input_tokens', 2],
      ['gen_ai.usage.cache_read.input_tokens', 4],
      ['gen_ai.usage.output_tokens', 5],
      ['gen_ai.usage.reasoning_tokens', 3],
    ]);
  });

  test('the trace, where there is one', () => {
    const trace = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), isSampled: true, headersOut: () => ({}) };
    expect(told({}, exchangeWith({ trace }))).toMatchObject({ 'trace.id': 'a'.repeat(32), 'span.id': 'b'.repeat(16) });
  });
});

describe('why another server has not decided', () => {
  const withError = (error: GatewayError) => lineOf(exchangeWith({ error, status: error.status }));
  const unreachable = new GatewayError('upstream_refused', 'connection refused');

  test('is told here, as clients hear no more than that it failed', () => {
    const failed = new GatewayError('guard_failed', 'prompt guard failed', { cause: unreachable });
    expect(withError(failed)).toContain(' error="prompt guard failed" corral.cause="connection refused" reason=guard_failed');
    const denied = new GatewayError('ext_authz_denied', 'failed', { cause: new Error('authz.lan:1 has not decided') });
    expect(withError(denied)).toContain(' corral.cause="authz.lan:1 has not decided" ');
  });

  test('never holds what others have written', () => {
    const wrong = new GatewayError('guard_failed', 'prompt guard failed', { cause: new SyntaxError('"my secret" is not JSON') });
    expect(withError(wrong)).not.toContain('secret');
    expect(withError(new GatewayError('internal', 'x', { cause: new Error('own') }))).not.toContain('corral.cause');
  });
});
