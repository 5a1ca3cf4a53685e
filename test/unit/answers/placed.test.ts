import { describe, expect, it } from 'vitest';
import type { Placing } from '../../../src/exchange.ts';
import type { Stage } from './stage.ts';
import { box, boxes, chat, json, keys, stageOf, withKey } from './words.ts';

/** Predicts these milliseconds of loading for the boxes, by name; those with less are asked first. */
function predict({ herd }: Stage, loads: Readonly<Record<string, number>>): string[][] {
  const asked: string[][] = [];
  herd.place = (candidates) => {
    asked.push(candidates.map(({ upstream, ask }) => `${upstream.name} ${ask.model} ${ask.work.conversation !== undefined}`));
    const found = candidates.map(({ upstream }) => loads[upstream.name] ?? 0);
    const ranks = [...found].sort((one, other) => one - other);
    return found.map((loadMs): Placing => {
      const prediction = { queueMs: 0, loadMs, evictionMs: 0, promptMs: 140.4, cachedMs: 20, totalMs: 120.4 + loadMs };
      return { isHome: false, rank: ranks.indexOf(loadMs), prediction };
    });
  };
  return asked;
}

const has = { models: ['m'] };
const answers = { a: json({}), b: json({}), c: json({}) };

function placedStage(yaml: string, more: Readonly<Record<string, ReturnType<typeof json>>> = answers): Stage {
  const stage = stageOf(yaml, more);
  for (const name of Object.keys(more)) stage.herd.know(name, has);
  return stage;
}

describe('placement', () => {
  it('asks the box first that is predicted to be first', async () => {
    const stage = placedStage(boxes(['a', 'b', 'c']));
    const asked = predict(stage, { a: 4_000, b: 9_000, c: 5 });
    const hello = chat('m', { messages: [{ role: 'user', content: 'hi' }] });
    const { headers } = await stage.read('/v1/chat/completions', hello);
    expect(stage.sent.map(({ url }) => new URL(url).hostname)).toEqual(['c']);
    expect(headers.get('x-corral-box')).toBe('c');
    expect(asked).toEqual([['a m true', 'b m true', 'c m true']]);
  });

  it('is not asked for one box, for a box that lacks the model, nor where weights or the client’s silence decide', async () => {
    const stage = placedStage(boxes(['a', 'b']), { a: json({}), b: json({}) });
    const asked = predict(stage, { a: 9, b: 1 });
    stage.herd.know('a', { models: ['other'] });
    await stage.read('/v1/chat/completions', chat('m'));
    const alone = placedStage(boxes(['a']), { a: json({}) });
    const askedAlone = predict(alone, {});
    await alone.read('/v1/chat/completions', chat('m'));
    expect([asked, askedAlone]).toEqual([[], []]);
  });

  it('keeps the order of today where nothing is predicted', async () => {
    const stage = placedStage(boxes(['a', 'b']), { a: json({}), b: json({}) });
    stage.herd.know('a', { inFlight: 3 });
    const { headers } = await stage.read('/v1/chat/completions', chat('m'));
    expect(headers.get('x-corral-box')).toBe('b');
  });

  it('tells the prediction and how long it was in the log', async () => {
    const stage = placedStage(boxes(['a', 'b']), { a: json({}), b: json({}) });
    predict(stage, { a: 1_000, b: 2_000 });
    await stage.read('/v1/chat/completions', chat('m'));
    expect(stage.lines.join()).toContain(' corral.predicted=1.1204');
    const alone = placedStage(boxes(['a']), { a: json({}) });
    await alone.read('/v1/chat/completions', chat('m'));
    expect(alone.lines.join()).not.toContain('corral.predicted');
  });
});

describe('x-corral-why', () => {
  const admin = '{ key: admin, metadata: { scopes: [admin] } }';
  const yaml = (explain?: string) =>
    `${boxes(['a', 'b'], { listener: keys('{ key: k }', admin) })}${explain === undefined ? '' : `\nfleet: { placement: { explain: ${explain} } }\n`}`;
  const whyFor = async (key: string, explain?: string) => {
    const stage = placedStage(yaml(explain), { a: json({}), b: json({}) });
    predict(stage, { a: 4_000, b: 0 });
    const { headers } = await stage.read('/v1/chat/completions', { ...chat('m'), ...withKey(key) });
    return headers.get('x-corral-why');
  };
  const why = 'b=120ms(queue 0,load 0,prompt 140,cached -20) a=4120ms(queue 0,load 4000,prompt 140,cached -20)';

  it('is for the admin scope', async () => {
    expect(await whyFor('admin')).toBe(why);
    expect(await whyFor('k')).toBeNull();
  });

  it('is for everybody or nobody where the file says so', async () => {
    expect(await whyFor('k', 'always')).toBe(why);
    expect(await whyFor('admin', 'never')).toBeNull();
  });
});

describe('x-corral-box', () => {
  it('is on refusals too, and not on what no box gave', async () => {
    const stage = placedStage(boxes(['a']), { a: { ...json({ error: 'no' }), status: 400 } });
    const { status, headers } = await stage.read('/v1/chat/completions', chat('m'));
    expect([status, headers.get('x-corral-box')]).toEqual([400, 'a']);
    expect((await stage.read('/v1/models')).headers.get('x-corral-box')).toBeNull();
  });
});

describe("Claude Code's changing line", () => {
  const line = (cch: string) => `x-anthropic-billing-header: cc_version=2.1.37.0d9; cc_entrypoint=cli; cch=${cch};`;
  const system = (cch: string) => `[{"type":"text","text":"${line(cch)}"},{"type":"text","text":"You are Claude Code"}]`;
  const turn = (cch: string) => ({
    method: 'POST',
    body: `{"model":"m","max_tokens":9,"system":${system(cch)},"messages":[{"role":"user","content":"hi"}]}`,
  });

  it('does not reach boxes: what is sent is the same from turn to turn', async () => {
    const stage = placedStage(boxes([box('a')]), { a: json({}) });
    await stage.read('/v1/messages', turn('fa690'));
    await stage.read('/v1/messages', turn('0aaa9'));
    const [first, second] = stage.sent.map(({ text }) => text);
    expect(first).toBe(
      '{"model":"m","max_tokens":9,"system":[{"type":"text","text":"You are Claude Code"}],"messages":[{"role":"user","content":"hi"}]}',
    );
    expect(second).toBe(first);
  });

  it('stays where the file says so', async () => {
    const stage = placedStage(`${boxes([box('a')])}\nfleet: { affinity: { keepBillingLine: true } }\n`, { a: json({}) });
    await stage.read('/v1/messages', turn('fa690'));
    expect(stage.sent[0]?.text).toBe(turn('fa690').body);
  });
});
