/** Every exchange ends once, whatever becomes of its client and its upstream on the way; nothing is asked for who has left. */
import { describe, expect, test } from 'vitest';
import { client, type Script, type Stage } from './stage.ts';
import { boxes, byHost, chat, json, stageOf } from './words.ts';

const whole = json({ model: 'm', usage: { prompt_tokens: 1, completion_tokens: 1 } });
const guard = "{ ai: { promptGuard: { request: [{ webhook: { target: { host: 'guard:80' } } }] } } }";

/** What asks a guard first, who takes a second to say yes. */
const guarded: Script = (sent) =>
  new URL(sent.url).hostname === 'guard'
    ? { afterMs: 1_000, headers: { 'content-type': 'application/json' }, body: '{"action":{"reason":"ok"}}' }
    : byHost({ a: whole, b: whole })(sent);

const said = { messages: [{ role: 'user', content: 'x' }] };
const boxesAsked = ({ sent }: Stage) => sent.map(({ url }) => new URL(url).hostname).filter((name) => name !== 'guard');

describe('a client that leaves while a policy makes up its mind', () => {
  test.each([[['a']], [['a', 'b']]])('of %j no box is asked for it', async (names) => {
    const stage = stageOf(boxes(names, { route: guard }), {}, { script: guarded });
    const leaving = client();
    const asking = stage.ask('/v1/chat/completions', { ...chat('m', said), client: leaving });
    await stage.clock.advance(500);
    leaving.leave();
    await stage.clock.advance(5_000);
    await asking;
    expect([boxesAsked(stage), stage.gateway.inFlight, stage.told[0]?.exchange.outcome]).toEqual([[], 0, 'abandoned']);
  });

  test('the same where headers have left already', async () => {
    const slow: Script = (sent) =>
      new URL(sent.url).hostname === 'guard' ? { afterMs: 4_500, body: '{"action":{"reason":"ok"}}' } : whole;
    const more = 'fleet: { loads: { headersAfter: 2s } }';
    const stage = stageOf(boxes(['a'], { route: guard, more }), {}, { script: slow });
    const asking = stage.ask('/v1/chat/completions', chat('m', { ...said, stream: true }));
    await stage.clock.advance(3_500);
    const response = await asking;
    await response.body?.cancel();
    await stage.clock.advance(30_000);
    expect([boxesAsked(stage), stage.gateway.inFlight, stage.told[0]?.exchange.outcome]).toEqual([[], 0, 'abandoned']);
  });
});

describe('an answer that no Response can hold', () => {
  const read = "{ transformations: { response: { body: 'response.body' } } }";
  test.each([
    [205, 205],
    [999, 502],
  ])('%d, where a policy reads it, ends its exchange', async (status, seen) => {
    const stage = stageOf(boxes(['a'], { route: read }), { a: { status, body: 'x' } });
    stage.herd.know('a', { isBox: false });
    const answer = await stage.read('/v1/chat/completions', chat('m'));
    expect(answer.status).toBe(seen);
    expect([stage.gateway.inFlight, stage.told.length, stage.herd.inFlight(stage.plan.upstreams[0] as never)]).toEqual([0, 1, 0]);
    expect(stage.clock.pending).toBe(0);
  });
});
