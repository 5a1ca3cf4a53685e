/** The `llm` section over a whole gateway: who may use what, what is done to calls, and what moves on within the request. */
import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import { chat, json, stageOf, withKey } from './words.ts';

const completion = json({ choices: [{ index: 0, message: { role: 'assistant', content: 'Write to a@b.test' } }] });

/** A provider with a key, which is no box. */
const vendor = (name: string, host: string, more = '') =>
  `\n    - { name: "${name}", provider: openAI, params: { baseUrl: "http://${host}:1/v1", apiKey: k }${more} }`;

const llm = (models: string, more = '') => `llm:\n  port: 3000\n  models:${models}\n${more}`;

const asked = (stage: ReturnType<typeof stageOf>) => stage.sent.map(({ url }) => new URL(url).hostname);
const modelsAsked = (stage: ReturnType<typeof stageOf>) =>
  stage.sent.map(({ text }) => (JSON.parse(text ?? '{}') as { model?: string }).model);

describe('failover virtual models', () => {
  const yaml = llm(
    vendor('a', 'a') + vendor('b', 'b'),
    `  virtualModels:
    - { name: safe, routing: { failover: { targets: [{ model: a, priority: 0 }, { model: b, priority: 1 }] } } }
    - { name: fixed, routing: { weighted: { targets: [{ model: a }] } } }`,
  );

  test.each([
    [429, 200, 'a b'],
    [500, 200, 'a b'],
    [503, 200, 'a b'],
    [400, 400, 'a'],
    [401, 401, 'a'],
  ])('a answers %s: the client gets %s', async (status, expected, hosts) => {
    const stage = stageOf(yaml, { a: json({}, status), b: completion });
    expect((await stage.read('/v1/chat/completions', chat('safe'))).status).toBe(expected);
    expect(asked(stage).join(' ')).toBe(hosts);
  });

  test('each is asked for its own name, and its body is whole each time', async () => {
    const stage = stageOf(yaml, { a: new GatewayError('upstream_closed', 'broke off'), b: completion });
    await stage.read('/v1/chat/completions', chat('safe', { seed: 7 }));
    expect(stage.sent.map(({ text }) => text)).toEqual([
      '{"model":"a","messages":[],"seed":7}',
      '{"model":"b","messages":[],"seed":7}',
    ]);
  });

  test('a virtual model that does not fail over does not', async () => {
    const stage = stageOf(yaml, { a: json({}, 503), b: completion });
    expect((await stage.read('/v1/chat/completions', chat('fixed'))).status).toBe(503);
    expect(asked(stage)).toEqual(['a']);
  });

  test('who was evicted is left alone until its time is over', async () => {
    const evicting = yaml.replace('}\n    - { name: "b"', ', health: { eviction: { duration: 10s } } }\n    - { name: "b"');
    const stage = stageOf(evicting, { a: json({}, 503), b: completion });
    for (let times = 0; times < 3; times++) await stage.read('/v1/chat/completions', chat('safe'));
    expect(asked(stage)).toEqual(['a', 'b', 'b', 'b']);
    await stage.clock.advance(10_000);
    await stage.read('/v1/chat/completions', chat('safe'));
    expect(asked(stage).slice(4)).toEqual(['a', 'b']);
    // One line for each change, and no other.
    expect(stage.reports).toEqual([
      'warn health: a (a) is evicted for 10 s: it answered 503',
      'info health: a (a) is back: its eviction is over',
      'warn health: a (a) is evicted for 20 s: it answered 503, unhealthy 2 times in a row',
    ]);
  });
});

describe('weighted virtual models', () => {
  const health = ', health: { eviction: { duration: 10s } }';
  const yaml = llm(
    vendor('a', 'a', health) + vendor('b', 'b', health) + vendor('c', 'c', health),
    `  virtualModels:
    - { name: mix, routing: { weighted: { targets: [{ model: a, weight: 6 }, { model: b, weight: 3 }, { model: c, weight: 1 }] } } }`,
  );

  test('who is evicted is not drawn: the others share its part by their weights', async () => {
    let draw = 0;
    const stage = stageOf(yaml, { a: json({}, 503), b: completion, c: completion }, { random: () => draw });
    await stage.read('/v1/chat/completions', chat('mix'));
    // Of 10 these would be a, a, b and c; of the 4 that are left they are b, b, b and c.
    for (draw of [0, 0.59, 0.74, 0.75]) await stage.read('/v1/chat/completions', chat('mix'));
    expect(asked(stage)).toEqual(['a', 'b', 'b', 'b', 'c']);
    await stage.clock.advance(10_000);
    draw = 0;
    await stage.read('/v1/chat/completions', chat('mix'));
    expect(asked(stage).at(-1)).toBe('a');
  });

  test('when all are evicted, all are drawn as ever', async () => {
    let draw = 0;
    const stage = stageOf(yaml, { a: json({}, 503), b: json({}, 503), c: json({}, 503) }, { random: () => draw });
    for (draw of [0, 0, 0, 0, 0.59, 0.6, 0.95]) await stage.read('/v1/chat/completions', chat('mix'));
    expect(asked(stage)).toEqual(['a', 'b', 'c', 'a', 'a', 'b', 'c']);
  });
});

describe('conditional virtual models', () => {
  const stage = stageOf(
    llm(
      vendor('small', 'a') + vendor('large', 'b'),
      `  policies: { apiKey: { keys: [{ key: gold, metadata: { tier: gold } }, { key: tin, metadata: { tier: tin } }] } }
  virtualModels:
    - name: auto
      routing:
        conditional:
          targets:
            - { when: 'apiKey.tier == "gold" && llmRequest.max_tokens > 1000', model: large }
            - { when: 'llmRequest.max_tokens <= 1000', model: small }`,
    ),
    { a: completion, b: completion },
  );
  const as = async (key: string, more: object) => {
    stage.sent.length = 0;
    const { status, text } = await stage.read('/v1/chat/completions', { ...chat('auto', more), ...withKey(key) });
    return [status, modelsAsked(stage)[0] ?? (JSON.parse(text) as { error: { code: string } }).error.code];
  };

  test('the call and the key decide', async () => {
    expect(await as('gold', { max_tokens: 2_000 })).toEqual([200, 'large']);
    expect(await as('gold', { max_tokens: 10 })).toEqual([200, 'small']);
    expect(await as('tin', { max_tokens: 10 })).toEqual([200, 'small']);
  });

  test('none fits: 400 with agentgateway’s code', async () => {
    expect(await as('tin', { max_tokens: 2_000 })).toEqual([400, 'virtual_model_no_matching_target']);
    expect(await as('gold', {})).toEqual([400, 'virtual_model_no_matching_target']);
  });
});

describe('rules of one model', () => {
  const rule = `, authorization: { rules: ['request.headers["x-a"] == "1"'] }`;
  const stage = stageOf(llm(vendor('closed', 'a', rule) + vendor('open', 'b')), { a: completion, b: completion });
  const listed = async (headers: Record<string, string>) =>
    (JSON.parse((await stage.read('/v1/models', { headers })).text) as { data: { id: string }[] }).data.map(({ id }) => id);

  test('403 with agentgateway’s code, and nothing is sent', async () => {
    const { status, text } = await stage.read('/v1/chat/completions', chat('closed'));
    expect([status, (JSON.parse(text) as { error: { code: string } }).error.code]).toEqual([403, 'model_authorization_denied']);
    expect(stage.sent).toEqual([]);
  });

  test('lists and single models hide it', async () => {
    expect(await listed({})).toEqual(['open']);
    expect(await listed({ 'x-a': '1' })).toEqual(['closed', 'open']);
    expect((await stage.read('/v1/models/closed')).status).toBe(404);
    expect((await stage.read('/v1/models/closed', { headers: { 'x-a': '1' } })).status).toBe(200);
  });
});

test('a list that only the servers know is asked of one that the client may use', async () => {
  const rule = `, authorization: { rules: ['request.headers["x-a"] == "1"'] }`;
  const models = vendor('in*', 'a', ', visibility: internal') + vendor('b*', 'b', rule) + vendor('c*', 'c');
  const stage = stageOf(llm(models), { a: json({}), b: json({}), c: json({}) });
  await stage.read('/v1/models');
  await stage.read('/v1/models', { headers: { 'x-a': '1' } });
  expect(asked(stage)).toEqual(['c', 'b']);
  const closed = stageOf(llm(vendor('b*', 'b', rule)), { b: json({}) });
  expect([(await closed.read('/v1/models')).status, asked(closed)]).toEqual([403, []]);
});

describe('what is done to calls', () => {
  const stage = (models: string, more = '') => stageOf(llm(models, more), { a: completion, b: completion });
  const bodyOf = async (one: ReturnType<typeof stageOf>, more: object = {}) => {
    const { status, text } = await one.read('/v1/chat/completions', chat('m', more));
    return [status, one.sent[0]?.text, text];
  };

  test('transformation and finalTransformation', async () => {
    const more = `, transformation: { seed: 'int(llmRequest.seed) + 1' }, finalTransformation: { user: '"u" + string(llmRequest.seed)' }`;
    expect((await bodyOf(stage(vendor('m', 'a', more)), { seed: 1 }))[1]).toBe(
      '{"model":"m","messages":[],"seed":2,"user":"u2"}',
    );
  });

  test('a provider’s defaults hold for its models, and a model’s own win', async () => {
    const shared = `  providers:
    - name: p
      provider: openAI
      params: { baseUrl: "http://a:1/v1", apiKey: k }
      defaults:
        defaults: { temperature: 1, top_p: 0.5 }
        transformation: { seed: '3' }
        requestHeaders: { set: { x-from: provider } }
`;
    const one = stage(`\n    - { name: m, provider: { reference: p }, defaults: { temperature: 0 } }`, shared);
    expect((await bodyOf(one))[1]).toBe('{"model":"m","messages":[],"seed":3,"temperature":0,"top_p":0.5}');
    expect(one.sent[0]?.headers['x-from']).toBe('provider');
  });

  const email =
    '{ request: [{ regex: { action: reject, rules: [{ builtin: email }] } }], response: [{ regex: { rules: [{ builtin: email }] } }] }';
  const writing = { messages: [{ role: 'user', content: 'I am x@y.test' }] };

  test('guardrails of the section hold for every model', async () => {
    const one = stage(vendor('m', 'a'), `  policies: { guardrails: ${email} }`);
    expect((await bodyOf(one, writing))[0]).toBe(403);
    expect((await bodyOf(one))[2]).toContain('Write to <EMAIL_ADDRESS>');
  });

  test('a model’s own guardrails stand in their place', async () => {
    const own = ', guardrails: { request: [{ regex: { action: reject, rules: [{ pattern: secret }] } }] }';
    const one = stage(vendor('m', 'a', own), `  policies: { guardrails: ${email} }`);
    expect((await bodyOf(one, writing))[0]).toBe(200);
    expect((await bodyOf(one, { messages: [{ role: 'user', content: 'a secret' }] }))[0]).toBe(403);
  });

  test('passthrough: what the client wrote, whatever stands beside it; the key is set all the same', async () => {
    const more = ', passthrough: opaque, overrides: { temperature: 0 }, defaults: { seed: 1 }';
    const one = stage(vendor('m', 'a', more).replace('params: {', 'params: { model: other,'));
    const text = '{ "model" : "m",  "messages":[], "n" : 1.50 }';
    await one.read('/v1/chat/completions', { body: text });
    expect(one.sent[0]?.text).toBe(text);
    expect(one.sent[0]?.headers.authorization).toBe('Bearer k');
  });

  test('passthrough: detect counts tokens, opaque does not look', async () => {
    const used = json({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 } });
    for (const [mode, usage] of [
      ['detect', { inputTokens: 3, outputTokens: 4 }],
      ['opaque', undefined],
    ] as const) {
      const one = stageOf(llm(vendor('m', 'a', `, passthrough: ${mode}`)), { a: used });
      await one.read('/v1/chat/completions', chat('m'));
      if (usage === undefined) expect(one.told[0]?.exchange.usage).toBeUndefined();
      else expect(one.told[0]?.exchange.usage).toMatchObject(usage);
    }
  });

  test('localRateLimit of the section counts over all models', async () => {
    const limit = '  policies: { localRateLimit: [{ maxTokens: 1, tokensPerFill: 1, fillInterval: 1h }] }';
    const one = stage(vendor('m', 'a') + vendor('n', 'b'), limit);
    const statuses = [];
    for (const model of ['m', 'n']) statuses.push((await one.read('/v1/chat/completions', chat(model))).status);
    expect(statuses).toEqual([200, 429]);
  });
});

describe('paths that nobody knows', () => {
  const models = vendor('a', 'a') + vendor('b', 'b') + vendor('hidden', 'c', ', visibility: internal');
  const policies = '  policies: { apiKey: { keys: [{ key: one, allowedModels: [b] }, { key: all }] } }';
  const stage = () => stageOf(llm(models, policies), { a: json({}), b: json({}), c: json({}) });
  const read = async (key: string, body: string | undefined, headers: Record<string, string> = {}) => {
    const one = stage();
    const init = { ...(body === undefined ? {} : { body }), headers: { ...withKey(key).headers, ...headers } };
    const { status } = await one.read('/v1/rerank', init);
    return [status, asked(one).join(' '), one.budgetLeft()];
  };
  const whole = 1024 * 1024;

  test('go where the model in the body belongs, as they came', async () => {
    expect(await read('all', '{"model":"b","query":"q"}')).toEqual([200, 'b', whole]);
    expect(await read('all', '{"model":"a"}')).toEqual([200, 'a', whole]);
  });

  test('keys and visibility hold there as well', async () => {
    expect(await read('one', '{"model":"a"}')).toEqual([403, '', whole]);
    expect(await read('one', '{"model":"b"}')).toEqual([200, 'b', whole]);
    expect(await read('all', '{"model":"hidden"}')).toEqual([404, '', whole]);
  });

  test('without a model it is 400', async () => {
    expect(await read('all', undefined)).toEqual([400, '', whole]);
    expect(await read('all', '{"query":"q"}')).toEqual([400, '', whole]);
    expect(await read('all', 'not json')).toEqual([400, '', whole]);
  });

  test('forms name their model, too', async () => {
    const form = '--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nb\r\n--x--\r\n';
    expect(await read('all', form, { 'content-type': 'multipart/form-data; boundary=x' })).toEqual([200, 'b', whole]);
  });
});
