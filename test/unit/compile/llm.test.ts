import { describe, expect, test } from 'vitest';
import type { AiBackend } from '../../../src/backends/target.ts';
import { GatewayError } from '../../../src/errors.ts';
import { createMemoryState } from '../../../src/state/memory.ts';
import { planOf } from '../answers/stage.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';

const broken = new GatewayError('upstream_closed', 'broke off');

function llmOf(yaml: string, random: () => number = () => 0, state = createMemoryState()): AiBackend {
  const backend = planOf(yaml, { random, state }).binds[0]?.listeners[0]?.entries[0]?.route.backend;
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

describe('who may use a model', () => {
  const rules = (who: string) => `, authorization: { rules: ['request.headers["x-a"] == "${who}"'] }`;
  const llm = llmOf(`llm:
  models:${at('gold', 'one', rules('rich'))}${at('gold', 'two', rules('royal'))}${at('gold*', 'rest', rules('anybody'))}${at('plain', 'plain')}
  virtualModels:
    - { name: best, routing: { failover: { targets: [{ model: gold, priority: 0 }, { model: plain, priority: 1 }] } } }
    - { name: some, routing: { weighted: { targets: [{ model: gold }] } } }`);
  const as = (who: string) => ({ 'x-a': who });
  const maySee = (name: string, who: string) => llm.mayUse?.(name, fakeExchange({ headers: as(who) }));

  test('the next entry that takes the name is asked otherwise, and nobody is left: 403', () => {
    expect(serving(llm, 'gold', as('rich'))).toEqual(['one gold']);
    expect(serving(llm, 'gold', as('royal'))).toEqual(['two gold']);
    expect(serving(llm, 'gold', as('anybody'))).toEqual(['rest gold']);
    expect(serving(llm, 'gold')).toEqual(['model_authorization_denied']);
    expect(serving(llm, 'silver')).toEqual(['model_not_found']);
  });

  test('it holds behind virtual models: failover goes round it, others are refused', () => {
    expect(serving(llm, 'best', as('rich'))).toEqual(['one gold', 'plain plain']);
    expect(serving(llm, 'best')).toEqual(['plain plain']);
    expect(serving(llm, 'some')).toEqual(['model_authorization_denied']);
  });

  test('and where no model is named', () => {
    expect(serving(llm, undefined, as('royal'))).toEqual(['plain none', 'two none']);
    const closed = llmOf(`llm:\n  models:${at('gold', 'one', rules('rich'))}`);
    expect(serving(closed, undefined)).toEqual(['model_authorization_denied']);
    const matched = llmOf(`llm:\n  models:${at('gold', 'one', ', matches: [{ headers: [{ name: x, value: { exact: y } }] }]')}`);
    expect(serving(matched, undefined)).toEqual(['missing_model']);
  });

  test('who may not use it does not see it', () => {
    expect([maySee('gold', 'rich'), maySee('gold', 'nobody'), maySee('plain', 'nobody'), maySee('best', 'nobody')]).toEqual([
      true,
      false,
      true,
      true,
    ]);
    expect(llmOf(`llm:\n  models:${at('a', 'one')}`).mayUse).toBeUndefined();
  });
});

describe('conditional virtual models', () => {
  const llm = llmOf(`llm:
  models:${at('small', 'small')}${at('large*', 'large')}
  virtualModels:
    - name: auto
      routing:
        conditional:
          targets:
            - { when: 'request.headers["x-size"] == "l"', model: large-x }
            - { when: 'request.headers["x-size"] == "s"', model: small }
    - { name: always, routing: { conditional: { targets: [{ when: 'false', model: large-x }, { model: small }] } } }
    - { name: broken, routing: { conditional: { targets: [{ when: 'jwt.sub == "a"', model: large-x }, { model: small }] } } }`);

  test('the first whose condition is true serves, asked for by its own name', () => {
    expect(serving(llm, 'auto', { 'x-size': 'l' })).toEqual(['large large-x']);
    expect(serving(llm, 'auto', { 'x-size': 's' })).toEqual(['small small']);
  });

  test('none: 400, unless the last one has no condition; what cannot be evaluated is not true', () => {
    expect(serving(llm, 'auto')).toEqual(['virtual_model_no_matching_target']);
    expect(serving(llm, 'always')).toEqual(['small small']);
    expect(serving(llm, 'broken')).toEqual(['small small']);
  });
});

describe('failover virtual models', () => {
  const yaml = `llm:
  models:${at('*', 'one')}${at('b', 'two').replace('params: {', 'params: { model: two-b,')}
  virtualModels:
    - name: safe
      routing: { failover: { targets: [{ model: a, priority: 0 }, { model: c, priority: 0 }, { model: b, priority: 1 }] } }`;

  test('move on within the request, share the load of a priority, and know each model by itself', () => {
    const llm = llmOf(yaml);
    const found = llm.targetsFor('safe', fakeExchange());
    expect(found.map(({ failsOver, group }) => [failsOver, group])).toEqual([
      [true, 0],
      [true, 0],
      [true, 1],
    ]);
    const [a, c, b] = found;
    expect(a?.pool).toBeDefined();
    expect([c?.pool, b?.pool]).toEqual([a?.pool, a?.pool]);
    const exchange = fakeExchange();
    a?.health?.failed(exchange, broken);
    const sick = found.map((one) => one.health?.report(0).consecutiveFailures);
    expect(sick).toEqual([1, 0, 0]);
    // The same again for the next request.
    expect(llm.targetsFor('safe', fakeExchange())[0]?.health?.report(0).consecutiveFailures).toBe(1);
  });

  test('entries asked for by themselves do not move on', () => {
    expect(llmOf(yaml).targetsFor('b', fakeExchange())[0]?.failsOver).toBe(false);
  });
});

describe('health', () => {
  test('outlives a reload that adds other things, and is shared by nobody else', () => {
    const state = createMemoryState();
    const yaml = (models: string) => `llm:\n  models:${models}`;
    const sick = ', health: { eviction: { duration: 1h } }';
    const before = llmOf(yaml(at('a', 'one', sick)), undefined, state).targetsFor('a', fakeExchange())[0];
    before?.health?.failed(fakeExchange(), broken);
    const after = llmOf(yaml(at('new', 'two', sick) + at('a', 'one', sick)), undefined, state);
    expect(after.targetsFor('a', fakeExchange())[0]?.health?.isEvicted(0)).toBe(true);
    expect(after.targetsFor('new', fakeExchange())[0]?.health?.isEvicted(0)).toBe(false);
  });

  test('so does that of the models behind a virtual one', () => {
    const state = createMemoryState();
    const yaml = `llm:
  models:${at('*', 'one', ', health: { eviction: { duration: 1h } }')}
  virtualModels: [{ name: v, routing: { failover: { targets: [{ model: a, priority: 0 }, { model: b, priority: 1 }] } } }]`;
    llmOf(yaml, undefined, state).targetsFor('v', fakeExchange())[0]?.health?.failed(fakeExchange(), broken);
    const after = llmOf(yaml, undefined, state);
    // As a reload does it; twice, because the first one only forgets what was there before.
    state.sweep();
    llmOf(yaml, undefined, state);
    state.sweep();
    expect(after.targetsFor('v', fakeExchange()).map(({ health }) => health?.isEvicted(0))).toEqual([true, false]);
    expect(llmOf(yaml, undefined, state).targetsFor('v', fakeExchange())[0]?.health?.isEvicted(0)).toBe(true);
  });
});

describe('what is said of it', () => {
  const warningsOf = (yaml: string) => planOf(yaml).warnings.filter((warning) => warning.startsWith('llm'));

  test('failover between models of one upstream', () => {
    const virtual = (targets: string) => `
  virtualModels: [{ name: v, routing: { failover: { targets: [${targets}] } } }]`;
    const two = '{ model: a, priority: 0 }, { model: b, priority: 1 }';
    expect(warningsOf(`llm:\n  models:${at('a', 'one')}${at('b', 'one')}${virtual(two)}`)).toEqual([
      'llm.virtualModels[0]: all its targets are at ollama: when that fails, all of them do',
    ]);
    expect(warningsOf(`llm:\n  models:${at('a', 'one')}${at('b', 'two')}${virtual(two)}`)).toEqual([]);
  });

  test('rules that somebody else takes the meaning from', () => {
    const rules = ', authorization: { rules: [\'apiKey.name == "ann"\'] }';
    const warning = (open: string) =>
      `llm.models[0].authorization: does not keep anybody from the name: whoever the rules refuse is served by "${open}", which takes it as well and has none`;
    const said = (more: string) => warningsOf(`llm:\n  models:${at('gold', 'one', rules)}${more}`);
    expect(said(at('*', 'two'))).toEqual([warning('*')]);
    expect(said(at('gold', 'two'))).toEqual([warning('gold')]);
    expect(said(at('*', 'two', rules))).toEqual([]);
    expect(said(at('silver*', 'two'))).toEqual([]);
    expect(said(at('*', 'two', ', visibility: internal'))).toEqual([]);
  });

  test('weights that are all 0', () => {
    const yaml = `llm:
  models:${at('a', 'one')}
  virtualModels: [{ name: v, routing: { weighted: { targets: [{ model: a, weight: 0 }] } } }]`;
    expect(warningsOf(yaml)).toEqual(['llm.virtualModels[0]: every weight is 0: nothing is ever served']);
  });

  test('what does nothing where calls pass as they came', () => {
    const more =
      ', passthrough: detect, defaults: { temperature: 1 }, guardrails: { request: [{ regex: { rules: [{ builtin: email }] } }] }';
    expect(warningsOf(`llm:\n  models:${at('a', 'one', more).replace('params: {', 'params: { model: b,')}`)).toEqual([
      'llm.models[0]: passthrough: detect leaves bodies as they are, so these do nothing here: defaults, guardrails, params.model',
    ]);
    expect(warningsOf(`llm:\n  models:${at('a', 'one', ', passthrough: opaque')}`)).toEqual([]);
  });
});
