import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { openGateway } from '../../../src/entry/open.ts';
import type { Peer, Platform, Relay } from '../../../src/platform.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { plainSettings } from '../../support/settings.ts';

function load(text: string, ignoreUnsupported = true) {
  const loaded = loadConfig(text, { name: 'x.yaml', env: () => undefined, ignoreUnsupported });
  const shown = (list: typeof loaded.warnings) =>
    list.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
  return { loaded, warnings: shown(loaded.warnings), errors: loaded.ok ? [] : shown(loaded.errors) };
}

/** What a gateway of this file answers, whose upstreams all answer 200. */
async function answersOf(text: string) {
  const clock = createFakeClock();
  const sent: string[] = [];
  const platform: Platform = {
    runtime: 'node',
    clock,
    hasBackground: false,
    send: async ({ url }) => {
      sent.push(url);
      const body = {
        read: async () => new TextEncoder().encode('{}'),
        cancel: () => undefined,
        stream: () => new ReadableStream(),
      };
      return { status: 200, headers: new Headers({ 'content-type': 'application/json' }), body };
    },
    respond: ({ status, headers, tap }: Relay) => {
      tap.end();
      return new Response('{}', { status, headers });
    },
    refuses: () => undefined,
    print: () => undefined,
    report: () => undefined,
  };
  const settings = plainSettings(text, { allowedHosts: ['a.test'], ignoreUnsupported: true });
  const result = await openGateway(settings, platform);
  if (!result.ok) throw new Error(result.problems.join('\n'));
  const { gateway } = result.opened;
  return {
    sent,
    async ask(path: string, { host = 'localhost', port = 3000, body }: { host?: string; port?: number; body?: object } = {}) {
      const peer: Peer = { port, address: () => '127.0.0.1', onGone: () => undefined, waitUntil: () => undefined };
      const request = new Request(`http://${host}:${port}${path}`, {
        headers: { host: `${host}:${port}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
      });
      const answer = await gateway.fetch(request, peer);
      return `${answer.status} ${(await answer.text()).slice(0, 200)}`;
    },
  };
}

const route = (keys: string) => `binds:\n- port: 3000\n  listeners:\n  - routes:\n    - ${keys}\n`;
const mcp = '{ mcp: { targets: [] } }';
const refused = expect.stringMatching(/^503 .*without it nobody is let through/);

describe('whole sections', () => {
  it('are left out, each with a warning at its place, and only when that is asked for', () => {
    const text = `mcp: { port: 9000 }\nui: {}\nconfig: { xdsAddress: "http://x" }\n${route('backends: [{ host: "x:1" }]')}`;
    expect(load(text).errors).toEqual([]);
    expect(load(text).warnings).toEqual([
      expect.stringMatching(/^1:1 mcp: left out: known to agentgateway, not supported: Corral does not speak MCP/),
      expect.stringMatching(/^2:1 ui: left out: /),
      expect.stringMatching(/^3:11 config\.xdsAddress: left out: /),
    ]);
    expect(load(text, false).errors).toHaveLength(3);
  });

  it('never excuses a mistake', () => {
    expect(load('mcp: {}\nbindz: []\n').errors).toEqual([expect.stringMatching(/^2:1 bindz: unknown key; did you mean "binds"/)]);
    expect(load(`mcp: {}\n${route('policies: { timeuot: {} }\n      backends: []')}`).errors).toHaveLength(1);
  });
});

describe('a policy that is left out', () => {
  it.each([
    ['on a route', route('policies: { extProc: { host: "x:1" } }\n      backends: [{ host: "x:1" }]')],
    [
      'on a listener',
      'binds:\n- port: 3000\n  listeners:\n  - policies: { oidc: {} }\n    routes: [{ backends: [{ host: "x:1" }] }]\n',
    ],
    ['on a gateway', 'gateways:\n  default: { port: 3000, oidc: {} }\nroutes: [{ backends: [{ host: "x:1" }] }]\n'],
    [
      'on a listener of a gateway',
      'gateways:\n  default: { port: 3000, listeners: [{ oidc: {} }] }\nroutes: [{ backends: [{ host: "x:1" }] }]\n',
    ],
    ['on a backend', route('backends: [{ host: "x:1", policies: { mcpAuthorization: {} } }]')],
    [
      'on a provider',
      route('backends: [{ ai: { name: a, hostOverride: "x:1", provider: { openAI: {} }, policies: { inferenceRouting: {} } } }]'),
    ],
    [
      'on a backend that is named',
      `backends: [{ name: b, host: "x:1", policies: { mcpAuthorization: {} } }]\n${route('backends: [{ backend: b }]')}`,
    ],
    ['of all that comes in', `frontendPolicies: { networkExtAuthz: { host: "x:1" } }\n${route('backends: [{ host: "x:1" }]')}`],
    [
      'attached to a route by name',
      `policies: [{ name: { name: p }, target: { route: { name: r } }, policy: { extProc: {} } }]\n${route('name: r\n      backends: [{ host: "x:1" }]')}`,
    ],
    [
      'attached to a gateway',
      `policies: [{ name: { name: p }, target: { gateway: { gatewayName: default } }, phase: gateway, policy: { oidc: {} } }]\n${route('backends: [{ host: "x:1" }]')}`,
    ],
    ['before llm', 'llm:\n  port: 3000\n  policies: { oidc: {} }\n  models: [{ name: m, provider: ollama }]\n'],
  ])('%s turns everybody away', async (_where, text) => {
    const { ask, sent } = await answersOf(text);
    expect(await ask('/v1/models')).toEqual(refused);
    expect(await ask('/v1/chat/completions', { body: { model: 'm', messages: [] } })).toEqual(refused);
    expect(sent.filter((url) => !/\/api\/(version|tags|ps)$/.test(url))).toEqual([]);
  });

  it('closes its own place alone', async () => {
    const { ask } = await answersOf(`binds:
- port: 3000
  listeners:
  - hostname: a.test
    policies: { oidc: {} }
    routes: [{ backends: [{ host: "x:1" }] }]
  - routes:
    - matches: [{ path: { pathPrefix: /locked } }]
      policies: { extProc: {} }
      backends: [{ host: "x:1" }]
    - backends: [{ host: "x:1" }]
`);
    expect(await ask('/', { host: 'a.test' })).toEqual(refused);
    expect(await ask('/locked')).toEqual(refused);
    expect(await ask('/else')).toMatch(/^200/);
  });

  it('is not got round through an equal route', async () => {
    const box = (name: string) => `backends: [{ ai: { name: ${name}, hostOverride: "${name}:1", provider: { openAI: {} } } }]`;
    const { ask, sent } = await answersOf(`binds:
- port: 3000
  listeners:
  - routes:
    - ${box('open')}
    - policies: { extProc: {} }
      ${box('locked')}
`);
    await ask('/v1/chat/completions', { body: { model: 'm', messages: [] } });
    expect(sent.filter((url) => url.includes('locked'))).toEqual([]);
  });
});

describe('a backend that is left out', () => {
  it('answers 503 where no other is left, and leaves the others to serve', async () => {
    const { ask, sent } = await answersOf(`backends: [{ name: agents, mcp: { targets: [] } }]
binds:
- port: 3000
  listeners:
  - routes:
    - matches: [{ path: { pathPrefix: /only } }]
      backends: [${mcp}]
    - matches: [{ path: { pathPrefix: /named } }]
      backends: [{ backend: agents }]
    - matches: [{ path: { pathPrefix: /mixed } }]
      backends: [${mcp}, { host: "x:1" }, { backend: agents }]
    - matches: [{ path: { pathPrefix: /vendor } }]
      backends: [{ ai: { name: v, provider: { bedrock: {} } } }]
`);
    expect(await ask('/only')).toEqual(refused);
    expect(await ask('/named')).toEqual(refused);
    for (let count = 0; count < 5; count++) expect(await ask('/mixed')).toMatch(/^200/);
    expect(await ask('/vendor/v1/chat/completions', { body: { model: 'm', messages: [] } })).toMatch(/^503/);
    expect(new Set(sent)).toEqual(new Set(['http://x:1/mixed']));
  });

  it('is one provider of several, or one model of several', () => {
    const groups = load(
      route(
        'backends: [{ ai: { groups: [{ providers: [{ name: a, provider: { bedrock: {} } }] }, { providers: [{ name: b, hostOverride: "b:1", provider: { openAI: {} } }, { name: c, provider: { azure: {} } }] }] } }]',
      ),
    );
    const target = groups.loaded.ok ? groups.loaded.config.binds[0]?.listeners[0]?.routes[0]?.backends[0]?.target : undefined;
    expect(
      target?.kind === 'ai' ? target.ai.groups.map(({ providers }) => providers.map(({ name }) => name)) : groups.errors,
    ).toEqual([['b']]);
    const models = load(
      'llm:\n  models:\n  - { name: good, provider: ollama }\n  - { name: bad, provider: bedrock, params: { awsRegion: x } }\n',
    );
    expect(models.errors).toEqual([]);
    expect(models.warnings).toEqual([expect.stringMatching(/^4:18 llm\.models\[1\]\.provider: left out, and answered with 503/)]);
  });

  it('is a listener of another protocol: its port answers 503', async () => {
    const { ask } = await answersOf(
      'binds:\n- port: 3000\n  listeners: [{ routes: [{ backends: [{ host: "x:1" }] }] }]\n- port: 5432\n  listeners: [{ protocol: TCP, tcpRoutes: [] }]\n',
    );
    expect(await ask('/')).toMatch(/^200/);
    expect(await ask('/', { port: 5432 })).toEqual(refused);
  });
});
