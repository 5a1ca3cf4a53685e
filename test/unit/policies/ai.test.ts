import { describe, expect, it } from 'vitest';
import type { Protocol } from '../../../src/exchange.ts';
import {
  type AiOptions,
  ai,
  compileModelAliases,
  compileRouteTypes,
  modelDefaultOf,
  modelOverrideOf,
} from '../../../src/policies/ai.ts';
import { anthropicMessages } from '../../../src/protocols/anthropic-messages.ts';
import { ollamaChat } from '../../../src/protocols/ollama-chat.ts';
import { ollamaGenerate } from '../../../src/protocols/ollama-generate.ts';
import { openaiChat } from '../../../src/protocols/openai-chat.ts';
import { openaiCompletions } from '../../../src/protocols/openai-completions.ts';
import { openaiResponses } from '../../../src/protocols/openai-responses.ts';
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

  it("on Ollama's own paths parameters go where Ollama reads them: a ceiling binds there, too", () => {
    const attempt = fakeAttempt({ body: '{"messages":[],"options":{"num_predict":-1}}', protocol: ollamaChat });
    const given = { overrides: { max_tokens: 100 }, defaults: { temperature: 0.5, options: { num_ctx: 4096 } } };
    ai.onAttempt?.(ai.options.parse(given), scope)?.(attempt);
    expect(JSON.parse(bodyTextOf(attempt))).toEqual({
      messages: [],
      options: { num_predict: 100, temperature: 0.5, num_ctx: 4096 },
    });
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
        message: `"${type}" is known to agentgateway, not supported: of its protocols Corral speaks OpenAI's and Anthropic's over HTTP`,
      });
    }
    expect(ai.options.safeParse({ routes: { '/x': 'chat' } }).error?.issues[0]?.message).toBe(
      'expected one of completions, messages, responses, embeddings, models, anthropicTokenCount, passthrough, detect',
    );
  });
});

describe('ai.transformations', () => {
  const body = '{"model":"m","max_tokens":900,"temperature":1,"n":12345678901234567890}';
  const edited = (given: object, text = body, headers: Record<string, string> = {}) => {
    const attempt = fakeAttempt({ body: text, headers });
    attempt.exchange.call = { bytes: new TextEncoder().encode(text) } as never;
    ai.onAttempt?.(ai.options.parse(given), scope)?.(attempt);
    return bodyTextOf(attempt);
  };

  it('are computed from the call as it came, and run after overrides and before defaults', () => {
    const transformations = {
      max_tokens: 'llmRequest.max_tokens > 500 ? 500 : llmRequest.max_tokens',
      user: 'request.headers["x-user"]',
      seed: '1.5',
    };
    const given = { overrides: { temperature: 0, max_tokens: 7 }, transformations, defaults: { seed: 3, top_p: 1 } };
    expect(edited(given, body, { 'x-user': 'jo' })).toBe(
      '{"model":"m","max_tokens":500,"temperature":0,"n":12345678901234567890,"user":"jo","seed":1.5,"top_p":1}',
    );
  });

  it('take a member away where they fail, and give lists and objects', () => {
    expect(edited({ transformations: { temperature: 'llmRequest.nothing', stop: '["a", "b"]', x: '{"a": [1, true]}' } })).toBe(
      '{"model":"m","max_tokens":900,"n":12345678901234567890,"stop":["a","b"],"x":{"a":[1,true]}}',
    );
  });

  it('final ones read and write the body as the upstream gets it', () => {
    const attempt = fakeAttempt({ body: '{"model":"up","max_tokens":5}' });
    attempt.exchange.call = { bytes: new TextEncoder().encode(body) } as never;
    const options = ai.options.parse({
      finalTransformations: { max_tokens: 'llmRequest.max_tokens + 1', model: '"x-" + llmRequest.model' },
    });
    ai.onTranslated?.(options, scope)?.(attempt);
    expect(bodyTextOf(attempt)).toBe('{"model":"x-up","max_tokens":6}');
    expect(ai.onTranslated?.(ai.options.parse({}), scope)).toBeUndefined();
  });

  it('an expression that is none is an error at its place', () => {
    expect(ai.options.safeParse({ transformations: { a: '1 +' } }).error?.issues[0]?.path).toEqual(['transformations', 'a']);
  });
});

describe('ai.prompts', () => {
  const prompts = {
    prepend: [
      { role: 'system', content: 'be nice' },
      { role: 'user', content: 'first' },
    ],
    append: [{ role: 'user', content: 'bye' }],
  };
  const withPrompts = (protocol: Protocol, body: object, given: object = prompts) => {
    const attempt = Object.assign(fakeAttempt({ body: JSON.stringify(body) }), { protocol });
    ai.onAttempt?.(ai.options.parse({ prompts: given }), scope)?.(attempt);
    return JSON.parse(bodyTextOf(attempt));
  };
  const [system, first, bye] = [...prompts.prepend, ...prompts.append];
  const hi = { role: 'user', content: 'hi' };

  it('stand around the messages of chats', () => {
    for (const protocol of [openaiChat, ollamaChat]) {
      expect(withPrompts(protocol, { messages: [hi] })).toEqual({ messages: [system, first, hi, bye] });
    }
    expect(withPrompts(openaiChat, {})).toEqual({ messages: [system, first, bye] });
    // Without messages Ollama loads the model, or unloads it.
    expect(withPrompts(ollamaChat, { keep_alive: 0 })).toEqual({ keep_alive: 0 });
    expect(withPrompts(ollamaChat, { messages: [] })).toEqual({ messages: [] });
    expect(withPrompts(openaiChat, { messages: 'x' })).toEqual({ messages: 'x' });
  });

  it('of Anthropic: systems beside the messages', () => {
    const text = (value: string) => ({ type: 'text', text: value });
    expect(withPrompts(anthropicMessages, { system: 'own', messages: [hi] })).toEqual({
      system: [text('be nice'), text('own')],
      messages: [first, hi, bye],
    });
    expect(withPrompts(anthropicMessages, { system: [text('own')], messages: [hi] }, { append: [system] })).toEqual({
      system: [text('own'), text('be nice')],
      messages: [hi],
    });
    expect(withPrompts(anthropicMessages, { messages: [hi] }, { prepend: [system] })).toEqual({
      system: [text('be nice')],
      messages: [hi],
    });
  });

  it('of Responses: items of the input', () => {
    expect(withPrompts(openaiResponses, { input: 'hi' })).toEqual({ input: [system, first, hi, bye] });
    expect(withPrompts(openaiResponses, { input: [hi] })).toEqual({ input: [system, first, hi, bye] });
  });

  it('of prompts: paragraphs around them', () => {
    expect(withPrompts(ollamaGenerate, { prompt: 'hi', system: 'own' })).toEqual({
      prompt: 'first\n\nhi\n\nbye',
      system: 'be nice\n\nown',
    });
    expect(withPrompts(ollamaGenerate, { model: 'm' })).toEqual({ model: 'm' });
    expect(withPrompts(openaiCompletions, { prompt: 'hi' })).toEqual({ prompt: 'be nice\n\nfirst\n\nhi\n\nbye' });
    expect(withPrompts(openaiCompletions, { prompt: ['a', 'b'] })).toEqual({
      prompt: ['be nice\n\nfirst\n\na\n\nbye', 'be nice\n\nfirst\n\nb\n\nbye'],
    });
  });

  it('are guarded like what the client sent', () => {
    const attempt = Object.assign(fakeAttempt({ body: JSON.stringify({ messages: [hi] }) }), { protocol: openaiChat });
    const promptGuard = { request: [{ regex: { rules: [{ pattern: 'nice|hi' }] } }] };
    ai.onAttempt?.(ai.options.parse({ prompts, promptGuard }), scope)?.(attempt);
    expect(bodyTextOf(attempt)).toContain('be <masked>');
    expect(bodyTextOf(attempt)).toContain('"content":"<masked>"');
  });
});

describe('ai as a whole', () => {
  it('says that promptCaching has no effect', () => {
    const warnings: string[] = [];
    ai.onAttempt?.(ai.options.parse({ promptCaching: { cacheTools: true } }), fakeScope({ warn: (text) => warnings.push(text) }));
    expect(warnings).toEqual(['promptCaching has no effect: only Amazon Bedrock knows it']);
  });

  it('member by member the inner place wins; guards and prompts are not mixed', () => {
    const parse = (given: object) => ai.options.parse(given);
    const inherits = ai.inherits as (outer: AiOptions, inner: AiOptions) => AiOptions;
    const outer = parse({
      defaults: { a: 1 },
      prompts: { prepend: [{ role: 'user', content: 'x' }] },
      promptGuard: { request: [{ regex: { rules: [{ builtin: 'ssn' }] } }] },
      transformations: { a: '1' },
    });
    const inner = parse({ defaults: { b: 2 }, promptGuard: { response: [{ regex: { rules: [{ builtin: 'email' }] } }] } });
    const merged = inherits(outer, inner);
    expect(merged.defaults).toEqual({ a: 1, b: 2 });
    expect(merged.prompts).toBe(outer.prompts);
    expect(merged.promptGuard).toBe(inner.promptGuard);
    expect(Object.keys(merged.transformations ?? {})).toEqual(['a']);
    expect(inherits(outer, parse({})).promptGuard).toBe(outer.promptGuard);
  });
});
