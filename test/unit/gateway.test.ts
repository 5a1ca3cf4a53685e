import type { MiddlewareHandler } from 'hono';
import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../src/errors.ts';
import type { GatewayEnv } from '../../src/exchange.ts';
import { client, createStage, type Stage, type StageOptions } from './answers/stage.ts';

const json = { headers: { 'content-type': 'application/json' }, body: '{"ok":true}' };
const chat = { body: { model: 'm', messages: [] } };

function stageOf(policies: { listener?: string; route?: string; backend?: string } = {}, options: StageOptions = {}): Stage {
  const { listener = '{}', route = '{}', backend = 'host: "a:1"' } = policies;
  return createStage(
    `
binds:
  - port: 3000
    listeners:
      - hostname: localhost
        policies: ${listener}
        routes:
          - matches: [{ path: { pathPrefix: /v1 } }]
            policies: ${route}
            backends: [{ ${backend} }]
      - hostname: other.test
        routes: [{ name: elsewhere, policies: { apiKey: { keys: [{ key: k }] } }, backends: [{ host: "b:1" }] }]
  - port: 3001
    listeners: [{ name: second, routes: [] }]
`,
    { script: () => json, ...options },
  );
}

const ai = 'ai: { name: a, hostOverride: "a:1", provider: { openAI: {} } }';
const cors = 'cors: { allowOrigins: ["https://app.test"] }';
const apiKey = 'apiKey: { keys: [{ key: k, metadata: { name: alice } }] }';
const fromApp = { origin: 'https://app.test' };
const withKey = { ...fromApp, authorization: 'Bearer k' };

describe('listener and route', () => {
  test('by port and host', async () => {
    const stage = stageOf();
    await stage.read('/v1/x');
    await stage.read('/x', { host: 'other.test', headers: { authorization: 'Bearer k' } });
    expect(
      stage.told.map(({ exchange: { gatewayName, listenerName, routeName } }) => [gatewayName, listenerName, routeName]),
    ).toEqual([
      ['bind/3000', 'listener0', 'route0'],
      ['bind/3000', 'listener1', 'elsewhere'],
    ]);
  });

  test('no listener for this host, no route for this path', async () => {
    const stage = stageOf();
    const nobody = await stage.read('/v1/x', { host: 'nobody.test' });
    expect([nobody.status, nobody.text]).toEqual([404, 'listener not found']);
    const nothing = await stage.read('/x');
    expect([nothing.status, nothing.text, nothing.headers.get('content-type')]).toEqual([
      404,
      'route not found',
      'text/plain; charset=utf-8',
    ]);
    const second = await stage.read('/v1/x', { port: 3001 });
    expect([second.status, stage.told.at(-1)?.exchange.listenerName]).toEqual([404, 'second']);
  });

  test('where there is one door, it is the first bind’s', async () => {
    const stage = stageOf();
    const { status } = await stage.read('/v1/x', { client: { ...client(), port: undefined } });
    expect(status).toBe(200);
    expect(stage.told[0]?.exchange.gatewayName).toBe('bind/3000');
  });

  test('an error on a protocol’s path has its shape, although no route was found', async () => {
    const stage = stageOf();
    const { text } = await stage.read('/v1/chat/completions', { ...chat, host: 'nobody.test' });
    expect(JSON.parse(text).error).toMatchObject({ message: 'listener not found', code: 'listener_not_found' });
    const ollama = await stage.read('/api/chat', chat);
    expect(JSON.parse(ollama.text)).toEqual({ error: 'route not found' });
  });
});

describe('policies around the answer', () => {
  test('the listener’s run before a route is looked for: a 404 asks for a key and can be read by the page', async () => {
    const stage = stageOf({ listener: `{ ${cors}, ${apiKey} }` });
    const locked = await stage.read('/x', { headers: fromApp });
    expect([locked.status, locked.headers.get('access-control-allow-origin')]).toEqual([401, 'https://app.test']);
    const found = await stage.read('/x', { headers: withKey });
    expect([found.status, found.headers.get('access-control-allow-origin')]).toEqual([404, 'https://app.test']);
  });

  test('errors from everywhere inside pass through those outside', async () => {
    const stage = stageOf(
      { listener: `{ ${cors} }`, route: '{ responseHeaderModifier: { set: { x-route: "1" } } }' },
      { script: () => new GatewayError('upstream_refused', 'refused') },
    );
    const { status, headers } = await stage.read('/v1/x', { headers: fromApp });
    expect([status, headers.get('access-control-allow-origin'), headers.get('x-route')]).toEqual([503, 'https://app.test', '1']);
  });

  test('what a policy refuses is not seen by those inside', async () => {
    const stage = stageOf({ listener: `{ ${cors}, ${apiKey} }`, route: '{ responseHeaderModifier: { set: { x-route: "1" } } }' });
    const { status, headers } = await stage.read('/v1/x', { headers: fromApp });
    expect([status, headers.get('x-route'), stage.sent.length]).toEqual([401, null, 0]);
    expect(headers.get('access-control-allow-origin')).toBe('https://app.test');
  });

  test('a preflight is answered before keys are asked for, at the place where cors stands', async () => {
    const preflight = { method: 'OPTIONS', headers: { ...fromApp, 'access-control-request-method': 'POST' } };
    const outside = stageOf({ listener: `{ ${cors}, ${apiKey} }` });
    expect((await outside.read('/v1/x', preflight)).status).toBe(200);
    const inside = stageOf({ listener: `{ ${apiKey} }`, route: `{ ${cors} }` });
    expect((await inside.read('/v1/x', preflight)).status).toBe(401);
  });

  test('the route’s cors answers for its pages although the listener’s knows others', async () => {
    const stage = stageOf({ listener: '{ cors: { allowOrigins: ["https://else.test"] } }', route: `{ ${cors} }` });
    const { headers } = await stage.read('/v1/x', { headers: fromApp });
    expect(headers.get('access-control-allow-origin')).toBe('https://app.test');
  });

  test('keys of listener and route are both asked for, each in its turn', async () => {
    const stage = stageOf({ listener: `{ ${apiKey} }`, route: '{ apiKey: { keys: [{ key: r, metadata: { name: bob } }] } }' });
    expect((await stage.read('/v1/x', { headers: { authorization: 'Bearer k' } })).status).toBe(401);
    expect((await stage.read('/v1/x', { headers: { authorization: 'Bearer k', 'x-api-key': 'r' } })).status).toBe(200);
    expect(stage.told.at(-1)?.exchange.identity?.name).toBe('bob');
    expect(stage.sent[0]?.headers).not.toHaveProperty('authorization');
    expect(stage.sent[0]?.headers).not.toHaveProperty('x-api-key');
  });

  test('an error of a policy’s own making', async () => {
    const stage = stageOf({ listener: `{ ${cors} }`, route: '{ urlRewrite: { path: { prefix: / } } }', backend: ai });
    // Routes that match by a regular expression have no prefix to replace.
    const regex = createStage(
      `binds: [{ port: 3000, listeners: [{ policies: { ${cors} }, routes: [{ matches: [{ path: { regex: "/v1/.*" } }], policies: { urlRewrite: { path: { prefix: / } } }, backends: [{ ${ai} }] }] }] }]`,
    );
    expect((await stage.read('/v1/v1/models', { headers: fromApp })).status).toBe(200);
    const { status, headers, text } = await regex.read('/v1/models', { headers: fromApp });
    expect(status).toBe(500);
    expect(headers.get('access-control-allow-origin')).toBe('https://app.test');
    expect(JSON.parse(text).error.code).toBe('rewrite_failed');
  });

  test.each([
    ['of the gateway’s own', {}],
    ['on the listener', { listener: `{ ${cors} }` }],
    ['on the route', { route: `{ ${cors}, responseHeaderModifier: { set: { x-a: "1" } } }` }],
    ['on both', { listener: `{ ${cors}, ${apiKey} }`, route: '{ responseHeaderModifier: { add: { x-a: "1" } } }' }],
  ])('a relayed response is the same object at the door, policies %s', async (_where, policies) => {
    const stage = stageOf(policies);
    const headers = Object.keys(policies).length === 0 ? {} : withKey;
    const response = await stage.ask('/v1/x', { headers });
    expect(response.status).toBe(200);
    expect(response).toBe(stage.relayed[0]);
    expect(await response.text()).toBe('{"ok":true}');
  });
});

describe('a policy that changes its mind after the answer', () => {
  /** A gateway whose own answers pass one more policy, outside all others. */
  function withOuter(policy: MiddlewareHandler<GatewayEnv>): Stage {
    const stage = stageOf({ backend: ai, route: '{ responseHeaderModifier: { set: { x-inner: "1" } } }' });
    const policies = stage.plan.binds[0]?.listeners[0]?.policies ?? [];
    (policies as MiddlewareHandler<GatewayEnv>[]).unshift(policy);
    return stage;
  }

  test('its error stands alone: nothing of the answer is mixed into it', async () => {
    const stage = withOuter(async (_c, next) => {
      await next();
      throw new GatewayError('overloaded', 'too much');
    });
    const { status, headers } = await stage.read('/v1/models');
    expect([status, headers.get('x-inner')]).toEqual([503, null]);
    expect(stage.told.map(({ exchange }) => [exchange.status, exchange.error?.code])).toEqual([[503, 'overloaded']]);
  });

  test('the answer that it leaves behind is let go: its exchange ends', async () => {
    const stage = withOuter(async (_c, next) => {
      await next();
      throw new GatewayError('overloaded', 'too much');
    });
    stage.script = () => ({ headers: { 'content-type': 'text/event-stream' }, body: ['data: {}\n\n'], ends: 'silent' });
    const { status } = await stage.read('/v1/chat/completions', { body: { ...chat.body, stream: true } });
    expect([status, stage.gateway.inFlight, stage.sent[0]?.isCancelled]).toEqual([503, 0, true]);
    expect(stage.told.map(({ exchange }) => [exchange.status, exchange.error?.code])).toEqual([[503, 'overloaded']]);
  });

  test('its own answer leaves as the object that it is', async () => {
    const own = new Response('own');
    const stage = withOuter(async (_c, next) => {
      await next();
      return own;
    });
    expect(await stage.ask('/v1/models')).toBe(own);
    expect(own.headers.has('x-inner')).toBe(false);
  });
});

describe('the drain', () => {
  test('new requests are told when to come back, in their protocol; those under way finish', async () => {
    const stage = stageOf({ backend: ai });
    const response = await stage.ask('/v1/chat/completions', chat);
    stage.gateway.drain();
    const { status, headers, text } = await stage.read('/v1/chat/completions', chat);
    expect([status, headers.get('retry-after')]).toEqual([503, '5']);
    expect(JSON.parse(text).error.code).toBe('draining');
    expect(await response.text()).toBe('{"ok":true}');
  });

  test('onIdle waits for the last byte of the last answer', async () => {
    const stage = stageOf();
    const calls: string[] = [];
    stage.gateway.onIdle(() => calls.push('nothing was under way'));
    expect(calls).toEqual(['nothing was under way']);
    const first = await stage.ask('/v1/x');
    const second = await stage.ask('/v1/x');
    expect(stage.gateway.inFlight).toBe(2);
    stage.gateway.onIdle(() => calls.push('idle'));
    await first.text();
    expect([stage.gateway.inFlight, calls.length]).toEqual([1, 1]);
    await second.text();
    expect([stage.gateway.inFlight, calls]).toEqual([0, ['nothing was under way', 'idle']]);
    await stage.read('/v1/x');
    expect(calls).toHaveLength(2);
  });
});

describe('every exchange is closed exactly once', () => {
  const outcomesOf = (stage: Stage) => stage.told.map(({ exchange: { outcome, status } }) => [outcome, status]);

  test('an error before any route', async () => {
    const stage = stageOf();
    await stage.read('/x');
    expect(outcomesOf(stage)).toEqual([['refused', 404]]);
  });

  test('an answer of the gateway’s own', async () => {
    const stage = stageOf({ backend: ai });
    await stage.read('/v1/models');
    expect(outcomesOf(stage)).toEqual([['completed', 200]]);
  });

  test('an upstream that failed', async () => {
    const stage = stageOf({}, { script: () => new GatewayError('upstream_refused', 'refused') });
    await stage.read('/v1/x');
    expect(outcomesOf(stage)).toEqual([['failed', 503]]);
    expect(stage.told[0]?.exchange.error?.code).toBe('upstream_refused');
  });

  test('a relayed answer: at its last byte, not before', async () => {
    const stage = stageOf({}, { script: () => ({ body: ['a', 'b'] }) });
    const response = await stage.ask('/v1/x');
    await stage.clock.advance(5);
    expect(stage.told).toEqual([]);
    await response.text();
    expect(outcomesOf(stage)).toEqual([['completed', 200]]);
    expect(stage.told[0]?.endedMs).toBe(5);
  });

  test('an upstream’s own error, relayed', async () => {
    const stage = stageOf({}, { script: () => ({ status: 500, body: 'x' }) });
    await stage.read('/v1/x');
    expect(outcomesOf(stage)).toEqual([['failed', 500]]);
  });

  test('an answer that breaks off', async () => {
    const stage = stageOf({}, { script: () => ({ body: ['a'], ends: 'broken' }) });
    const response = await stage.ask('/v1/x');
    await expect(response.text()).rejects.toThrow();
    expect(outcomesOf(stage)).toEqual([['broken', 200]]);
  });

  test('a client that leaves', async () => {
    const stage = stageOf({}, { script: () => ({ body: ['a', 'b'] }) });
    const response = await stage.ask('/v1/x');
    await response.body?.cancel();
    expect(outcomesOf(stage)).toEqual([['abandoned', 200]]);
    expect(stage.sent[0]?.isAborted).toBe(true);
  });

  test('an answer without a body', async () => {
    const stage = stageOf({}, { script: () => ({ status: 204 }) });
    expect((await stage.read('/v1/x')).status).toBe(204);
    await stage.read('/v1/x', { method: 'HEAD' });
    expect(outcomesOf(stage)).toEqual([
      ['completed', 204],
      ['completed', 204],
    ]);
  });

  test('an answer that the runtime cannot pass on', async () => {
    const stage = stageOf({ backend: ai }, { script: () => ({ status: 999, headers: { 'content-type': 'application/json' } }) });
    stage.herd.know('a', { isBox: false });
    stage.respondFault = new RangeError('status 999');
    const { status, text } = await stage.read('/v1/chat/completions', chat);
    expect(status).toBe(502);
    expect(JSON.parse(text).error).toMatchObject({
      code: 'upstream_closed',
      message: 'a gave an answer that cannot be passed on: status 999',
    });
    expect(outcomesOf(stage)).toEqual([['failed', 502]]);
    expect(stage.sent[0]?.isCancelled).toBe(true);
    expect([stage.gateway.inFlight, stage.herd.inFlight(stage.plan.upstreams[0] as never), stage.clock.pending]).toEqual([
      0, 0, 0,
    ]);
  });

  test('a mixture, all counted', async () => {
    const stage = stageOf({ listener: `{ ${apiKey} }` });
    await Promise.all(['/v1/x', '/x', '/v1/y'].flatMap((path) => [stage.read(path), stage.read(path, { headers: withKey })]));
    expect(stage.told).toHaveLength(6);
    expect(new Set(stage.told.map(({ exchange }) => exchange.id)).size).toBe(6);
    expect(stage.gateway.inFlight).toBe(0);
  });
});

describe('where nothing runs between requests', () => {
  test('a request carries the probes that are due', async () => {
    const carried: Promise<unknown>[] = [];
    const stage = stageOf({}, { hasBackground: false });
    const work = Promise.resolve();
    Object.assign(stage.herd, { catchUp: () => work });
    await stage.read('/v1/x', { client: { ...client(), waitUntil: (one) => carried.push(one) } });
    expect(carried).toEqual([work]);
  });

  test('elsewhere none is asked for', async () => {
    const stage = stageOf();
    Object.assign(stage.herd, {
      catchUp: () => {
        throw new Error('asked');
      },
    });
    expect((await stage.read('/v1/x')).status).toBe(200);
  });
});
