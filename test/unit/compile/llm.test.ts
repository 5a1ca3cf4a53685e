import { describe, expect, test } from 'vitest';
import type { AiBackend } from '../../../src/backends/target.ts';
import { GatewayError } from '../../../src/errors.ts';
import { planOf } from '../answers/stage.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';

function llmOf(yaml: string, random: () => number = () => 0): AiBackend {
  const backend = planOf(yaml, { random }).binds[0]?.listeners[0]?.entries[0]?.route.backend;
  if (backend?.kind !== 'ai') throw new Error('no ai backend');
  return backend.ai;
}

/** Who serves a model, and what it is asked for: `name model`. */
function serving(llm: AiBackend, model: string | undefined, headers: Readonly<Record<string, string>> = {}): string[] {
  try {
    return llm.targetsFor(model, fakeExchange({ headers })).map((target) => {
      return `${target.upstream.baseUrl.replace(/^http:\/\/|:11434$/g, '')} ${target.modelFor(model, true) ?? 'none'}`;
    });
  } catch (thrown) {
    return [thrown instanceof GatewayError ? thrown.code : String(thrown)];
  }
}

const at = (name: string, host: string, rest = '') =>
  `\n    - { name: "${name}", provider: ollama, params: { hostOverride: "${host}:11434" }${rest} }`;

describe('which entry takes a name', () => {
  const llm = llmOf(`llm:
  models:${at('*', 'any')}${at('llama*', 'pattern')}${at('llama3.2', 'exact')}${at('*coder', 'ending')}${at('qwen*', 'qwen')}`);

  test.each([
    ['llama3.2', 'exact'],
    ['LLAMA3.2:latest', 'exact'],
    ['llama3.2:1b', 'pattern'],
    ['deepseek-coder', 'ending'],
    // Both take it: the ending has five fixed characters, the start four.
    ['qwen-coder', 'ending'],
    ['qwen3', 'qwen'],
    ['mistral', 'any'],
  ])('%s: %s', (model, host) => {
    expect(serving(llm, model)).toEqual([`${host} ${model}`]);
  });

  test('equally long ones as in the file, a pattern before the name too', () => {
    expect(serving(llmOf(`llm:\n  models:${at('llama3*', 'pattern')}${at('llama3', 'exact')}`), 'llama3')).toEqual([
      'pattern llama3',
    ]);
    expect(serving(llmOf(`llm:\n  models:${at('llama3', 'exact')}${at('llama3*', 'pattern')}`), 'llama3')).toEqual([
      'exact llama3',
    ]);
  });

  test('a name that no entry takes is not found', () => {
    expect(serving(llmOf(`llm:\n  models:${at('llama*', 'a')}`), 'mistral')).toEqual(['model_not_found']);
  });

  test('entries of one name serve together, others do not join', () => {
    const twins = llmOf(`llm:\n  models:${at('llama3.2', 'one')}${at('*', 'any')}${at('llama3.2', 'two')}`);
    expect(serving(twins, 'llama3.2')).toEqual(['one llama3.2', 'two llama3.2']);
  });
});

describe('matches by header', () => {
  const red =
    ', matches: [{ headers: [{ name: x-team, value: { exact: red } }] }, { headers: [{ name: x-vip, value: { exact: "1" } }] }]';
  const llm = llmOf(`llm:\n  models:${at('llama3.2', 'red', red)}${at('*', 'any')}`);

  test('one of them must hold; else the next entry is asked', () => {
    expect(serving(llm, 'llama3.2', { 'x-team': 'red' })).toEqual(['red llama3.2']);
    expect(serving(llm, 'llama3.2', { 'x-vip': '1' })).toEqual(['red llama3.2']);
    expect(serving(llm, 'llama3.2', { 'x-team': 'blue' })).toEqual(['any llama3.2']);
  });

  test('a request that names no model does not get past them', () => {
    expect(serving(llm, undefined)).toEqual(['any none']);
    expect(serving(llm, undefined, { 'x-team': 'red' })).toEqual(['red none', 'any none']);
  });
});

describe('visibility', () => {
  const llm = llmOf(`llm:
  models:
    - { name: secret, visibility: internal, provider: ollama, params: { model: hidden, hostOverride: "a:11434" } }
    - { name: open, provider: ollama, params: { model: shown, hostOverride: "b:11434" } }
  virtualModels:
    - { name: door, routing: { weighted: { targets: [{ model: secret }] } } }`);

  test('internal entries serve virtual models alone', () => {
    expect(serving(llm, 'secret')).toEqual(['model_not_found']);
    expect(serving(llm, 'door')).toEqual(['a hidden']);
    expect(serving(llm, 'Door:latest')).toEqual(['a hidden']);
    expect(serving(llm, 'open')).toEqual(['b shown']);
  });

  test('not those either who name no model', () => {
    expect(serving(llm, undefined)).toEqual(['b shown']);
  });

  test('lists name what may be asked for, and what it stands for', () => {
    expect(llm.addedModels).toEqual([
      { name: 'open', target: 'shown' },
      { name: 'door', target: 'hidden' },
    ]);
    expect(llm.listsModel('secret')).toBe(false);
    expect(llm.listsModel('open')).toBe(true);
  });
});

describe('virtual models', () => {
  const models = `llm:
  models:${at('small', 'small', '').replace('params: {', 'params: { model: "llama3.2:1b",')}${at('large*', 'large')}${at('large*', 'twin')}
  virtualModels:
    - name: smart
      routing: { weighted: { targets: [{ model: small, weight: 3 }, { model: never, weight: 0 }, { model: large-x }] } }
    - name: safe
      routing: { failover: { targets: [{ model: small, priority: 5 }, { model: large-y, priority: 1 }] } }`.replace(
    'never',
    'large-never',
  );

  test.each([
    [0, ['small llama3.2:1b']],
    [0.74, ['small llama3.2:1b']],
    [0.75, ['large large-x', 'twin large-x']],
    [0.999_999, ['large large-x', 'twin large-x']],
  ])('weighted: a draw of %s', (draw, expected) => {
    expect(
      serving(
        llmOf(models, () => draw),
        'smart',
      ),
    ).toEqual(expected);
  });

  test('failover: every target, the priorities as groups', () => {
    const found = llmOf(models).targetsFor('safe', fakeExchange());
    expect(found.map(({ upstream, group }) => [upstream.baseUrl, group])).toEqual([
      ['http://small:11434', 5],
      ['http://large:11434', 1],
      ['http://twin:11434', 1],
    ]);
    expect(serving(llmOf(models), 'safe')).toEqual(['small llama3.2:1b', 'large large-y', 'twin large-y']);
  });

  test('they come before an entry that would take their name', () => {
    const both = llmOf(`${models.replace('name: smart', 'name: small')}`);
    expect(serving(both, 'small')).toEqual(['small llama3.2:1b']);
    expect(both.addedModels.map(({ name }) => name)).toEqual(['small', 'safe']);
  });
});

describe('params and providers', () => {
  const llm = llmOf(`llm:
  providers:
    - { name: ws, provider: ollama, params: { hostOverride: "ws:11434", model: base } }
  models:
    - { name: inherits, provider: { reference: ws } }
    - { name: own, provider: { reference: ws }, params: { model: mine } }
    - { name: "free*", provider: ollama, params: { hostOverride: "ws:11434" } }`);

  test('params.model replaces the client’s name even on a box; the model’s own wins', () => {
    expect(serving(llm, 'inherits')).toEqual(['ws base']);
    expect(serving(llm, 'own')).toEqual(['ws mine']);
    expect(serving(llm, 'free-one')).toEqual(['ws free-one']);
  });

  test('one address is one upstream, called as the provider', () => {
    expect([...new Set(llm.targets.map(({ upstream }) => upstream.name))]).toEqual(['ws']);
  });
});
