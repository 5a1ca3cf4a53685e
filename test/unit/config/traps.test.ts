import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import { portabilityOf } from '../../../src/config/portable.ts';
import { planOf } from '../answers/stage.ts';

function load(text: string) {
  const loaded = loadConfig(text, { name: 'x.yaml', env: () => undefined, readFile: () => '-----BEGIN X-----' });
  if (!loaded.ok) throw new Error(loaded.errors.map(({ path, message }) => `${path}: ${message}`).join('\n'));
  return loaded;
}

const warningsOf = (text: string) =>
  load(text).warnings.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
const route = (keys: string) => `binds:\n- port: 3000\n  listeners:\n  - routes:\n    - ${keys}\n`;
const box = (name: string, at = `${name}:1`) => `{ name: ${name}, hostOverride: "${at}", provider: { openAI: {} } }`;

describe('traps that are warned of', () => {
  it.each([
    [
      'an optional lock',
      route('policies: { apiKey: { mode: optional, keys: [{ key: k }] } }\n      backends: [{ host: "x:1" }]'),
      /^5:35 .*apiKey\.mode: optional lets requests in that show nothing/,
    ],
    [
      'a permissive lock',
      route('policies: { apiKey: { mode: permissive, keys: [{ key: k }] } }\n      backends: [{ host: "x:1" }]'),
      /apiKey\.mode: permissive lets everybody in/,
    ],
    [
      'a group that is like the one before it',
      route(`backends: [{ ai: { groups: [{ providers: [${box('a', 'same:1')}] }, { providers: [${box('b', 'same:1')}] }] } }]`),
      /ai\.groups\[1\]: this group never serves/,
    ],
    [
      'failover to nothing',
      'llm:\n  models: [{ name: a, provider: ollama }]\n  virtualModels: [{ name: v, routing: { failover: { targets: [{ model: a, priority: 0 }] } } }]\n',
      /failover\.targets: nothing to fail over to/,
    ],
    [
      'failover to itself',
      'llm:\n  models: [{ name: a, provider: ollama }]\n  virtualModels: [{ name: v, routing: { failover: { targets: [{ model: a, priority: 0 }, { model: a, priority: 1 }] } } }]\n',
      /targets\[1\]\.model: "a" stands here twice/,
    ],
    [
      'TLS beside a plain URL',
      'llm:\n  models: [{ name: a, provider: ollama, params: { baseUrl: "http://x:1/v1" }, tls: {} }]\n',
      /^2:\d+ llm\.models\[0\]\.tls: without effect: params\.baseUrl says http:\/\//,
    ],
  ])('%s', (_name, text, expected) => {
    expect(warningsOf(text)).toEqual([expect.stringMatching(expected)]);
  });

  it('say nothing where there is nothing to say', () => {
    const fine = route(
      `policies: { apiKey: { keys: [{ key: k }] } }\n      backends: [{ ai: { groups: [{ providers: [${box('a')}] }, { providers: [${box('b')}] }] } }]`,
    );
    expect(warningsOf(fine)).toEqual([]);
  });
});

describe('what no request reaches', () => {
  const reachable = (text: string) => planOf(text).warnings.filter((warning) => warning.includes('no request'));

  it('is a listener whose host another one has', () => {
    const listeners = (...names: string[]) =>
      `binds:\n- port: 3000\n  listeners:\n${names.map((name) => `  - { hostname: "${name}", routes: [] }\n`).join('')}`;
    expect(reachable(listeners('a.test', 'A.test'))).toEqual([
      'binds[0].listeners[1]: no request reaches this listener: binds[0].listeners[0] serves a.test on port 3000, too, and comes first',
    ]);
    expect(reachable(listeners('', 'a.test', '*.test', '*.b.test'))).toEqual([]);
  });

  it.each([
    ['a.test', 'b.test', true],
    ['*.test', 'a.other', true],
    ['*.a.test', '*.b.test', true],
    ['a.test', '*.test', false],
    ['*.test', '*.a.test', false],
    ['*.test', 'x.y.test', false],
    ['', 'b.test', false],
  ])('is a route with other hosts than its listener: %s, %s', (listener, host, isWarned) => {
    const text = `binds:\n- port: 3000\n  listeners:\n  - { hostname: "${listener}", routes: [{ hostnames: ["${host}"], backends: [{ host: "x:1" }] }] }\n`;
    expect(reachable(text).length > 0).toBe(isWarned);
  });

  it('is llm behind a route for every path', () => {
    const llm = (matches: string) =>
      `gateways: { default: { port: 3000 } }\nroutes: [{ ${matches}backends: [{ host: "x:1" }] }]\nllm: { models: [{ name: a, provider: ollama }] }\n`;
    expect(reachable(llm(''))).toEqual([
      expect.stringMatching(/^llm: no request reaches these models: routes\[0\] takes every path/),
    ]);
    expect(reachable(llm('matches: [{ path: { pathPrefix: /web } }], '))).toEqual([]);
    expect(reachable(llm('matches: [{ method: GET }], '))).toEqual([]);
    expect(reachable(llm('hostnames: [a.test], '))).toEqual([]);
  });
});

describe('what agentgateway would refuse', () => {
  const refusedIn = (text: string) => portabilityOf(load(text).written).refused.map(({ path, message }) => `${path}: ${message}`);

  it.each([
    ['fleet: { idleTimeout: 1m }\nbinds: []\n', "fleet: agentgateway does not know this section: it is Corral's own"],
    [
      route('policies: { timeout: { requestTimeout: 1d12h } }\n      backends: [{ host: "x:1" }]'),
      'binds[0].listeners[0].routes[0].policies.timeout.requestTimeout: agentgateway 1.4 knows no days in durations: write hours',
    ],
    [
      route(
        'policies: { localRateLimit: [{ maxTokens: 1, tokensPerFill: 1, fillInterval: 1s, key: apiKey.name }] }\n      backends: [{ host: "x:1" }]',
      ),
      'binds[0].listeners[0].routes[0].policies.localRateLimit[0].key: agentgateway has one bucket for all: limits of each client need its remoteRateLimit',
    ],
    [
      route('policies: { apiKey: { keys: [{ key: { file: a } }] } }\n      backends: [{ host: "x:1" }]'),
      'binds[0].listeners[0].routes[0].policies.apiKey.keys[0].key: agentgateway takes a text here: write key: $VARIABLE',
    ],
    [
      'frontendPolicies: { http: { maxBufferSize: 8MiB } }\nbinds: []\n',
      'frontendPolicies.http.maxBufferSize: agentgateway takes a plain number of bytes',
    ],
    [
      route('backends: [{ host: "x:1", policies: { backendTLS: { root: "-----BEGIN CERTIFICATE-----" } } }]'),
      'binds[0].listeners[0].routes[0].backends[0].policies.backendTLS.root: agentgateway takes the path of a file here, not the PEM itself',
    ],
  ])('%#', (text, expected) => {
    expect(refusedIn(text)).toEqual([expected]);
  });

  it('is nothing where the same keys are written its way', () => {
    expect(
      refusedIn(
        `frontendPolicies: { http: { maxBufferSize: 8388608 } }\n${route('policies: { timeout: { requestTimeout: 36h }, localRateLimit: [{ maxTokens: 1, tokensPerFill: 1, fillInterval: 1s }], apiKey: { keys: [{ key: a }] } }\n      backends: [{ host: "x:1", policies: { backendTLS: { root: ca.pem } } }]')}`,
      ),
    ).toEqual([]);
  });
});
