import { describe, expect, test } from 'vitest';
import { gatewayErrorOf } from '../../../../src/errors.ts';
import type { Attempt, Exchange, Protocol, Telemetry } from '../../../../src/exchange.ts';
import { noTelemetry } from '../../../../src/exchange.ts';
import type { SideCall } from '../../../../src/http/side-calls.ts';
import { promptGuardField } from '../../../../src/policies/guards/options.ts';
import { createPromptGuard } from '../../../../src/policies/guards/prompt-guard.ts';
import { anthropicMessages } from '../../../../src/protocols/anthropic-messages.ts';
import { ollamaChat } from '../../../../src/protocols/ollama-chat.ts';
import { ollamaGenerate } from '../../../../src/protocols/ollama-generate.ts';
import { openaiChat } from '../../../../src/protocols/openai-chat.ts';
import { openaiCompletions } from '../../../../src/protocols/openai-completions.ts';
import { openaiEmbeddings } from '../../../../src/protocols/openai-embeddings.ts';
import { openaiResponses } from '../../../../src/protocols/openai-responses.ts';
import { bodyTextOf, fakeAttempt, fakeScope } from '../fake-exchange.ts';

interface World {
  readonly calls: SideCall[];
  readonly checks: string[];
  readonly warnings: string[];
  /** The request as it would leave, or the error. */
  request(body: object, protocol?: Protocol, headers?: Record<string, string>): Promise<string>;
  attempt(body: object, protocol?: Protocol, headers?: Record<string, string>): Attempt;
  guard(attempt: Attempt): Promise<void>;
  /** The answer as the client gets it. */
  answer(body: object | string, protocol?: Protocol, status?: number): Promise<string>;
}

/** `answers`: what the webhook or the moderation server says, one after the other; an Error is thrown. */
function world(given: object, answers: readonly (object | string | Error)[] = []): World {
  const calls: SideCall[] = [];
  const checks: string[] = [];
  const warnings: string[] = [];
  const left = [...answers];
  const scope = fakeScope({
    warn: (message) => warnings.push(message),
    serverOf: (ref) => ({
      name: JSON.stringify(ref),
      baseUrl: ref.kind === 'host' ? `http://${ref.host.authority}` : `http://${ref.name}`,
      tls: undefined,
      headers: {},
    }),
    sideCalls: {
      async call(call) {
        calls.push(call);
        const answer = left.shift();
        if (answer === undefined) throw new Error('not scripted');
        if (answer instanceof Error) throw answer;
        const text = typeof answer === 'string' ? answer : JSON.stringify(answer);
        return { status: 200, headers: new Headers(), bytes: new TextEncoder().encode(text) };
      },
    },
  });
  const guard = createPromptGuard(promptGuardField.parse(given), scope);
  const telemetry: Telemetry = { ...noTelemetry, guardCheck: (phase, action) => checks.push(`${phase} ${action}`) };
  const world: World = {
    calls,
    checks,
    warnings,
    attempt(body, protocol = openaiChat, headers = {}) {
      const made = fakeAttempt({ body: JSON.stringify(body), path: protocol.path, headers });
      const exchange: Exchange = Object.assign(made.exchange, { telemetry, protocol });
      return Object.assign(made, { exchange, protocol });
    },
    async guard(attempt) {
      await guard?.(attempt, () => ({ model: 'm' }));
    },
    async request(body, protocol, headers) {
      const attempt = world.attempt(body, protocol, headers);
      return settle(async () => {
        await world.guard(attempt);
        return bodyTextOf(attempt);
      });
    },
    async answer(body, protocol = openaiChat, status = 200) {
      const attempt = world.attempt({ model: 'm', messages: [] }, protocol);
      return settle(async () => {
        await world.guard(attempt);
        let text = typeof body === 'string' ? body : JSON.stringify(body);
        for (const rewrite of attempt.rewrites ?? []) ({ text } = await rewrite.whole(text, status));
        return text;
      });
    },
  };
  return world;
}

async function settle(work: () => Promise<string>): Promise<string> {
  try {
    return await work();
  } catch (thrown) {
    const { code, status, message, headers, verbatim } = gatewayErrorOf(thrown);
    return `${code} ${status} ${JSON.stringify({ message, headers, verbatim })}`;
  }
}

const emails = { regex: { rules: [{ builtin: 'email' }, { pattern: 'secret-[0-9]+' }] } };
const user = (content: unknown) => ({ messages: [{ role: 'user', content }] });

describe('regex guards of requests', () => {
  test('mask, and say so', async () => {
    const { request, checks } = world({ request: [emails] });
    expect(await request(user('mail a@b.com, secret-42 x secret-43'))).toBe(
      JSON.stringify(user('mail <EMAIL_ADDRESS>, <masked> x <masked>')),
    );
    expect(await request(user('nothing'))).toBe(JSON.stringify(user('nothing')));
    expect(checks).toEqual(['Request Mask', 'Request Allow']);
  });

  test('leave everything else as it is, byte by byte', async () => {
    const body = '{"n":12345678901234567890, "messages" : [ {"content":"a@b.cd" ,"role":"user","x":{"A":1,"a":2}} ]}';
    const made = world({ request: [emails] });
    const attempt = Object.assign(fakeAttempt({ body }), { protocol: openaiChat });
    await made.guard(attempt);
    expect(bodyTextOf(attempt)).toBe(body.replace('a@b.cd', '<EMAIL_ADDRESS>'));
  });

  test('rules and guards chain on what is left', async () => {
    const chain = { regex: { rules: [{ pattern: 'b' }, { pattern: '<masked>c' }] } };
    expect(await world({ request: [chain] }).request(user('abc'))).toBe(JSON.stringify(user('a<masked>')));
    const { request } = world({ request: [emails, { regex: { action: 'reject', rules: [{ builtin: 'email' }] } }] });
    expect(await request(user('a@b.com'))).toContain('<EMAIL_ADDRESS>');
  });

  test('what matches nothing masks nothing', async () => {
    expect(await world({ request: [{ regex: { rules: [{ pattern: 'z*' }] } }] }).request(user('abc'))).toBe(
      JSON.stringify(user('abc')),
    );
  });

  test('reject with an error of the client’s protocol, or with the body that is configured', async () => {
    const rules = [{ pattern: 'bomb' }];
    const plain = world({ request: [{ regex: { action: 'reject', rules } }] });
    expect(await plain.request(user('a bomb'))).toBe(
      'guard_rejected 403 {"message":"The request was rejected due to inappropriate content","headers":{}}',
    );
    expect(plain.checks).toEqual(['Request Reject']);
    const own = world({
      request: [
        {
          regex: { action: 'reject', rules },
          rejection: {
            body: '{"no":1}',
            status: 422,
            headers: {
              set: { 'Content-Type': 'application/json', 'x-a': '1' },
              add: { 'x-a': '0', 'X-B': '2' },
              remove: ['x-b'],
            },
          },
        },
      ],
    });
    expect(await own.request(user('a bomb'))).toBe(
      'guard_rejected 422 {"message":"{\\"no\\":1}","headers":{"x-a":"1","content-type":"application/json"},"verbatim":{"text":"{\\"no\\":1}"}}',
    );
  });

  test('a secret across the parts of one message is found; across messages it is none', async () => {
    const { request } = world({ request: [{ regex: { rules: [{ builtin: 'creditCard' }] } }] });
    const parts = (...texts: string[]) => user(texts.map((text) => ({ type: 'text', text })));
    expect(await request(parts('card 4111 1111', '1111 1111 ok'))).toBe(JSON.stringify(parts('card <CREDIT_CARD> ok', '')));
    const apart = { messages: ['4111 1111', '1111 1111'].map((content) => ({ role: 'user', content })) };
    expect(await request(apart)).toBe(JSON.stringify(apart));
  });

  test('losing spellings do not carry anything past', async () => {
    const { request } = world({ request: [{ regex: { action: 'reject', rules: [{ pattern: 'bomb' }] } }] });
    const messages = [{ role: 'user', content: 'fine', CONTENT: 'bomb' }];
    expect(await request({ messages })).toContain('guard_rejected');
    expect(await request({ messages: [{ role: 'user', CONTENT: 'bomb', content: 'fine' }] })).toBe(
      '{"messages":[{"role":"user","content":"fine"}]}',
    );
    expect(await request({ MESSAGES: [{ Role: 'user', Content: [{ TEXT: 'a bomb' }] }] })).toContain('guard_rejected');
  });

  test('look at systemPrompt and messages unless scope says otherwise', async () => {
    const body = {
      messages: [
        { role: 'system', content: 's@x.yz' },
        { role: 'user', content: 'u@x.yz' },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'a@x.yz', function: { name: 'f', arguments: '{"to":"i@x.yz"}' } }],
        },
        { role: 'tool', content: 'o@x.yz' },
      ],
    };
    const maskedIn = async (scope?: readonly string[]) => {
      const text = await world({ request: [{ ...emails, ...(scope && { scope }) }] }).request(body);
      return ['s', 'u', 'i', 'o'].filter((letter) => !text.includes(`${letter}@x.yz`)).join('');
    };
    expect(await maskedIn()).toBe('su');
    expect(await maskedIn(['systemPrompt'])).toBe('s');
    expect(await maskedIn(['messages'])).toBe('u');
    expect(await maskedIn(['toolInput', 'toolOutput'])).toBe('io');
  });
});

describe('texts of the other protocols', () => {
  const all = ['systemPrompt', 'messages', 'toolInput', 'toolOutput'];
  const masked = (body: object, protocol: Protocol, scope: readonly string[] = all) =>
    world({ request: [{ ...emails, scope }] }).request(body, protocol);

  test('Anthropic: system, blocks, tools', async () => {
    const body = {
      system: [{ type: 'text', text: 'a@x.yz' }],
      messages: [
        { role: 'user', content: 'b@x.yz' },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'c@x.yz' },
            { type: 'image', source: { type: 'base64', data: 'd@x.yz' } },
            { type: 'tool_use', id: 'e@x.yz', name: 'f', input: { deep: ['g@x.yz'] } },
            { type: 'tool_result', tool_use_id: 't', content: [{ type: 'text', text: 'h@x.yz' }] },
            { type: 'thinking', thinking: 'i@x.yz', signature: 'j@x.yz' },
          ],
        },
      ],
    };
    const left = (await masked(body, anthropicMessages)).match(/[a-z]@x\.yz/g);
    expect(left).toEqual(['d@x.yz', 'e@x.yz', 'j@x.yz']);
    expect((await masked(body, anthropicMessages, ['toolInput'])).includes('g@x.yz')).toBe(false);
    expect((await masked(body, anthropicMessages, ['toolOutput'])).match(/[a-z]@x\.yz/g)?.join('')).not.toContain('h@');
    expect(await masked({ system: 'a@x.yz', messages: [] }, anthropicMessages)).toContain('<EMAIL_ADDRESS>');
  });

  test('Responses: instructions, a text, items of every kind', async () => {
    const body = {
      instructions: 'a@x.yz',
      input: [
        { role: 'user', content: 'b@x.yz' },
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'c@x.yz' },
            { type: 'input_image', image_url: 'd@x.yz' },
          ],
        },
        { type: 'function_call', call_id: 'e@x.yz', name: 'f', arguments: '"g@x.yz"' },
        { type: 'function_call_output', call_id: 'k', output: 'h@x.yz' },
        { type: 'reasoning', summary: [{ type: 'summary_text', text: 'i@x.yz' }], encrypted_content: 'j@x.yz' },
      ],
    };
    expect((await masked(body, openaiResponses)).match(/[a-z]@x\.yz/g)).toEqual(['d@x.yz', 'e@x.yz', 'j@x.yz']);
    expect((await masked(body, openaiResponses, ['toolOutput'])).match(/[a-z]@x\.yz/g)?.join('')).not.toContain('h@');
    expect(await masked({ input: 'a@x.yz' }, openaiResponses)).toBe('{"input":"<EMAIL_ADDRESS>"}');
  });

  test('completions and Ollama’s own', async () => {
    expect(await masked({ prompt: ['a@x.yz', 'b'], suffix: 'c@x.yz' }, openaiCompletions)).toBe(
      '{"prompt":["<EMAIL_ADDRESS>","b"],"suffix":"<EMAIL_ADDRESS>"}',
    );
    expect(await masked({ prompt: 'a@x.yz', system: 'b@x.yz', template: 'c@x.yz', images: ['d@x.yz'] }, ollamaGenerate)).toBe(
      '{"prompt":"<EMAIL_ADDRESS>","system":"<EMAIL_ADDRESS>","template":"<EMAIL_ADDRESS>","images":["d@x.yz"]}',
    );
    const chat = {
      messages: [
        { role: 'user', content: 'a@x.yz', images: ['b@x.yz'] },
        { role: 'assistant', thinking: 'c@x.yz', tool_calls: [{ function: { name: 'f', arguments: { to: 'd@x.yz' } } }] },
      ],
    };
    expect((await masked(chat, ollamaChat)).match(/[a-z]@x\.yz/g)).toEqual(['b@x.yz']);
  });

  test('embeddings are not guarded, as in agentgateway', async () => {
    expect(await masked({ input: 'a@x.yz' }, openaiEmbeddings)).toBe('{"input":"a@x.yz"}');
  });
});

describe('webhooks of requests', () => {
  const webhook = { target: { host: 'hook:8000' } };
  const hook = (more = {}, rest = {}) => ({ request: [{ webhook: { ...webhook, ...more }, ...rest }] });
  const body = {
    messages: [
      { role: 'system', content: 'be nice' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'my' },
          { type: 'text', text: 'secret' },
        ],
      },
    ],
  };
  const textOf = (call: SideCall | undefined) => new TextDecoder().decode(call?.body);

  test('are shown the conversation; what they pass leaves unchanged', async () => {
    const { request, calls, checks } = world(hook(), [{ action: { reason: 'fine' } }]);
    expect(await request(body)).toBe(JSON.stringify(body));
    expect(calls[0]).toMatchObject({
      method: 'POST',
      path: '/request',
      timeoutMs: 10_000,
      headers: { 'content-type': 'application/json' },
    });
    expect(calls[0]?.server.baseUrl).toBe('http://hook:8000');
    expect(textOf(calls[0])).toBe(
      '{"body":{"messages":[{"role":"system","content":"be nice"},{"role":"user","content":"my secret"}]}}',
    );
    expect(checks).toEqual(['Request Allow']);
  });

  test('mask: in the same messages, or with others in their place', async () => {
    const messages = [
      { role: 'system', content: 'be nice' },
      { role: 'user', content: 'my ***' },
    ];
    const { request, checks } = world(hook(), [
      { action: { body: { messages }, reason: 'r' } },
      { action: { body: { messages: [messages[1]] } } },
    ]);
    expect(JSON.parse(await request(body)).messages[1].content).toEqual([
      { type: 'text', text: 'my ***' },
      { type: 'text', text: '' },
    ]);
    expect(JSON.parse(await request(body)).messages).toEqual([messages[1]]);
    expect(checks).toEqual(['Request Mask', 'Request Mask']);
  });

  test('reject with their own words', async () => {
    const { request, checks } = world(hook(), [{ action: { body: 'go away', status_code: 451, reason: 'r' } }]);
    expect(await request(body)).toBe('guard_rejected 451 {"message":"go away","verbatim":{"text":"go away"}}');
    expect(checks).toEqual(['Request Reject']);
  });

  test.each([
    ['nobody there', new Error('refused')],
    ['no JSON', 'oops'],
    ['no action', {}],
    ['a rejection without a status', { action: { body: 'no' } }],
    ['a mask without messages', { action: { body: { choices: [] } } }],
    ['a status that is none', { action: { body: 'no', status_code: 42 } }],
  ])('%s: closed, or open where it says so', async (_, answer) => {
    const closed = world(hook(), [answer]);
    expect(await closed.request(body)).toBe('guard_failed 503 {"message":"failed to process LLM request: prompt guard failed"}');
    expect(closed.checks).toEqual(['Request Reject']);
    const open = world(hook({ failureMode: 'failOpen' }), [answer]);
    expect(await open.request(body)).toBe(JSON.stringify(body));
    expect(open.checks).toEqual(['Request FailOpen']);
  });

  test('are asked with headers by CEL and with those of the client that match', async () => {
    const { request, calls } = world(
      hook({
        headers: {
          ':path': '"/guard?m=" + llmRequest.model',
          'X-Tenant': 'request.headers["x-tenant"]',
          'x-none': 'jwt.sub',
          ':method': '"PUT"',
        },
        forwardHeaderMatches: [
          { name: 'X-Trace', value: { regex: 't-.*' } },
          { name: 'x-other', value: { exact: 'no' } },
        ],
      }),
      [{ action: {} }],
    );
    await request(body, openaiChat, { 'x-tenant': 'acme', 'x-trace': 't-1', 'x-other': 'yes' });
    expect(calls[0]).toMatchObject({ method: 'PUT', path: '/guard?m=m' });
    expect(calls[0]?.headers).toEqual({ 'content-type': 'application/json', 'x-tenant': 'acme', 'x-trace': 't-1' });
  });

  test('are asked once for all tries of a request', async () => {
    const { attempt, guard, calls } = world(hook(), [{ action: {} }]);
    const first = attempt(body);
    await guard(first);
    const second = Object.assign(attempt(body), { exchange: first.exchange });
    await guard(second);
    expect(calls).toHaveLength(1);
  });
});

describe('moderation', () => {
  const guardOf = (given: object = {}, rest = {}) => ({ request: [{ openAIModeration: given, ...rest }] });

  test('asks OpenAI, with the credential that is configured', async () => {
    const { request, calls } = world(
      guardOf({ policies: { backendAuth: { key: 'sk-1' }, requestHeaderModifier: { set: { 'X-A': '1' } } } }),
      [{ results: [{ flagged: false }] }],
    );
    expect(await request(user('hi'))).toBe(JSON.stringify(user('hi')));
    expect(calls[0]).toMatchObject({ method: 'POST', path: '/v1/moderations', server: { baseUrl: 'https://api.openai.com' } });
    expect(calls[0]?.headers).toEqual({ 'content-type': 'application/json', authorization: 'Bearer sk-1', 'x-a': '1' });
    expect(new TextDecoder().decode(calls[0]?.body)).toBe('{"input":["hi"],"model":"omni-moderation-latest"}');
  });

  test('what is flagged is refused', async () => {
    const { request } = world(guardOf({ model: 'm2' }, { rejection: { body: 'flagged' } }), [
      { results: [{ flagged: false }, { flagged: true }] },
    ]);
    expect(await request(user('hi'))).toBe('guard_rejected 403 {"message":"flagged","headers":{},"verbatim":{"text":"flagged"}}');
  });

  test('without an answer nothing passes', async () => {
    for (const answer of [new Error('x'), {}, 'x']) {
      expect(await world(guardOf(), [answer]).request(user('hi'))).toContain('guard_failed 503');
    }
  });
});

describe('guards of whole answers', () => {
  const completion = (content: unknown, more = {}) => ({
    id: 'c',
    model: 'a@b.cd',
    choices: [{ index: 0, message: { role: 'assistant', content, ...more }, logprobs: null }],
  });

  test('mask what the model said, its reasoning and the arguments of tools; names and ids stay', async () => {
    const { answer, checks } = world({ response: [emails] });
    const more = { reasoning: 'b@x.yz', tool_calls: [{ id: 'c@x.yz', function: { name: 'f', arguments: '{"to":"d@x.yz"}' } }] };
    const masks = {
      reasoning: '<EMAIL_ADDRESS>',
      tool_calls: [{ id: 'c@x.yz', function: { name: 'f', arguments: '{"to":"<EMAIL_ADDRESS>"}' } }],
    };
    expect(await answer(completion('a@x.yz', more))).toBe(JSON.stringify(completion('<EMAIL_ADDRESS>', masks)));
    expect(checks).toEqual(['Response Mask']);
  });

  test('what spells the answer out goes with it', async () => {
    const body = { choices: [{ message: { content: 'a@x.yz' }, logprobs: { content: [{ token: 'a@x.yz' }] } }] };
    expect(await world({ response: [emails] }).answer(body)).toBe(
      '{"choices":[{"message":{"content":"<EMAIL_ADDRESS>"},"logprobs":null}]}',
    );
  });

  test.each([
    [
      anthropicMessages,
      {
        model: 'm',
        content: [
          { type: 'text', text: 'a@x.yz' },
          { type: 'tool_use', id: 'i@x.yz', input: { a: 'b@x.yz' } },
        ],
      },
      ['i@x.yz'],
    ],
    [openaiCompletions, { choices: [{ text: 'a@x.yz' }] }, null],
    [
      ollamaChat,
      {
        model: 'm@x.yz',
        message: { content: 'a@x.yz', thinking: 'b@x.yz', tool_calls: [{ function: { arguments: { to: 'c@x.yz' } } }] },
        done: true,
      },
      ['m@x.yz'],
    ],
    [ollamaGenerate, { model: 'm@x.yz', response: 'a@x.yz', thinking: 'b@x.yz', done: true, context: [1] }, ['m@x.yz']],
    [
      openaiResponses,
      {
        output: [
          { type: 'message', id: 'i@x.yz', content: [{ type: 'output_text', text: 'a@x.yz', annotations: [] }] },
          { type: 'function_call', arguments: 'b@x.yz' },
        ],
      },
      ['i@x.yz'],
    ],
  ] as const)('%o', async (protocol, body, left) => {
    const text = await world({ response: [emails] }).answer(body, protocol as Protocol);
    expect(text.match(/[a-z]@x\.yz/g)).toEqual(left);
    expect(text).toContain('<EMAIL_ADDRESS>');
  });

  test('reject', async () => {
    const { answer, checks } = world({
      response: [{ regex: { action: 'reject', rules: [{ pattern: 'bomb' }] }, rejection: { status: 502 } }],
    });
    expect(await answer(completion('a bomb'))).toContain('guard_rejected 502');
    expect(checks).toEqual(['Response Reject']);
  });

  test('errors of the upstream pass; what is no JSON is one text', async () => {
    const { answer } = world({ response: [emails] });
    expect(await answer('{"error":"a@x.yz"}', openaiChat, 500)).toBe('{"error":"a@x.yz"}');
    expect(await answer('oops a@x.yz')).toBe('oops <EMAIL_ADDRESS>');
  });

  test('webhooks see each choice, and mask, reject, fail', async () => {
    const given = { response: [{ webhook: { target: { backend: 'hook' } } }] };
    const body = {
      choices: [{ message: { role: 'assistant', content: 'one' } }, { message: { role: 'assistant', content: 'two' } }],
    };
    const masks = ['one', '***'].map((content) => ({ message: { role: 'assistant', content } }));
    const { answer, calls, checks } = world(given, [
      { action: { reason: 'ok' } },
      { action: { body: { choices: masks } } },
      { action: { body: 'no', status_code: 403 } },
      { action: { body: { choices: [masks[0]] } } },
      new Error('gone'),
    ]);
    expect(await answer(body)).toBe(JSON.stringify(body));
    expect(new TextDecoder().decode(calls[0]?.body)).toBe(
      '{"body":{"choices":[{"message":{"role":"assistant","content":"one"}},{"message":{"role":"assistant","content":"two"}}]}}',
    );
    expect([calls[0]?.path, calls[0]?.server.baseUrl]).toEqual(['/response', 'http://hook']);
    expect(JSON.parse(await answer(body)).choices[1].message.content).toBe('***');
    expect(await answer(body)).toContain('guard_rejected 403');
    expect(await answer(body)).toContain('guard_failed 503');
    expect(await answer(body)).toContain('guard_failed 503');
    expect(checks).toEqual(['Allow', 'Mask', 'Reject', 'Reject', 'Reject'].map((action) => `Response ${action}`));
  });
});

describe('what it does to a try', () => {
  test('only response guards have the answer rewritten', async () => {
    const rewritesOf = async (given: object) => {
      const { attempt, guard } = world(given);
      const one = attempt(user('hi'));
      await guard(one);
      return one.rewrites?.length;
    };
    expect([await rewritesOf({ response: [emails] }), await rewritesOf({ request: [emails] })]).toEqual([1, undefined]);
  });

  test('streams are guarded unless it says Disabled, which is warned of', async () => {
    const streamOf = async (given: object) => {
      const { attempt, guard, warnings } = world(given);
      const one = attempt(user('hi'));
      await guard(one);
      return [one.rewrites?.[0]?.stream() === undefined ? 'alone' : 'guarded', ...warnings];
    };
    expect(await streamOf({ response: [emails] })).toEqual([
      'guarded',
      expect.stringContaining('the pattern secret-[0-9]+ can match more than 1024'),
    ]);
    const bounded = { regex: { rules: [{ builtin: 'email' }, { builtin: 'phoneNumber' }, { pattern: 'secret-[0-9]{1,20}' }] } };
    expect(await streamOf({ response: [bounded] })).toEqual(['guarded']);
    expect(await streamOf({ streaming: 'Enabled', response: [bounded] })).toEqual(['guarded']);
    expect(await streamOf({ streaming: 'Disabled', response: [bounded] })).toEqual([
      'alone',
      expect.stringContaining('Disabled'),
    ]);
    const many = { regex: { rules: Array.from({ length: 20 }, (_, index) => ({ pattern: `k${index}-[a-z]{100}` })) } };
    expect(await streamOf({ response: [many] })).toEqual(['guarded', expect.stringContaining('all rules together')]);
  });
});

describe('the options', () => {
  const refusal = (given: object) => {
    const result = promptGuardField.safeParse(given);
    return result.success
      ? undefined
      : result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n');
  };

  test.each([
    [{ request: [{}] }, 'request.0: expected exactly one of: regex, webhook, openAIModeration'],
    [{ request: [{ ...emails, webhook: { target: { host: 'a:1' } } }] }, 'expected exactly one of'],
    [{ request: [{ ...emails, scope: [] }] }, 'scope must not be empty'],
    [{ request: [{ openAIModeration: {}, scope: ['messages'] }] }, 'only regex guards have a scope'],
    [{ response: [{ ...emails, scope: ['messages'] }] }, 'response.0'],
    [{ request: [{ regex: { rules: [{ builtin: 'iban' }] } }] }, 'request.0.regex.rules.0'],
    [{ request: [{ regex: { rules: [{ pattern: 'a(?=b)' }] } }] }, 'column 2'],
    [
      { request: [{ bedrockGuardrails: { guardrailIdentifier: 'x' } }] },
      'request.0.bedrockGuardrails: known to agentgateway, not supported',
    ],
    [{ response: [{ googleModelArmor: {} }] }, 'response.0.googleModelArmor: known to agentgateway, not supported'],
    [{ response: [{ azureContentSafety: {} }] }, 'response.0.azureContentSafety: known to agentgateway, not supported'],
    [{ response: [{ openAIModeration: {} }] }, 'response.0.openAIModeration: known to agentgateway, not supported'],
    [{ request: [{ webhook: { target: {} } }] }, 'expected exactly one of: host, backend'],
    [{ request: [{ webhook: { target: { host: 'a:1' }, headers: { x: '1 +' } } }] }, 'request.0.webhook.headers.x'],
    [{ streaming: 'On' }, 'streaming'],
    [{ request: [{ ...emails, rejection: { status: 42 } }] }, 'rejection.status'],
  ])('%j', (given, message) => {
    expect(refusal(given)).toContain(message);
  });

  test('agentgateway’s forms are taken', () => {
    expect(
      refusal({
        streaming: 'Enabled',
        request: [
          { ...emails, scope: ['messages', 'systemPrompt'], rejection: { body: [110, 111], status: 400, headers: null } },
        ],
      }),
    ).toBeUndefined();
    expect(
      promptGuardField.parse({ request: [{ ...emails, rejection: { body: [110, 111] } }] }).request[0]?.rejection?.body,
    ).toBe('no');
  });
});
