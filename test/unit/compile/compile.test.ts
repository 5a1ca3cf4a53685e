import { describe, expect, test } from 'vitest';
import type { AiBackend, Target } from '../../../src/backends/target.ts';
import type { CompiledPlan } from '../../../src/compile/compile.ts';
import { PlanError } from '../../../src/compile/upstreams.ts';
import type { Outgoing } from '../../../src/exchange.ts';
import type { UpstreamTls } from '../../../src/platform.ts';
import { createStage, planOf } from '../answers/stage.ts';
import { fakeAttempt, fakeExchange } from '../policies/fake-exchange.ts';

function aiOf(plan: CompiledPlan, route = 0): AiBackend {
  const backend = plan.binds[0]?.listeners[0]?.entries[route]?.route.backend;
  if (backend?.kind !== 'ai') throw new Error('no ai backend');
  return backend.ai;
}

function oneRoute(rest: string): string {
  return `
binds:
  - port: 3000
    listeners:
      - routes:
          - ${rest.trim().replaceAll('\n', '\n            ')}
`;
}

test('the settings that nobody wrote, and those of Workers', () => {
  expect(planOf('binds: []').settings).toMatchObject({
    adminAddress: { host: 'localhost', port: 15000 },
    readinessAddress: undefined,
    statsAddress: undefined,
    loadTimeoutMs: 900_000,
    idleTimeoutMs: 30_000,
    probeIntervalMs: 10_000,
    bodyTimeoutMs: 60_000,
    maxBodyBytes: 33_554_432,
    maxBufferedBytes: 268_435_456,
    allowCloudModels: false,
  });
  expect(planOf('binds: []', { runtime: 'workerd' }).settings).toMatchObject({
    maxBodyBytes: 8_388_608,
    maxBufferedBytes: 50_331_648,
  });
});

describe('what a runtime cannot do is refused with its place', () => {
  const asked: { url: string; host?: string | undefined; tls?: UpstreamTls | undefined }[] = [];
  const refuses = (need: { url: string; host?: string | undefined; tls?: UpstreamTls | undefined }) => {
    asked.push(need);
    return need.host !== undefined ? 'no other Host here' : need.tls?.insecure === true ? 'no TLS settings here' : undefined;
  };
  const thrownBy = (yaml: string) => {
    try {
      planOf(yaml, { refuses });
      return undefined;
    } catch (thrown) {
      return thrown instanceof PlanError ? thrown.message : thrown;
    }
  };
  const shown = oneRoute(`policies: { urlRewrite: { authority: { full: "shown.test:1" } } }
backends: [{ ai: { name: a, hostOverride: "a:11434", provider: { openAI: {} } } }]`);

  test('a Host that is not the address', () => {
    asked.length = 0;
    expect(thrownBy(shown)).toBe('binds[0].listeners[0].routes[0].backends[0].ai: no other Host here');
    expect(asked).toEqual([{ url: 'http://a:11434', host: 'shown.test:1', tls: undefined }]);
  });

  test('the Host of the seed page is the address: nothing is asked for', () => {
    expect(thrownBy(shown.replace('shown.test:1', 'a:11434'))).toBeUndefined();
  });

  test('TLS settings, in a group', () => {
    const grouped = oneRoute(`backends:
  - ai:
      groups:
        - providers: [{ name: a, hostOverride: "a:1", provider: { openAI: {} } }]
        - providers: [{ name: b, hostOverride: "b:1", provider: { openAI: {} }, policies: { backendTLS: { insecure: true } } }]`);
    expect(thrownBy(grouped)).toBe('binds[0].listeners[0].routes[0].backends[0].ai.groups[1].providers[0]: no TLS settings here');
  });

  test('a host backend, and a model of llm', () => {
    expect(thrownBy(oneRoute('backends: [{ host: "a:1", policies: { backendTLS: { insecure: true } } }]'))).toBe(
      'binds[0].listeners[0].routes[0].backends[0]: no TLS settings here',
    );
    expect(thrownBy('llm: { models: [{ name: a, provider: ollama, tls: { insecure: true } }] }')).toBe(
      'llm.models[0]: no TLS settings here',
    );
  });
});

describe('CORRAL_API_KEY', () => {
  const open = oneRoute('backends: [{ host: "a:1" }]');

  test('locks every listener of every dialect', () => {
    expect(planOf(open).everyRouteIsProtected).toBe(false);
    for (const yaml of [
      open,
      'gateways: { default: { port: 1 } }\nroutes: [{ backends: [{ host: "a:1" }] }]',
      'llm: { models: [{ name: "*", provider: ollama }] }',
    ]) {
      const plan = planOf(yaml, { apiKey: 'sk-env' });
      expect(plan.everyRouteIsProtected).toBe(true);
      const listeners = plan.binds.flatMap((bind) => bind.listeners);
      expect(listeners.map(({ policies }) => policies.map(({ name }) => name))).toEqual([['apiKey']]);
    }
  });

  test('joins the keys that a listener has, and makes them obligatory', async () => {
    const yaml = `
binds:
  - port: 3000
    listeners:
      - policies: { apiKey: { mode: optional, keys: [{ key: sk-own }] } }
        routes: [{ backends: [{ host: "a:1" }] }]
`;
    const stage = createStage(yaml, { apiKey: 'sk-env' });
    const statusWith = async (headers: Record<string, string>) => (await stage.read('/', { headers })).status;
    expect(await statusWith({})).toBe(401);
    expect(await statusWith({ authorization: 'Bearer wrong' })).toBe(401);
    expect(await statusWith({ authorization: 'Bearer sk-own' })).toBe(200);
    expect(await statusWith({ 'x-api-key': 'sk-env' })).toBe(200);
    expect(stage.told.at(-1)?.exchange.identity?.name).toBe('CORRAL_API_KEY');
  });
});

describe('which model is asked for (decision 1)', () => {
  const ai = (provider: string, policies = '') =>
    aiOf(planOf(oneRoute(`backends: [{ ai: { name: a, hostOverride: "a:1", provider: ${provider} }${policies} }]`))).targets[0];
  const asked = (target: Target | undefined) =>
    [true, false].map((isBox) => [target?.modelFor(undefined, isBox), target?.modelFor('theirs', isBox)]);

  test('the configured model is a default on a box, a lock elsewhere', () => {
    expect(asked(ai('{ openAI: { model: ours } }'))).toEqual([
      ['ours', 'theirs'],
      ['ours', 'ours'],
    ]);
  });

  test('without one the client must name it', () => {
    expect(asked(ai('{ openAI: {} }'))).toEqual([
      [undefined, 'theirs'],
      [undefined, 'theirs'],
    ]);
  });

  test('ai.defaults fills in, ai.overrides decides', () => {
    expect(asked(ai('{ openAI: {} }', ', policies: { ai: { defaults: { model: fill } } }'))).toEqual([
      ['fill', 'theirs'],
      ['fill', 'theirs'],
    ]);
    expect(asked(ai('{ openAI: { model: ours } }', ', policies: { ai: { overrides: { model: always } } }'))).toEqual([
      ['always', 'always'],
      ['always', 'always'],
    ]);
  });

  test('aliases hold for names of clients and of the configuration, exact ones first', () => {
    const aliases = ', policies: { ai: { modelAliases: { "gpt-*": any, gpt-4o: big, "*": rest, ours: mapped } } }';
    const target = ai('{ openAI: { model: ours } }', aliases);
    expect(['gpt-4o', 'gpt-5', 'GPT-4o:latest', 'else', undefined].map((name) => target?.modelFor(name, true))).toEqual([
      'big',
      'any',
      'big',
      'rest',
      'mapped',
    ]);
  });
});

describe('paths after a rewrite', () => {
  const rewriting = (backend: string) =>
    oneRoute(`matches: [{ path: { pathPrefix: /ollama } }]
policies: { urlRewrite: { path: { prefix: / } } }
backends: [${backend}]`);
  const box = '{ ai: { name: a, hostOverride: "a:1", provider: { openAI: {} } } }';
  const other = '{ ai: { name: a, hostOverride: "a:1", provider: { openAI: {} } }, policies: { backendAuth: { key: k } } }';
  const sentTo = async (backend: string, path: string, more = '', method = 'POST') => {
    const stage = createStage(`${rewriting(backend)}${more}`);
    await stage.read(path, { method, ...(method === 'GET' ? {} : { body: { model: 'm' } }) });
    return stage.sent[0]?.url;
  };

  test('a box gets the protocol’s own path', async () => {
    expect(await sentTo(box, '/ollama/v1/chat/completions?x=1')).toBe('http://a:1/v1/chat/completions?x=1');
  });

  test('an opened path reaches it rewritten', async () => {
    expect(await sentTo(box, '/ollama/api/new?x=1', 'fleet: { openPaths: ["POST /api/new"] }')).toBe('http://a:1/api/new?x=1');
  });

  test('other hosts get the rewritten path', async () => {
    expect(await sentTo(other, '/ollama/v1/chat/completions')).toBe('http://a:1/v1/chat/completions');
    expect(await sentTo(other, '/ollama/else?x=1')).toBe('http://a:1/else?x=1');
    expect(await sentTo('{ host: "a:1" }', '/ollama/else?x=1')).toBe('http://a:1/else?x=1');
  });

  test('a model’s name at the end of a path stays there', async () => {
    expect(await sentTo(other, '/ollama/v1/models/acme/gemma3', '', 'GET')).toBe('http://a:1/v1/models/acme/gemma3');
    const prefixed = other.replace('hostOverride', 'pathPrefix: /deep/v1, hostOverride');
    expect(await sentTo(prefixed, '/ollama/v1/models/acme/gemma3', '', 'GET')).toBe('http://a:1/deep/v1/models/acme/gemma3');
  });
});

describe('equal routes as one (decision 2)', () => {
  const two = (first: string, second: string) => `
binds:
  - port: 3000
    listeners:
      - routes:
          - ${first}
          - ${second}
`;
  const ai = (name: string, policies = '{}') =>
    `{ policies: ${policies}, backends: [{ ai: { name: ${name}, hostOverride: "${name}:1", provider: { openAI: { model: ${name}-model } } } }] }`;

  test('edits of a try and paths stay with their own backend', () => {
    const plan = planOf(
      two(
        ai('a', '{ requestHeaderModifier: { set: { x-a: "1" } } }'),
        ai('b', '{ requestHeaderModifier: { set: { x-b: "1" } } }'),
      ),
    );
    expect(plan.warnings).toEqual([]);
    const headers = aiOf(plan).targets.map((target) => {
      const attempt = fakeAttempt();
      for (const edit of target.edits) edit(attempt);
      return (attempt.outgoing as Outgoing).headers;
    });
    expect(headers).toEqual([{ 'x-a': '1' }, { 'x-b': '1' }]);
  });

  test.each([
    ['apiKey: { keys: [{ key: one }] }', 'apiKey: { keys: [{ key: two }] }'],
    ['apiKey: { keys: [{ key: one }] }', 'apiKey: { mode: optional, keys: [{ key: one }] }'],
    ['apiKey: { keys: [{ key: one }] }', 'apiKey: { keys: [{ key: one, allowedModels: [x] }] }'],
    ['cors: { allowOrigins: ["https://a.test"] }', 'cors: { allowOrigins: ["https://b.test"] }'],
    ['timeout: { requestTimeout: 1s }', 'timeout: { requestTimeout: 2s }'],
    ['retry: { attempts: 2, codes: [503] }', 'retry: { attempts: 2, codes: [500] }'],
    [
      'ai: { promptGuard: { request: [{ regex: { rules: [{ pattern: a }] } }] } }',
      'ai: { promptGuard: { request: [{ regex: { rules: [{ pattern: b }] } }] } }',
    ],
    ['authorization: { rules: ["true"] }', 'authorization: { rules: ["false"] }'],
  ])('never where a policy differs: %s and %s', (first, second) => {
    const plan = planOf(two(ai('a', `{ ${first} }`), ai('b', `{ ${second} }`)));
    expect(aiOf(plan).targets.map(({ upstream }) => upstream.name)).toEqual(['a']);
    expect(plan.warnings).toHaveLength(1);
    expect(plan.warnings[0]).toMatch(/^binds\[0\]\.listeners\[0\]\.routes\[1\]: the route can never be reached/);
  });

  test('never where the rules differ', () => {
    const plan = planOf(
      two(ai('a'), ai('b').replace('{ policies', '{ matches: [{ path: { pathPrefix: /v1 }, method: POST }], policies')),
    );
    expect(plan.binds[0]?.listeners[0]?.entries.map(({ route }) => route.name)).toEqual(['route0', 'route1']);
    expect(plan.warnings).toEqual([]);
  });
});

describe('a key in the query (its policy says where)', () => {
  const keyed = 'apiKey: { location: { queryParameter: { name: key } }, keys: [{ key: secret }] }';

  test.each([
    [
      'on a listener',
      `binds: [{ port: 3000, listeners: [{ policies: { ${keyed} }, routes: [{ backends: [{ host: "a:1" }] }] }] }]`,
    ],
    [
      'on a gateway that serves llm',
      `gateways: { default: { port: 3000, ${keyed} } }\nllm: { models: [{ name: "*", provider: ollama }] }`,
    ],
    ['in llm itself', `llm: { port: 3000, policies: { ${keyed} }, models: [{ name: "*", provider: ollama }] }`],
  ])('%s never reaches an upstream', async (_place, yaml) => {
    const stage = createStage(yaml);
    const { status } = await stage.read('/v1/chat/completions?key=secret&x=1', { body: { model: 'm' } });
    expect(status).toBe(200);
    expect(stage.sent[0]?.url).toMatch(/\/v1\/chat\/completions\?x=1$/);
  });
});

test('routes find their backend through the plan', () => {
  const plan = planOf(oneRoute('backends: [{ host: "a:1" }]'));
  const listener = plan.binds[0]?.listenerOf('anything.test');
  expect(listener?.routes.match(fakeExchange({ path: '/x' }))?.route.name).toBe('route0');
});
