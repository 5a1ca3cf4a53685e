import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { presets } from '../../../src/config/providers.ts';
import type { Config } from '../../../src/config/schema.ts';
import { baseUrlOf } from '../../../src/fields/base-url.ts';

function configOf(text: string): Config {
  const result = loadConfig(text, { name: 'gateway.yaml', env: () => undefined });
  if (!result.ok) throw new Error(JSON.stringify(result.errors));
  return result.config;
}

describe('gateways and routes', () => {
  const config = configOf(`
gateways:
  default:
    port: 3000
    cors: {allowOrigins: ["*"]}
  two:
    port: 3001
    listeners:
    - name: a
      hostname: "*.example.com"
      apiKey: {keys: [{key: k}]}
    - {}
routes:
- gateways: [default, two/a]
  hostnames: [llm.example.com]
  matches:
  - path: {exact: /v1/models}
    method: GET
    headers: [{name: X-Team, value: {regex: "(?i)blue"}}]
    query: [{name: q, value: {exact: "1"}}]
  - path: {regex: "/v[12]/.*"}
  backends:
  - weight: 3
    host: box.lan:8080
  - weight: 1
    backend: cloud
backends:
- name: cloud
  ai:
    groups:
    - providers:
      - {name: one, hostOverride: "a:1", provider: {openAI: {model: m}}}
      - {name: two, hostOverride: "b:1", pathPrefix: /x/, provider: {custom: {formats: [{type: completions, path: /chat}]}}}
`);

  it('move policies of gateways into policies', () => {
    expect(config.gateways.default).toMatchObject({
      port: 3_000,
      tls: undefined,
      listeners: [],
      policies: { cors: { allowOrigins: ['*'] } },
    });
    expect(config.gateways.two?.listeners[0]).toMatchObject({ name: 'a', hostname: '*.example.com' });
    expect(Object.keys(config.gateways.two?.listeners[0]?.policies ?? {})).toEqual(['apiKey']);
    expect(config.gateways.two?.listeners[1]).toEqual({ name: undefined, hostname: '*', tls: undefined, policies: {} });
  });

  it('read matches', () => {
    const [route] = config.routes;
    expect(route?.gateways).toEqual(['default', 'two/a']);
    expect(route?.matches[0]).toMatchObject({
      path: { kind: 'exact', value: '/v1/models' },
      method: 'GET',
      headers: [{ name: 'x-team', value: { kind: 'regex', pattern: '(?i)blue' } }],
      query: [{ name: 'q', value: { kind: 'exact', value: '1' } }],
    });
    expect(route?.matches[1]?.path).toMatchObject({ kind: 'regex', pattern: '/v[12]/.*' });
  });

  it('read backends', () => {
    expect(config.routes[0]?.backends).toEqual([
      { weight: 3, policies: {}, target: { kind: 'host', host: { host: 'box.lan', port: 8_080, authority: 'box.lan:8080' } } },
      { weight: 1, policies: {}, target: { kind: 'reference', name: 'cloud' } },
    ]);
    expect(config.backends[0]?.target).toMatchObject({
      kind: 'ai',
      ai: {
        isGrouped: true,
        groups: [
          {
            providers: [
              { name: 'one', provider: { kind: 'openAI', model: 'm' } },
              { name: 'two', pathPrefix: '/x', provider: { kind: 'custom', formats: [{ type: 'completions', path: '/chat' }] } },
            ],
          },
        ],
      },
    });
  });
});

describe('llm', () => {
  it('gives its settings as policies by their own names', () => {
    const { llm } = configOf(`
llm:
  models:
  - name: a
    provider: groq
    visibility: internal
    params: {model: b, apiKey: k}
    defaults: {temperature: 0.2}
    overrides: {max_tokens: 5}
    requestHeaders: {set: {x-a: b}}
    responseHeaders: {remove: [x-b]}
    backendTLS: {}
    auth: {key: k2}
    matches: [{headers: [{name: X-Team, value: {exact: blue}}]}]
  providers:
  - name: p
    provider: ollama
    params: {baseUrl: "http://box:11434/v1/"}
    defaults: {overrides: {seed: 1}, tls: {insecure: true}}
  virtualModels:
  - name: v
    routing: {weighted: {targets: [{model: a}, {model: a, weight: 3}]}}
  - name: w
    routing: {failover: {targets: [{model: a, priority: 1}]}}
`);
    const [model] = llm?.models ?? [];
    expect(model).toMatchObject({
      name: 'a',
      visibility: 'internal',
      provider: { kind: 'preset', preset: 'groq' },
      params: { model: 'b', apiKey: 'k' },
      matches: [{ headers: [{ name: 'x-team', value: { kind: 'exact', value: 'blue' } }] }],
    });
    expect(Object.keys(model?.policies ?? {}).sort()).toEqual([
      'ai',
      'backendAuth',
      'backendTLS',
      'requestHeaderModifier',
      'responseHeaderModifier',
    ]);
    expect(model?.policies.ai).toEqual({ defaults: { temperature: 0.2 }, overrides: { max_tokens: 5 } });
    expect(llm?.providers[0]).toMatchObject({
      params: { baseUrl: { scheme: 'http', authority: 'box:11434', path: '/v1' } },
      defaults: { policies: { ai: { overrides: { seed: 1 } }, backendTLS: { insecure: true } } },
    });
    expect(llm?.virtualModels.map(({ routing }) => routing)).toEqual([
      {
        kind: 'weighted',
        targets: [
          { model: 'a', weight: 1 },
          { model: 'a', weight: 3 },
        ],
      },
      { kind: 'failover', targets: [{ model: 'a', priority: 1 }] },
    ]);
  });
});

describe('process settings', () => {
  it('are read', () => {
    const config = configOf(`
binds: []
config:
  adminAddr: "[::1]:9000"
  readinessAddr: 0.0.0.0:15021
  logging: {level: "debug,agent_core=trace", format: json}
frontendPolicies: {http: {maxBufferSize: 1048576}}
fleet:
  loadTimeout: 1h
  maxBodyBytes: 64MiB
  openPaths: [POST /api/x]
`);
    expect(config.config).toMatchObject({
      adminAddr: { host: '::1', port: 9_000 },
      readinessAddr: { host: '0.0.0.0', port: 15_021 },
      logging: { level: 'debug', format: 'json' },
    });
    expect(config.frontendPolicies.http.maxBufferSize).toBe(1_048_576);
    expect(config.fleet).toMatchObject({
      loadTimeout: 3_600_000,
      maxBodyBytes: 67_108_864,
      openPaths: [{ method: 'POST', path: '/api/x' }],
    });
  });
});

describe('presets', () => {
  it.each(Object.entries(presets))('%s has a base URL and formats', (_, { baseUrl, formats }) => {
    expect(() => baseUrlOf(baseUrl)).not.toThrow();
    expect(formats.map(({ type }) => type)).toContain('completions');
  });

  it('ollama is the machine itself, over plain HTTP', () => {
    expect(baseUrlOf(presets.ollama.baseUrl)).toEqual({ scheme: 'http', authority: 'localhost:11434', path: '/v1' });
  });
});
