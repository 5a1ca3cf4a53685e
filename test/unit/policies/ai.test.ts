import { describe, expect, it } from 'vitest';
import { ai, compileModelAliases, compileRouteTypes, modelDefaultOf, modelOverrideOf } from '../../../src/policies/ai.ts';
import { bodyTextOf, fakeAttempt, fakeScope } from './fake-exchange.ts';

const scope = fakeScope();

function edited(options: unknown, body: string): string {
  const attempt = fakeAttempt({ body });
  ai.onAttempt?.(ai.options.parse(options), scope)?.(attempt);
  return bodyTextOf(attempt);
}

describe('ai.defaults and ai.overrides', () => {
  const options = {
    defaults: { temperature: 0.5, max_tokens: 100, options: { num_ctx: 4096 } },
    overrides: { seed: 7, top_p: 0.1 },
  };

  it('set what is absent, and replace what is meant to be replaced', () => {
    expect(JSON.parse(edited(options, '{"model":"m","messages":[]}'))).toEqual({
      model: 'm',
      messages: [],
      temperature: 0.5,
      max_tokens: 100,
      options: { num_ctx: 4096 },
      seed: 7,
      top_p: 0.1,
    });
    expect(JSON.parse(edited(options, '{"temperature":1,"seed":1,"top_p":1,"options":{"x":1}}'))).toEqual({
      temperature: 1,
      seed: 7,
      top_p: 0.1,
      options: { x: 1 },
      max_tokens: 100,
    });
  });

  it('take an explicit null for present', () => {
    expect(JSON.parse(edited({ defaults: { temperature: 0.5 } }, '{"temperature":null}'))).toEqual({ temperature: null });
  });

  it('see members however they are spelled', () => {
    expect(edited({ defaults: { temperature: 0.5 } }, '{"TEMPERATURE":1}')).toBe('{"TEMPERATURE":1}');
    expect(JSON.parse(edited({ defaults: { Temperature: 0.5 } }, '{"temperature":1}'))).toEqual({ temperature: 1 });
  });

  it('let an override win over a default of the same name', () => {
    expect(JSON.parse(edited({ defaults: { seed: 1 }, overrides: { seed: 2 } }, '{}'))).toEqual({ seed: 2 });
  });

  it('write null where null is meant', () => {
    expect(JSON.parse(edited({ overrides: { user: null } }, '{"user":"a"}'))).toEqual({ user: null });
  });

  it('never touch the model, and leave the rest letter by letter', () => {
    const body = '{ "model" : "m",  "seed":12345678901234567890 }';
    expect(edited({ defaults: { model: 'd' }, overrides: { MODEL: 'o' } }, body)).toBe(body);
    expect(edited({ overrides: { x: 1 } }, body)).toContain('12345678901234567890');
  });

  it('do nothing where there is no JSON body', () => {
    const attempt = fakeAttempt();
    ai.onAttempt?.(ai.options.parse(options), scope)?.(attempt);
    expect(attempt.body).toBeUndefined();
  });

  it('tell the compiler about the model', () => {
    const options = ai.options.parse({ defaults: { model: 'd' }, overrides: { Model: 'o' } });
    expect([modelDefaultOf(options), modelOverrideOf(options)]).toEqual(['d', 'o']);
    expect([modelDefaultOf({}), modelOverrideOf({})]).toEqual([undefined, undefined]);
    expect(ai.options.safeParse({ defaults: { model: 5 } }).error?.issues[0]?.path).toEqual(['defaults', 'model']);
    expect(ai.options.safeParse({ overrides: { model: ' ' } }).success).toBe(false);
  });
});

describe('ai.modelAliases', () => {
  const resolve = compileModelAliases({
    'gpt-*': 'llama3.2',
    'gpt-4*': 'llama3.1:70b',
    '*-mini': 'tiny',
    'gpt-4o': 'exact',
    fast: 'llama3.2:1b',
    'a*b*c': 'many',
  });

  it.each([
    ['fast', 'llama3.2:1b'],
    ['FAST', 'llama3.2:1b'],
    [' fast:latest ', 'llama3.2:1b'],
    ['fast:1b', 'fast:1b'],
    ['gpt-4o', 'exact'],
    ['gpt-4o:latest', 'exact'],
    ['gpt-4-turbo', 'llama3.1:70b'],
    ['gpt-4.1-mini', 'llama3.1:70b'],
    ['gpt-5-mini', 'tiny'],
    ['gpt-5', 'llama3.2'],
    ['GPT-5', 'llama3.2'],
    ['phi-mini', 'tiny'],
    ['a1b2c', 'many'],
    ['ac', 'ac'],
    ['other', 'other'],
    ['Other ', 'Other '],
  ])('%s is %s', (model, expected) => {
    expect(resolve(model)).toBe(expected);
  });

  it('take the target as it is: an alias of an alias is not resolved', () => {
    expect(compileModelAliases({ a: 'b', b: 'c' })('a')).toBe('b');
  });

  it('take long hostile names in their stride', () => {
    const hostile = `a${'b'.repeat(100_000)}`;
    // With a regular expression of eight `.*` this would not end before the test runner's patience does.
    expect(compileModelAliases({ 'a*b*b*b*b*b*b*bx': 't' })(hostile)).toBe(hostile);
  });

  it('are none unless given', () => {
    expect(compileModelAliases()('x')).toBe('x');
    expect(compileModelAliases({ '*': 'all' })('x')).toBe('all');
  });
});

describe('ai.routes', () => {
  const typeOf = compileRouteTypes({
    '/completions': 'passthrough',
    '/v1/chat/completions': 'completions',
    '/v1/messages': 'messages',
    '/v1/messages/count_tokens': 'anthropicTokenCount',
  });

  it.each([
    ['/v1/chat/completions', 'completions'],
    ['/ollama/v1/chat/completions', 'completions'],
    ['/v1/completions', 'passthrough'],
    ['/v1/messages', 'messages'],
    ['/v1/messages/count_tokens', 'anthropicTokenCount'],
    ['/v1/embeddings', undefined],
    ['/v1/chat/completions/', undefined],
  ])('%s is %s', (path, expected) => {
    expect(typeOf(path)).toBe(expected);
  });

  it('"*" is the rest', () => {
    const withRest = compileRouteTypes({ '*': 'passthrough', '/v1/embeddings': 'embeddings' });
    expect([withRest('/v1/embeddings'), withRest('/x')]).toEqual(['embeddings', 'passthrough']);
    expect(compileRouteTypes()('/x')).toBeUndefined();
  });

  it('take the types that agentgateway documents, and refuse by name those not supported yet', () => {
    const types = [
      'completions',
      'messages',
      'models',
      'passthrough',
      'detect',
      'responses',
      'embeddings',
      'anthropicTokenCount',
    ];
    for (const type of types) expect(ai.options.safeParse({ routes: { '/x': type } }).success).toBe(true);
    for (const type of ['realtime', 'generateContent', 'geminiCountTokens', 'rerank']) {
      expect(ai.options.safeParse({ routes: { '/x': type } }).error?.issues[0]).toMatchObject({
        path: ['routes', '/x'],
        message: `"${type}" is known to agentgateway, not supported yet`,
      });
    }
    expect(ai.options.safeParse({ routes: { '/x': 'chat' } }).error?.issues[0]?.message).toBe(
      'expected one of completions, messages, responses, embeddings, models, anthropicTokenCount, passthrough, detect',
    );
  });

  it.each(['transformations', 'finalTransformations', 'prompts', 'promptCaching', 'promptGuard'])(
    '%s is refused by name',
    (name) => {
      expect(ai.options.safeParse({ [name]: {} }).error?.issues).toMatchObject([
        { path: [name], message: 'known to agentgateway, not supported yet' },
      ]);
    },
  );
});
