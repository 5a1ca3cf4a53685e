/** Policies made of expressions, in a whole gateway. */
import { describe, expect, test } from 'vitest';
import { box, boxes, chat, json, stageOf } from './words.ts';

const host = `{ host: "up:1" }`;
const answer = { up: { status: 201, headers: { 'content-type': 'text/plain', 'x-up': '1' }, body: ['one ', 'two'] } };

describe('transformations', () => {
  test('on a listener change what routes match; on a route what is sent, on both the answer', async () => {
    const yaml = `
binds:
  - port: 3000
    listeners:
      - policies:
          transformations:
            request: { set: { ":path": '"/inner" + request.path', ":method": '"PUT"', "x-l": '"l"' } }
            response: { set: { x-from: '"listener sees " + response.headers["x-from"]' } }
        routes:
          - matches: [{ path: { pathPrefix: /inner }, method: PUT }]
            policies:
              transformations:
                request: { set: { x-r: 'request.path + request.headers["x-l"]' }, body: '"<" + string(request.body) + ">"' }
                response: { set: { x-from: '"route"', ":status": "202" }, body: 'string(response.body) + string(response.code)' }
            backends: [${host}]
`;
    const stage = stageOf(yaml, answer);
    const before = stage.budgetLeft();
    const { status, headers, text } = await stage.read('/a?b=1', { body: 'hi' });
    expect([status, headers.get('x-from'), text]).toEqual([202, 'listener sees route', 'one two201']);
    const [sent] = stage.sent;
    expect([sent?.request.method, sent?.url, sent?.headers['x-r'], sent?.text]).toEqual([
      'PUT',
      'http://up:1/inner/a',
      '/inner/al',
      '<hi>',
    ]);
    expect(stage.told.map(({ exchange }) => [exchange.status, exchange.outcome])).toEqual([[202, 'completed']]);
    expect(stage.budgetLeft()).toBe(before);
  });

  test('of a streamed answer: tokens are still counted, and the answer comes in one piece', async () => {
    const events = [
      'data: {"choices":[{"delta":{"content":"Hi"}}]}\n\n',
      'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n',
      'data: [DONE]\n\n',
    ];
    const stage = stageOf(
      boxes([box('a')], { route: `{ transformations: { response: { body: 'string(response.body).replace("Hi", "Ho")' } } }` }),
      { a: { headers: { 'content-type': 'text/event-stream' }, body: events } },
    );
    const { text } = await stage.read('/v1/chat/completions', chat('m', { stream: true }));
    expect(text).toContain('"content":"Ho"');
    expect(stage.told[0]?.exchange.usage).toMatchObject({ inputTokens: 3, outputTokens: 1 });
    expect(stage.told).toHaveLength(1);
  });

  test('on a backend: whole bodies and streams of the upstream, and requests that would stream through', async () => {
    const policies = `policies: { transformations: { request: { set: { x-n: 'string(request.body.size())', ":authority": '"backend.example"' } }, response: { body: 'string(response.body).upperAscii()', set: { ":status": "203" } } } }`;
    const stage = stageOf(boxes([host.replace('{', `{ ${policies},`)]), answer);
    const { status, text } = await stage.read('/x', { body: 'four' });
    expect([status, text]).toEqual([203, 'ONE TWO']);
    expect([stage.sent[0]?.headers['x-n'], stage.sent[0]?.headers.host, stage.sent[0]?.text]).toEqual([
      '4',
      'backend.example',
      'four',
    ]);
  });

  test('of the authority are what routes match and what upstreams see', async () => {
    const set = (value: string) => `{ transformations: { request: { set: { ":authority": '${value}' } } } }`;
    const plain = stageOf(boxes([host], { listener: set('"localhost:1"'), route: set('"route." + request.host') }), answer);
    await plain.read('/x');
    expect(plain.sent[0]?.headers.host).toBe('route.localhost');
    // What the client really asked for decides whether a route without a lock is open to it.
    expect((await plain.read('/x', { host: 'evil.example' })).status).toBe(403);
    const untouched = stageOf(boxes([host]), answer);
    await untouched.read('/x');
    expect(untouched.sent[0]?.headers.host).toBeUndefined();
  });
});

describe('authorization', () => {
  test('adds up over listener, route and backend, and is answered in the protocol’s shape', async () => {
    const rule = (text: string) => `{ authorization: { rules: [ { require: '${text}' } ] } }`;
    const yaml = boxes([box('a').replace('{ ai', `{ policies: ${rule('llm.requestModel != "large"')}, ai`)], {
      listener: rule('request.headers["x-a"] == "1"'),
      route: rule('json(request.body).model != "huge"'),
    });
    const stage = stageOf(yaml, { a: json({ choices: [] }) });
    const statusOf = async (model: string, headers: Record<string, string> = { 'x-a': '1' }) => {
      const { status, text } = await stage.read('/v1/chat/completions', { ...chat(model), headers });
      return `${status} ${status === 200 ? '' : (JSON.parse(text) as { error: { message: string } }).error.message}`;
    };
    expect(await statusOf('small')).toBe('200 ');
    expect(await statusOf('small', {})).toBe('403 authorization failed');
    expect(await statusOf('huge')).toBe('403 authorization failed');
    expect(await statusOf('large')).toBe('403 authorization failed');
    expect(stage.sent).toHaveLength(1);
  });
});

describe('authorization of one model', () => {
  test('holds for that model alone, also behind a virtual one', async () => {
    const yaml = `
llm:
  port: 3000
  models:
    - name: open
      provider: ollama
      params: { baseUrl: "http://a:11434/v1" }
    - name: closed
      provider: ollama
      params: { baseUrl: "http://a:11434/v1" }
      authorization: { rules: ['request.headers["x-a"] == llm.requestModel'] }
  virtualModels:
    - name: either
      routing: { failover: { targets: [{ model: closed, priority: 0 }] } }
`;
    const stage = stageOf(yaml, { a: json({ choices: [] }) });
    const statusOf = async (model: string, as = '') =>
      (await stage.read('/v1/chat/completions', { ...chat(model), headers: { 'x-a': as } })).status;
    expect(await statusOf('open')).toBe(200);
    expect(await statusOf('closed')).toBe(403);
    expect(await statusOf('either')).toBe(403);
    expect(await statusOf('closed', 'closed')).toBe(200);
  });
});

describe('networkAuthorization', () => {
  const yaml = (rule: string) => `${boxes([host])}\nfrontendPolicies: { networkAuthorization: { rules: [ ${rule} ] } }`;

  test('refuses before anything else is looked at', async () => {
    const stage = stageOf(yaml(`{ deny: 'source.address == "127.0.0.1"' }`), answer);
    const { status, text } = await stage.read('/x', { host: 'nobody.example' });
    expect([status, text]).toEqual([403, 'authorization failed']);
    expect(stage.told[0]?.exchange.error?.code).toBe('network_refused');
    expect(stage.sent).toEqual([]);
  });

  test('lets others pass', async () => {
    const stage = stageOf(yaml(`'cidr("127.0.0.0/8").containsIP(source.address)'`), answer);
    expect((await stage.read('/x')).status).toBe(201);
    expect(stage.plan.warnings).toEqual([]);
  });
});
