import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';

function found(text: string): { errors: string[]; warnings: string[] } {
  const result = loadConfig(text, { name: 'gateway.yaml', env: () => undefined });
  const words = (list: readonly { line: number; column: number; path: string; message: string }[]) =>
    list.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
  return { errors: result.ok ? [] : words(result.errors), warnings: words(result.warnings) };
}

function errorsOf(text: string): string[] {
  return found(text).errors;
}

describe('ports', () => {
  it('are unique over binds, gateways and llm', () => {
    const text = 'binds:\n- {port: 3000, listeners: []}\ngateways:\n  web: {port: 3000}\nllm:\n  port: 3000\n  models: []\n';
    expect(errorsOf(text)).toEqual([
      '4:15 gateways.web.port: port 3000 is configured by both binds[0] and gateways.web; binds, llm, and mcp must use unique ports',
      '6:9 llm.port: port 3000 is configured by both binds[0] and llm; binds, llm, and mcp must use unique ports',
    ]);
  });

  it('llm takes 4000 when it says nothing', () => {
    expect(errorsOf('binds:\n- {port: 4000, listeners: []}\nllm:\n  models: []\n')).toEqual([
      '3:1 llm: port 4000 is configured by both binds[0] and llm (default); binds, llm, and mcp must use unique ports',
    ]);
  });

  it.each([
    'binds: [{port: 4000, listeners: []}]\ngateways: {default: {port: 1}}\nllm: {models: []}\n',
    'binds: [{port: 4000, listeners: []}]\ngateways: {web: {port: 1}}\nllm: {gateways: web, models: []}\n',
    'binds: [{port: 0, listeners: []}, {port: 0, listeners: []}]\n',
  ])('no clash in %j', (text) => {
    expect(errorsOf(text)).toEqual([]);
  });
});

describe('gateways', () => {
  it('with listeners have nothing else beside the port', () => {
    expect(errorsOf('gateways:\n  web:\n    port: 1\n    protocol: HTTP\n    cors: {}\n    listeners: [{}]\n')).toEqual([
      '4:15 gateways.web.protocol: cannot stand beside "listeners": protocol and policies belong to each listener then',
      '5:5 gateways.web.cors: cannot stand beside "listeners": protocol and policies belong to each listener then',
    ]);
  });

  it('that are named must exist', () => {
    expect(
      errorsOf(
        'gateways:\n  web: {port: 1, listeners: [{name: a}, {}]}\nroutes:\n- gateways: wbe\n- gateways: [web/a, web/listener1, web/b]\n',
      ),
    ).toEqual([
      '4:13 routes[0].gateways: there is no gateway named "wbe"; did you mean "web"?',
      '5:36 routes[1].gateways[2]: there is no gateway named "web/b"; did you mean "web/a"?',
    ]);
  });

  it('a route needs one, unless one is named default', () => {
    expect(errorsOf('gateways: {web: {port: 1}}\nroutes:\n- name: a\n')).toEqual([
      '3:3 routes[0]: this route names no gateway in "gateways", and there is no gateway named "default"',
    ]);
    expect(errorsOf('gateways: {default: {port: 1}}\nroutes:\n- name: a\n')).toEqual([]);
  });

  it('and a port of its own exclude each other for llm', () => {
    expect(errorsOf('gateways: {web: {port: 1}}\nllm:\n  gateways: web\n  port: 2\n  models: []\n')).toEqual([
      '4:9 llm.port: llm.gateways cannot be used with llm.port',
    ]);
  });
});

describe('names', () => {
  it('of backends that routes refer to', () => {
    const text =
      'binds:\n- port: 1\n  listeners:\n  - routes:\n    - backends: [{backend: olama}, {backend: /ollama}]\nbackends:\n- {name: ollama, host: "a:1"}\n';
    expect(errorsOf(text)).toEqual([
      '5:28 binds[0].listeners[0].routes[0].backends[0].backend: there is no entry of the top-level backends named "olama"; did you mean "ollama"?',
    ]);
  });

  it('stand once', () => {
    const text = `backends: [{name: a, host: "a:1"}, {name: a, host: "a:1"}]\nbinds:\n- {port: 1, listeners: [{name: l, routes: []}, {name: l, routes: []}]}\nllm:\n  port: 2\n  providers: [{name: p, provider: ollama}, {name: p, provider: ollama}]\n  models: [{id: i, name: a, provider: ollama}, {id: i, name: b, provider: ollama}]\n`;
    expect(errorsOf(text)).toEqual([
      '1:43 backends[1].name: the name "a" stands here twice',
      '3:55 binds[0].listeners[1].name: the name "l" stands here twice',
      '6:51 llm.providers[1].name: the name "p" stands here twice',
      '7:53 llm.models[1].id: the id "i" stands here twice',
    ]);
  });

  it('of routes may repeat, with a warning: agentgateway keeps the last only', () => {
    const { errors, warnings } = found('gateways: {default: {port: 1}}\nroutes:\n- name: a\n- name: a\n');
    expect(errors).toEqual([]);
    expect(warnings).toEqual([
      '4:9 routes[1].name: a route named "a" stands above; agentgateway would keep only the last of them',
    ]);
  });
});

describe('matches that never match', () => {
  it('are warned of', () => {
    const { warnings } = found(
      'gateways: {default: {port: 1}}\nroutes:\n- matches:\n  - path: {pathPrefix: abc}\n  - method: get\n',
    );
    expect(warnings).toEqual([
      '4:24 routes[0].matches[0].path.pathPrefix: this never matches: paths start with "/"',
      '5:13 routes[0].matches[1].method: this never matches: methods are written in capitals',
    ]);
  });
});

describe('llm', () => {
  it('providers that models refer to', () => {
    const text = `llm:
  providers:
  - name: home
    provider: ollama
  - name: chain
    provider: {reference: home}
  models:
  - name: a
    provider: {reference: hom}
  - name: b
    provider: {reference: home}
    params: {model: c, apiKey: x}
`;
    expect(errorsOf(text)).toEqual([
      '6:5 llm.providers[1].provider: a provider of llm.providers cannot refer to another one',
      '9:27 llm.models[0].provider.reference: there is no entry of llm.providers named "hom"; did you mean "home"?',
      '12:32 llm.models[1].params.apiKey: a model that refers to a provider can set params.model only; the rest belongs to the provider',
    ]);
  });

  it('a custom provider needs an address', () => {
    expect(errorsOf('llm:\n  models:\n  - {name: a, provider: {custom: {formats: [{type: completions}]}}}\n')).toEqual([
      '3:15 llm.models[0].provider: a custom provider needs an address in params.baseUrl',
    ]);
  });

  it.each(['a*b', '*a*', '**', ''])('the pattern "%s" is an error', (name) => {
    expect(errorsOf(`llm:\n  models:\n  - {name: "${name}", provider: ollama}\n`)).toHaveLength(1);
  });

  it('targets of virtual models exist', () => {
    const text = (target: string) =>
      `llm:\n  models: [{name: "qwen*", provider: ollama}, {name: llama3.2, provider: ollama, visibility: internal}]\n  virtualModels:\n  - name: v\n    routing: {weighted: {targets: [{model: "${target}"}]}}\n`;
    expect(errorsOf(text('qwen3:8b'))).toEqual([]);
    expect(errorsOf(text('llama3.2:latest'))).toEqual([]);
    expect(errorsOf(text('lama3.2'))).toEqual([
      '5:44 llm.virtualModels[0].routing.weighted.targets[0].model: virtual model target lama3.2 does not match any llm.models entry; did you mean "llama3.2"?',
    ]);
  });

  it('so do those of conditional ones, and of failover ones', () => {
    const text = (routing: string) =>
      `llm:\n  models: [{name: a, provider: ollama}]\n  virtualModels: [{name: v, routing: ${routing}}]\n`;
    expect(errorsOf(text("{conditional: {targets: [{when: 'true', model: a}, {model: b}]}}"))).toEqual([
      expect.stringContaining('conditional.targets[1].model: virtual model target b does not match'),
    ]);
    expect(errorsOf(text('{failover: {targets: [{model: b, priority: 0}]}}'))).toEqual([
      expect.stringContaining('failover.targets[0].model: virtual model target b does not match'),
    ]);
  });

  it('only the last target of a conditional one may do without a condition', () => {
    const text = (targets: string) =>
      `llm:\n  models: [{name: a, provider: ollama}]\n  virtualModels: [{name: v, routing: {conditional: {targets: [${targets}]}}}]\n`;
    expect(errorsOf(text("{when: 'true', model: a}, {model: a}"))).toEqual([]);
    expect(errorsOf(text("{model: a}, {when: 'true', model: a}"))).toEqual([
      expect.stringContaining('conditional.targets[0]: a target without "when" always serves: only the last one may do without'),
    ]);
    expect(errorsOf(text("{when: 'response.code == 200', model: a}"))).toEqual([
      expect.stringContaining('targets[0].when: the model is chosen before there is an answer'),
    ]);
  });

  it('an entry that stands twice adds nothing, whatever its id and the order of its keys', () => {
    const text = (...models: string[]) => `llm:\n  models:\n${models.map((model) => `  - ${model}\n`).join('')}`;
    const warnings = (yaml: string) => found(yaml).warnings.filter((warning) => warning.includes('adds nothing'));
    expect(warnings(text('{name: a, provider: ollama, id: x}', '{provider: ollama, name: a, id: y}'))).toEqual([
      '4:5 llm.models[1]: the same as llm.models[0]: it adds nothing',
    ]);
    expect(warnings(text('{name: a, provider: ollama}', '{name: a, provider: groq}', '{name: b, provider: ollama}'))).toEqual([]);
  });

  it('virtual models have exactly one routing with targets', () => {
    const text = (routing: string) =>
      `llm:\n  models: [{name: a, provider: ollama}]\n  virtualModels:\n  - name: v\n    routing: ${routing}\n`;
    expect(errorsOf(text('{}'))).toEqual([
      '5:14 llm.virtualModels[0].routing: expected exactly one of: weighted, failover, conditional',
    ]);
    expect(errorsOf(text('{weighted: {targets: []}}'))).toEqual([
      '5:35 llm.virtualModels[0].routing.weighted.targets: expected at least one target',
    ]);
    expect(errorsOf(text('{failover: {targets: [{model: a}]}}'))).toEqual([
      '5:36 llm.virtualModels[0].routing.failover.targets[0].priority: missing; expected a number',
    ]);
  });

  it('a key that no header can carry is an error of the file, not of the start', () => {
    expect(errorsOf('llm:\n  models:\n  - {name: a, provider: openai, params: {apiKey: "sk\\tb"}}\n')).toEqual([
      '3:50 llm.models[0].params.apiKey: a key that is sent to an upstream must be plain ASCII on one line',
    ]);
  });

  it('tls and backendTLS are one thing', () => {
    expect(errorsOf('llm:\n  models:\n  - {name: a, provider: ollama, tls: {}, backendTLS: {}}\n')).toEqual([
      '3:5 llm.models[0]: tls and backendTLS are the same; keep one',
    ]);
  });
});
