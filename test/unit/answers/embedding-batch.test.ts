/** Big batches of embeddings: split over boxes that have the same model, joined in order, as one call in every account. */
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import type { Ask as BoxAsk, KnownModel, Upstream, Waiter } from '../../../src/exchange.ts';
import { admitTo } from '../../../src/fleet/admission.ts';
import { createSlots } from '../../../src/fleet/slots/slots.ts';
import { usualTuning } from '../../../src/fleet/tuning.ts';
import { knownModel, runner } from './fake-herd.ts';
import { type Answer, client, createStage, type Script, type Sent, type Stage } from './stage.ts';
import { box, boxes, json, keys, missing } from './words.ts';

const v1 = '/v1/embeddings';
const native = '/api/embed';
const fleetOf = (maxBatch: number, more = '') => ({ more: `fleet: { embeddings: { maxBatch: ${maxBatch} }${more} }\n` });
const textsOf = (count: number) => Array.from({ length: count }, (_, at) => `text ${at}`);

interface Body {
  readonly model: string;
  readonly input: readonly string[];
  readonly [member: string]: unknown;
}
const bodyOf = ({ text }: Sent): Body => JSON.parse(text ?? '{}');
const hostOf = ({ url }: Sent) => new URL(url).hostname;
const inputsAt = (stage: Stage, host: string) =>
  stage.sent.filter((sent) => hostOf(sent) === host).map((sent) => bodyOf(sent).input);

/** As a box writes it: digits that no parser gives back. `text 7` has the vector [7.10,-1e-07]. */
function boxAnswer(sent: Sent): string {
  const { model, input } = bodyOf(sent);
  const vectors = input.map((text) => `[${text.replace('text ', '')}.10,-1e-07]`);
  const tokens = input.length * 3;
  if (new URL(sent.url).pathname === native)
    return `{"model":"${model}","embeddings":[${vectors.join(',')}],"total_duration":14,"load_duration":3,"prompt_eval_count":${tokens}}`;
  const data = vectors.map((vector, at) => `{"object":"embedding","embedding":${vector},"index":${at}}`);
  return `{"object":"list","data":[${data.join(',')}],"model":"${model}","usage":{"prompt_tokens":${tokens},"total_tokens":${tokens}}}\n`;
}
const embedded = (sent: Sent, more: Answer = {}): Answer => ({
  headers: { 'content-type': 'application/json; charset=utf-8' },
  body: boxAnswer(sent),
  ...more,
});

function stageOf(
  names: readonly string[],
  maxBatch: number,
  script: Script = embedded,
  more: Parameters<typeof boxes>[1] = {},
): Stage {
  const stage = createStage(boxes(names, { ...fleetOf(maxBatch), ...more }), { script });
  for (const name of names) if (!name.startsWith('{')) stage.herd.know(name, { isBox: true, models: ['m'] });
  return stage;
}
const ask = (input: unknown, more: object = {}) => ({ body: { model: 'm', input, ...more } });

describe('a batch of embeddings (T11)', () => {
  it.each([true, false])('ends once where its headers leave early (the client stays: %s)', async (stays) => {
    const stage = stageOf(['a'], 1, (sent) => embedded(sent, { afterMs: 1_500 }), {
      more: 'fleet: { embeddings: { maxBatch: 1 }, loads: { padJson: true, headersAfter: 1s, heartbeat: 1s } }',
    });
    const asking = stage.ask(v1, ask(textsOf(4)));
    await stage.clock.advance(2_000);
    const response = await asking;
    const reading = stays ? response.text() : response.body?.cancel();
    await stage.clock.advance(20_000);
    for (const leaving of stage.leavings) leaving.abort();
    const text = await reading;
    if (stays) expect(JSON.parse(text ?? '').data).toHaveLength(4);
    expect(stage.told.map(({ exchange }) => exchange.outcome)).toEqual([stays ? 'completed' : 'abandoned']);
    expect([stage.gateway.inFlight, stage.clock.pending]).toEqual([0, 0]);
  });

  it('goes out in parts to every box that has the model, and comes back as one answer, in order', async () => {
    const stage = stageOf(['a', 'b'], 2);
    const answer = await stage.read(v1, ask(textsOf(5)));
    expect(answer.text).toBe(
      '{"object":"list","data":[' +
        '{"object":"embedding","embedding":[0.10,-1e-07],"index":0},{"object":"embedding","embedding":[1.10,-1e-07],"index":1},' +
        '{"object":"embedding","embedding":[2.10,-1e-07],"index":2},{"object":"embedding","embedding":[3.10,-1e-07],"index":3},' +
        '{"object":"embedding","embedding":[4.10,-1e-07],"index":4}],"model":"m","usage":{"prompt_tokens":15,"total_tokens":15}}\n',
    );
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-length')).toBe(String(answer.text.length));
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(answer.headers.get('x-corral-parts')).toBe('3');
    expect(answer.headers.get('x-corral-box')).toBe('a b');
    expect([...inputsAt(stage, 'a'), ...inputsAt(stage, 'b')].flat().sort()).toEqual(textsOf(5));
    expect(inputsAt(stage, 'b').length).toBeGreaterThan(0);
  });

  it('/api/embed: the counts are summed, the time is the whole one, members of the request reach every part', async () => {
    const stage = stageOf(['a'], 2, (sent) => embedded(sent, { afterMs: 20 }));
    const more = { truncate: false, dimensions: 2, options: { num_batch: 7 } };
    const reading = stage.read(native, ask(textsOf(3), more));
    await stage.clock.advance(40);
    expect((await reading).text).toBe(
      '{"model":"m","embeddings":[[0.10,-1e-07],[1.10,-1e-07],[2.10,-1e-07]],' +
        '"total_duration":40000000,"load_duration":3,"prompt_eval_count":9}',
    );
    expect(stage.sent.map(bodyOf)).toEqual([
      { model: 'm', input: ['text 0', 'text 1'], ...more },
      { model: 'm', input: ['text 2'], ...more },
    ]);
  });

  it('base64 passes as the text that it is', async () => {
    const stage = stageOf(['a'], 1, (sent) =>
      json({
        object: 'list',
        data: [{ object: 'embedding', embedding: btoa(String(bodyOf(sent).input[0])), index: 0 }],
        model: 'm',
      }),
    );
    const { text } = await stage.read(v1, ask(['x', 'y'], { encoding_format: 'base64' }));
    expect(JSON.parse(text).data.map(({ embedding }: { embedding: string }) => atob(embedding))).toEqual(['x', 'y']);
    expect(stage.sent.map((sent) => bodyOf(sent).encoding_format)).toEqual(['base64', 'base64']);
  });

  it('inputs are sent letter by letter', async () => {
    const stage = stageOf(['a'], 1, (sent) => json({ data: bodyOf(sent).input.map(() => ({ embedding: [1], index: 0 })) }));
    await stage.read(v1, { body: '{"model":"m","input":[ "\\u00e9\\/" , "\\ud800", "x" ],"dimensions":1e0}' });
    expect(stage.sent.map(({ text }) => text)).toEqual([
      '{"model":"m","input":["\\u00e9\\/"],"dimensions":1e0}',
      '{"model":"m","input":["\\ud800"],"dimensions":1e0}',
      '{"model":"m","input":["x"],"dimensions":1e0}',
    ]);
  });

  it.each([
    ['no more than maxBatch', textsOf(2), {}],
    ['one text', 'a long one', {}],
    ['things that are no text', ['x', 7, 'y'], {}],
    ['split: false', textsOf(9), { more: 'fleet: { embeddings: { split: false, maxBatch: 2 } }\n' }],
  ])('%s: one call, in the class of its key', async (_, input, more) => {
    const stage = stageOf(['a'], 2, () => json({}), more);
    const asks = watchAsks(stage);
    expect((await stage.read(v1, ask(input))).text).toBe('{}');
    expect(stage.sent.map((sent) => bodyOf(sent).input)).toEqual([input]);
    expect(asks.map(({ work }) => work.urgency)).toEqual(['interactive']);
  });

  it('parts wait as bulk, whatever the key says', async () => {
    const stage = stageOf(['a', 'b'], 2);
    const asks = watchAsks(stage);
    await stage.read(v1, ask(textsOf(5)));
    expect(asks.map(({ work }) => [work.urgency, work.use])).toEqual(Array(3).fill(['bulk', 'embed']));
  });

  it('one box: one part after the other, so that others get their turns in between', async () => {
    const stage = stageOf(['a'], 2, (sent) => embedded(sent, { afterMs: 100 }));
    const reading = stage.read(v1, ask(textsOf(6)));
    await stage.clock.advance(150);
    expect(stage.sent).toHaveLength(2);
    expect(stage.herd.inFlight(upstreamOf(stage, 'a'))).toBe(1);
    await stage.clock.advance(150);
    expect((await reading).status).toBe(200);
  });

  it('what is no box gets the batch as it came', async () => {
    const stage = createStage(boxes(['a'], fleetOf(2)), { script: embedded });
    stage.herd.know('a', { isBox: false });
    await stage.read(v1, ask(textsOf(5)));
    expect(stage.sent.map((sent) => bodyOf(sent).input)).toEqual([textsOf(5)]);
  });
});

describe('indexing does not block (T11)', () => {
  it('a question that comes while a batch is under way is answered after the part that runs, before all others', async () => {
    const stage = stageOf(['a'], 2, (sent) =>
      Array.isArray(bodyOf(sent).input) ? embedded(sent, { afterMs: 1_000 }) : json({}),
    );
    const slots = createSlots({
      clock: stage.clock,
      hasBackground: true,
      box: {
        upstream: {
          ...upstreamOf(stage, 'a'),
          box: { weight: 1, slots: 1, vramBytes: undefined, reserveBytes: 0, maxLoaded: undefined, headers: {} },
        },
        tuning: usualTuning,
      },
    });
    const loads = { ready: () => undefined, underWay: () => [] };
    Object.assign(stage.herd, {
      admit: (_: unknown, asked: BoxAsk, waiter: Waiter) => admitTo({ slots, loads, onEnd: () => undefined }, asked, waiter),
    });
    const batches = [stage.read(v1, ask(textsOf(6))), stage.read(v1, ask(textsOf(6)))];
    await stage.clock.advance(500);
    const question = stage.read(v1, ask('a question'));
    await stage.clock.advance(499);
    expect(stage.sent.map((sent) => bodyOf(sent).input)).toEqual([['text 0', 'text 1']]);
    await stage.clock.advance(1);
    expect(bodyOf(stage.sent[1] as Sent).input).toBe('a question');
    expect((await question).headers.get('x-corral-queued')).toBe('500');
    await stage.clock.advance(6_000);
    for (const batch of batches) expect((await batch).status).toBe(200);
    expect(stage.sent).toHaveLength(7);
  });
});

describe('whom a batch goes to', () => {
  it('a box whose model of that name is another one gets no part', async () => {
    const stage = stageOf(['a', 'b', 'c'], 1);
    digests(stage, { a: 'one', b: 'two', c: 'one' });
    await stage.read(v1, ask(textsOf(6)));
    expect([inputsAt(stage, 'a').length, inputsAt(stage, 'b').length, inputsAt(stage, 'c').length]).toEqual([3, 0, 3]);
  });

  it('unless nobody of the others has answered anything: then it gets the whole', async () => {
    const stage = stageOf(['a', 'b'], 2, (sent) =>
      hostOf(sent) === 'a' ? new GatewayError('upstream_refused', 'refused') : embedded(sent),
    );
    digests(stage, { a: 'one', b: 'two' });
    const answer = await stage.read(v1, ask(textsOf(5)));
    expect(answer.headers.get('x-corral-box')).toBe('b');
    expect(inputsAt(stage, 'b').flat()).toEqual(textsOf(5));
  });

  it('the same for a refusal; once a part was answered the batch fails instead', async () => {
    const failsAt = (refused: number) => {
      let count = 0;
      return (sent: Sent) => (hostOf(sent) === 'a' && count++ >= refused ? missing('m') : embedded(sent));
    };
    const early = stageOf(['a', 'b'], 2, failsAt(0));
    digests(early, { a: 'one', b: 'two' });
    expect((await early.read(v1, ask(textsOf(5)))).status).toBe(200);
    const late = stageOf(['a', 'b'], 2, failsAt(1));
    digests(late, { a: 'one', b: 'two' });
    expect((await late.read(v1, ask(textsOf(5)))).status).toBe(404);
    expect(inputsAt(late, 'b')).toEqual([]);
  });

  it('a box that is out of service or down gets none while others are there', async () => {
    const stage = stageOf(['a', 'b', 'c'], 1);
    stage.herd.know('b', { isCordoned: true });
    stage.herd.know('c', { isAlive: false });
    await stage.read(v1, ask(textsOf(3)));
    expect(inputsAt(stage, 'a').flat()).toEqual(textsOf(3));
  });

  it('a part whose box fails is served by another one; the client notices nothing', async () => {
    const stage = stageOf(['a', 'b'], 1, (sent) =>
      hostOf(sent) === 'b' ? new GatewayError('upstream_closed', 'closed') : embedded(sent),
    );
    const answer = await stage.read(v1, ask(textsOf(4)));
    expect(JSON.parse(answer.text).data.map(({ embedding }: { embedding: number[] }) => embedding[0])).toEqual([
      0.1, 1.1, 2.1, 3.1,
    ]);
    expect(answer.headers.get('x-corral-box')).toBe('a');
    expect(stage.told[0]?.exchange.attempts.at(-1)?.upstream.name).toBe('a');
  });

  it('a session stays with its box', async () => {
    const policies = `policies: { sessionAffinity: { source: 'request.headers["x-session"]' } }`;
    const bound = ['a', 'b'].map((name) => box(name).replace(/ }$/, `, ${policies} }`));
    const stage = stageOf(bound, 1, embedded);
    for (const name of ['a', 'b']) stage.herd.know(name, { isBox: true, models: ['m'] });
    await stage.read(v1, { ...ask(textsOf(4)), headers: { 'x-session': 's1' } });
    expect(new Set(stage.sent.map(hostOf)).size).toBe(1);
  });
});

describe('a batch in every account is one call', () => {
  it('one line, one request, usage once, retries only where there were any', async () => {
    const stage = stageOf(['a', 'b'], 1);
    await stage.read(v1, ask(textsOf(40)));
    expect(stage.told).toHaveLength(1);
    const [told] = stage.told;
    expect(told?.exchange.usage).toEqual({ inputTokens: 120, outputTokens: 0, estimated: false });
    expect(told?.exchange.attempts).toHaveLength(1);
    expect(told?.exchange.outcome).toBe('completed');
    expect(stage.lines).toHaveLength(1);
    expect(stage.gateway).toBeDefined();
    expect(stage.herd.inFlight(upstreamOf(stage, 'a'))).toBe(0);
    expect(stage.herd.ends.filter(({ how }) => how === 'completed')).toHaveLength(40);
  });

  it('tries that failed are listed, 32 at most', async () => {
    const stage = stageOf(['a', 'b'], 1, (sent) =>
      hostOf(sent) === 'b' ? new GatewayError('upstream_closed', 'closed') : embedded(sent),
    );
    await stage.read(v1, ask(textsOf(200)));
    const attempts = stage.told[0]?.exchange.attempts ?? [];
    expect(attempts).toHaveLength(32);
    expect(attempts.at(-1)?.error).toBeUndefined();
    expect(attempts.slice(0, -1).every(({ error }) => error?.code === 'upstream_closed')).toBe(true);
  });

  it('a warning that holds for every part is said once', async () => {
    const stage = stageOf(['a'], 1);
    stage.herd.know('a', { running: [runner('m', 10)] });
    const { headers } = await stage.read(v1, ask(textsOf(5)));
    expect(headers.get('x-corral-warning')?.match(/partly on the CPU|CPU/g)?.length).toBe(1);
    expect(stage.told[0]?.exchange.warnings).toHaveLength(1);
  });

  it('limits of tokens count what the parts have used, once', async () => {
    const limit = '{ localRateLimit: [{ type: tokens, maxTokens: 100, tokensPerFill: 100, fillInterval: 1h }] }';
    const stage = stageOf(['a'], 10, embedded, { ...fleetOf(10), route: limit });
    await stage.read(v1, ask(textsOf(30)));
    // 90 are gone: ten are left, and then none.
    expect((await stage.read(v1, ask(textsOf(3)))).status).toBe(200);
    expect((await stage.read(v1, ask(textsOf(3)))).status).toBe(200);
    expect((await stage.read(v1, ask(textsOf(3)))).status).toBe(429);
  });

  it('a mirror gets the whole call, once', async () => {
    const stage = stageOf(['a'], 1, embedded, {
      ...fleetOf(1),
      route: '{ requestMirror: { backend: { host: "mirror:1" }, percentage: 1 } }',
    });
    await stage.read(v1, ask(textsOf(3)));
    expect(inputsAt(stage, 'mirror')).toEqual([textsOf(3)]);
  });

  it('options of Ollama go with each part, natively, and the answer is in the words of the client', async () => {
    const stage = stageOf(['a', 'b'], 2);
    const { text } = await stage.read(v1, ask(textsOf(5), { options: { num_ctx: 2048 } }));
    expect(stage.sent.map(({ url }) => new URL(url).pathname)).toEqual([native, native, native]);
    expect(stage.sent.map((sent) => bodyOf(sent).options)).toEqual(Array(3).fill({ num_ctx: 2048 }));
    // Digit by digit, this way too.
    expect(text).toContain('{"object":"embedding","embedding":[3.10,-1e-07],"index":3}');
    const answer = JSON.parse(text);
    expect(answer.data.map(({ index, embedding }: { index: number; embedding: number[] }) => [index, embedding[0]])).toEqual([
      [0, 0.1],
      [1, 1.1],
      [2, 2.1],
      [3, 3.1],
      [4, 4.1],
    ]);
    expect(answer.usage).toEqual({ prompt_tokens: 15, total_tokens: 15 });
  });
});

describe('a batch that fails', () => {
  it('one part refused: its words are the answer, the others are ended', async () => {
    const stage = stageOf(['a', 'b'], 1, (sent) =>
      bodyOf(sent).input[0] === 'text 0'
        ? 'never'
        : { ...json({ error: 'the input length exceeds the context length' }, 400), afterMs: 10 },
    );
    const reading = stage.read(native, ask(textsOf(4)));
    await stage.clock.advance(10);
    const answer = await reading;
    expect([answer.status, answer.text]).toEqual([400, '{"error":"the input length exceeds the context length"}']);
    expect(stage.leavings).toHaveLength(1);
    expect(stage.sent).toHaveLength(2);
    expect(stage.told).toHaveLength(1);
  });

  it('a client that leaves ends all parts, and no further one begins', async () => {
    const stage = stageOf(['a', 'b'], 1, () => 'never');
    const leaver = client();
    const asking = stage.ask(v1, { ...ask(textsOf(9)), client: leaver });
    await stage.clock.settle();
    expect(stage.sent).toHaveLength(2);
    leaver.leave();
    for (const { abort } of stage.leavings) abort();
    await asking.catch(() => undefined);
    await stage.clock.settle();
    expect(stage.leavings).toHaveLength(2);
    expect(stage.sent).toHaveLength(2);
    expect(stage.told.map(({ exchange }) => exchange.outcome)).toEqual(['abandoned']);
    expect(stage.herd.inFlight(upstreamOf(stage, 'a'))).toBe(0);
    expect(stage.budgetLeft()).toBe(1024 * 1024);
  });

  it('an answer that breaks off in the middle is an error, and no half of a batch', async () => {
    const stage = stageOf(['a'], 2, (sent) => embedded(sent, { body: [boxAnswer(sent).slice(0, 30)], ends: 'broken' }));
    const reading = stage.read(v1, ask(textsOf(5)));
    await stage.clock.advance(1);
    const answer = await reading;
    expect(answer.status).toBe(502);
    expect(JSON.parse(answer.text).error.message).toContain('broke off');
    expect(stage.told).toHaveLength(1);
  });

  it.each([
    ['fewer embeddings than inputs', '{"object":"list","data":[{"embedding":[1],"index":0}]}', '1 embeddings for 2 inputs'],
    ['an item without an embedding', '{"data":[{"index":0},{"index":1}]}', 'no embedding'],
    ['something else', '{"ok":true}', 'no list of embeddings'],
  ])('%s: unreadable, told so', async (_, body, words) => {
    const stage = stageOf(['a'], 2, () => ({ headers: { 'content-type': 'application/json' }, body }));
    const answer = await stage.read(v1, ask(textsOf(5)));
    expect(answer.status).toBe(502);
    expect(answer.text).toContain(words);
  });

  it('answers larger than maxBodyBytes together are refused; up to that they pass', async () => {
    const item = 'x'.repeat(300);
    const script: Script = (sent) => json({ data: bodyOf(sent).input.map(() => ({ embedding: item, index: 0 })) });
    const of = (maxBodyBytes: number) =>
      stageOf(['a'], 1, script, { more: `fleet: { maxBodyBytes: ${maxBodyBytes}, embeddings: { maxBatch: 1 } }\n` });
    const each = JSON.stringify({ data: [{ embedding: item, index: 0 }] }).length;
    expect((await of(4 * each).read(v1, ask(textsOf(4)))).status).toBe(200);
    const refused = await of(4 * each - 1).read(v1, ask(textsOf(4)));
    expect(refused.status).toBe(502);
    expect(refused.text).toContain('fleet.maxBodyBytes');
  });

  it('no room in the line of any box: 503, and nothing is sent', async () => {
    const stage = stageOf(['a', 'b'], 1);
    for (const name of ['a', 'b']) stage.herd.know(name, { turnsAway: new GatewayError('queue_full', 'the line is full') });
    expect((await stage.read(v1, ask(textsOf(3)))).status).toBe(503);
    expect(stage.sent).toEqual([]);
  });
});

describe('any batch, any order in which its parts are answered', () => {
  const script = (delays: readonly number[]): Script => {
    let count = 0;
    return (sent) => embedded(sent, { afterMs: delays[count++ % delays.length] ?? 0 });
  };

  it('is byte by byte what one box would have answered', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 7 }),
        async (count, maxBatch, boxCount, delays) => {
          const names = ['a', 'b', 'c', 'd'].slice(0, boxCount);
          const split = stageOf(names, maxBatch, script(delays));
          const whole = stageOf(['a'], 10_000);
          const reading = split.read(v1, ask(textsOf(count)));
          await split.clock.advance(60 * 51);
          const [one, other] = [await reading, await whole.read(v1, ask(textsOf(count)))];
          expect(one.text).toBe(other.text);
          expect(Math.max(...split.sent.map((sent) => bodyOf(sent).input.length))).toBeLessThanOrEqual(maxBatch);
          expect(split.clock.pending).toBe(0);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('keys', () => {
  it('a key that may not use the model gets its 403, and no part is sent', async () => {
    const stage = stageOf(['a'], 1, embedded, { ...fleetOf(1), listener: keys('{ key: k, allowedModels: [x] }') });
    const answer = await stage.read(v1, { ...ask(textsOf(3)), headers: { authorization: 'Bearer k' } });
    expect(answer.status).toBe(403);
    expect(stage.sent).toEqual([]);
  });
});

function upstreamOf(stage: Stage, name: string): Upstream {
  const found = stage.plan.upstreams.find((upstream) => upstream.name === name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found;
}

function digests(stage: Stage, byName: Readonly<Record<string, string>>): void {
  const modelsOn = (upstream: Upstream): KnownModel[] => [{ ...knownModel('m'), digest: byName[upstream.name] ?? '' }];
  Object.assign(stage.herd, { modelsOn });
}

function watchAsks(stage: Stage): BoxAsk[] {
  const asks: BoxAsk[] = [];
  const { admit } = stage.herd;
  Object.assign(stage.herd, {
    admit: (upstream: Upstream, asked: BoxAsk) => {
      asks.push(asked);
      return admit(upstream);
    },
  });
  return asks;
}
