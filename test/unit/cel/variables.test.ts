import { describe, expect, it } from 'vitest';
import { compileCel } from '../../../src/cel/compile-cel.ts';
import type { CelExtras } from '../../../src/cel/expression.ts';
import { readObject } from '../../../src/json/read-object.ts';
import { sceneOf } from './scene.ts';

async function values(sources: readonly string[], extras?: CelExtras): Promise<unknown[]> {
  const exchange = await sceneOf();
  return sources.map((source) => {
    const value = compileCel(source).evaluate(exchange, extras);
    return value instanceof Date ? value.toISOString() : value;
  });
}

describe('request', () => {
  it('is the request as the policies see it', async () => {
    const names = ['method', 'uri', 'host', 'scheme', 'path', 'pathAndQuery', 'version', 'startTime'];
    expect(await values(names.map((name) => `request.${name}`))).toEqual([
      'POST',
      'http://API.example:3000/v1/chat?a=1&a=2&b=x+y',
      'api.example',
      'http',
      '/v1/chat',
      '/v1/chat?a=1&a=2&b=x+y',
      'HTTP/1.1',
      '2026-01-01T00:00:00.000Z',
    ]);
  });

  it('follows what a policy has changed', async () => {
    const exchange = await sceneOf({ path: '/other', query: '', method: 'PUT', headers: new Headers({ 'x-new': '1' }) });
    const sources = ['request.pathAndQuery', 'request.method', 'request.headers["x-new"]', 'has(request.headers.cookie)'];
    expect(sources.map((source) => compileCel(source).evaluate(exchange))).toEqual(['/other', 'PUT', '1', false]);
  });

  it('has its end only when it is over', async () => {
    const exchange = await sceneOf();
    expect(compileCel('has(request.endTime)').evaluate(exchange)).toBe(false);
    exchange.outcome = 'completed';
    expect(compileCel('request.endTime >= request.startTime').evaluate(exchange)).toBe(true);
  });

  it('has headers in any case, and looks into cookies', async () => {
    expect(
      await values([
        'request.headers["X-ENV"]',
        'request.headers["x-env"]',
        '"X-Env" in request.headers',
        '"x-none" in request.headers',
        'has(request.headers.accept)',
        'request.headers.exists(name, name == "x-env")',
        'request.headers.cookie("session")',
        'request.headers.split().accept',
        'request.headers.raw().accept',
        'request.headers.join().accept',
        'request.headers.redacted().authorization',
        'request.headers.redacted().split()["x-env"]',
      ]),
    ).toEqual(['internal', 'internal', true, false, true, true, 'q=1', ['a', 'b'], ['a, b'], 'a, b', '<redacted>', ['internal']]);
  });

  it('has its body as bytes, and the start of it', async () => {
    expect(await values(['json(request.body).model', 'request.body.size() == request.bodyPrefix.size()'])).toEqual([
      'llama3.2',
      true,
    ]);
  });
});

describe('numbers', () => {
  it('of JSON and of claims add up', async () => {
    expect(
      await values([
        'json(request.body).n + 1',
        'json(request.body).n * json(request.body).half',
        'json(request.body).half + 1',
        'json(request.body).list.map(x, x * 2)',
        'json(request.body).list[1]',
        'apiKey.level + 1',
        'apiKey.level > 2 && apiKey.level < 3.5 && apiKey.level == 3.0',
        'jwt.exp > 1600000000',
        'jwt.score * 2',
        '1 / 2 + 0.5',
      ]),
    ).toEqual([3n, 1, 1.5, [2n, 4n, 6n], 2n, 4n, true, true, 3, 0.5]);
  });
});

describe('who is asking', () => {
  it('is told by key, token, password and user', async () => {
    expect(
      await values([
        'apiKey.user',
        '"dev" in apiKey.groups',
        'apiKey.groups.contains("none")',
        'jwt.sub',
        '"admin" in jwt.roles',
        'jwt.rawToken.unredacted()',
        'basicAuth.username',
        'user.id + user.email',
        'has(user.name)',
        'source.address',
        'cidr("10.0.0.0/8").containsIP(source.address)',
      ]),
    ).toEqual(['bob', true, false, 'alice', true, 'a.b.c', 'carol', 'u1u@example.com', false, '10.1.2.3', true]);
  });

  it('is left as it was for whoever else reads it', async () => {
    const exchange = await sceneOf();
    compileCel('apiKey.merge({"level": 4}).level').evaluate(exchange);
    compileCel('apiKey.level + 1').evaluate(exchange);
    expect(exchange.identity?.metadata).toEqual({ user: 'bob', groups: ['dev', 'ops'], level: 3 });
  });
});

describe('the rest', () => {
  it('is told where it is there', async () => {
    const exchange = await sceneOf({ gatewayName: 'g', listenerName: 'l', routeName: 'r', metadata: { tier: 'gold', n: 1 } });
    const sources = ['proxy.bind', 'proxy.gateway.name', 'proxy.listener.name', 'proxy.route.name', 'metadata.tier'];
    expect(sources.map((source) => compileCel(source).evaluate(exchange))).toEqual(['bind/3000', 'g', 'l', 'r', 'gold']);
    expect(compileCel('metadata.n + 1').evaluate(exchange)).toBe(2n);
    exchange.metadata = { ...exchange.metadata, tier: 'silver' };
    expect(compileCel('metadata.tier').evaluate(exchange)).toBe('silver');
    expect(compileCel('env.podName + "|" + string(destination.port)').evaluate(exchange)).toBe('|3000');
  });

  it('of the answer and the backend comes from outside', async () => {
    const answer = {
      status: 503,
      headers: new Headers([
        ['x-a', '1'],
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
      ]),
      body: new TextEncoder().encode('{"e":1}'),
    };
    const backend = { name: 'box', type: 'ai', protocol: 'llm' };
    expect(
      await values(
        [
          'response.code + 1',
          'response.headers["X-A"]',
          'response.headers["set-cookie"]',
          'json(response.body).e',
          'backend.name',
        ],
        {
          answer,
          backend,
        },
      ),
    ).toEqual([504n, '1', ['a=1', 'b=2'], 1n, 'box']);
    await expect(values(['response.code'])).rejects.toThrow('"response" is not there');
  });
});

describe('llm', () => {
  const body = readObject(
    new TextEncoder().encode(
      '{"model":"m","system":"Be kind.","messages":[{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"image_url"},{"text":"there"}]},{"role":"assistant","content":null}],"max_completion_tokens":9,"options":{"seed":4}}',
    ),
  );
  const call = { body, bytes: new TextEncoder().encode('{"model":"m"}'), model: 'm', isStream: true } as never;

  it('tells of the call, and of what came of it', async () => {
    const exchange = await sceneOf({
      call,
      responseModel: 'served',
      usage: { inputTokens: 10, outputTokens: 5, cachedInputTokens: 3, estimated: false },
      firstByteMs: 250,
      completion: 'Hello',
    });
    const sources = [
      'llm.streaming',
      'llm.requestModel',
      'llm.responseModel',
      'llm.inputTokens + llm.outputTokens == llm.totalTokens',
      'llm.cachedInputTokens',
      'llm.timeToFirstToken > duration("200ms") && llm.timeToFirstToken < duration("300ms")',
      'llm.completion',
      'llm.params.max_tokens',
      'llm.params.seed',
      'has(llm.params.temperature)',
      'llm.prompt.map(m, m.role + ": " + m.content)',
      'llmRequest.model',
      'has(llm.reasoningTokens)',
    ];
    expect(sources.map((source) => compileCel(source).evaluate(exchange))).toEqual([
      true,
      'm',
      'served',
      true,
      3n,
      true,
      ['Hello'],
      9n,
      4n,
      false,
      ['system: Be kind.', 'user: Hi\nthere', 'assistant: '],
      'm',
      false,
    ]);
  });

  it('is not there before a call is understood', async () => {
    const exchange = await sceneOf();
    expect(() => compileCel('llm.requestModel').evaluate(exchange)).toThrow('"llm" is not there');
    expect(compileCel('llmRequest.model').evaluate(exchange)).toBe('llama3.2');
  });
});
