/** Whatever comes, leaves, fails and falls silent: each exchange ends once, each lease ends once, no timer is left behind. */
import { expect, test } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import { admitTo } from '../../../src/fleet/admission.ts';
import type { Loads } from '../../../src/fleet/loads/loads.ts';
import { createSlots, type Slots } from '../../../src/fleet/slots/slots.ts';
import { usualTuning } from '../../../src/fleet/tuning.ts';
import { createRandom, type Random } from '../../support/herd/random.ts';
import { client, createStage, type Script, type Stage } from './stage.ts';
import { box, boxes, chat } from './words.ts';

const callers = 12;
const runs = 40;

const routes = [
  '{}',
  '{ timeout: { requestTimeout: 7s } }',
  '{ timeout: { backendRequestTimeout: 3s } }',
  '{ retry: { attempts: 3, codes: [503, 500], backoff: 500ms } }',
  "{ ai: { promptGuard: { request: [{ webhook: { target: { host: 'guard:80' } } }] } } }",
  "{ ai: { promptGuard: { response: [{ regex: { rules: [{ pattern: 'never said' }] } }] } } }",
  "{ transformations: { response: { set: { x-size: 'string(size(response.body))' } } } }",
];

const line = (isDone: boolean) =>
  `${JSON.stringify({ model: 'm', created_at: 't', message: { role: 'assistant', content: 'x' }, done: isDone, eval_count: 1 })}\n`;
const event = 'data: {"model":"m","choices":[{"index":0,"delta":{"content":"x"}}]}\n\n';
const whole = '{"object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"x"}}]}';

/** A box that answers well, badly, late, or not at all. `isDying`: one that says nothing more is found to be dead. */
function moody(random: Random, isDying: boolean): Script {
  return ({ url, text }) => {
    if (url.includes('guard')) return { afterMs: random.whole(0, 3_000), body: '{"action":{"reason":"ok"}}' };
    const mood = random.next();
    const afterMs = random.pick([0, 100, 4_000]);
    if (mood < 0.08) return 'never';
    if (mood < 0.16) return new GatewayError(random.pick(['upstream_refused', 'upstream_closed', 'upstream_timeout']), 'x');
    const json = { 'content-type': 'application/json' };
    if (mood < 0.26) return { afterMs, status: random.pick([400, 404, 429, 500, 503]), headers: json, body: '{"error":"boom"}' };
    const isNative = url.includes('/api/');
    const ends = isDying
      ? random.pick(['clean', 'broken', 'silent'] as const)
      : random.pick(['clean', 'clean', 'broken'] as const);
    if (text?.includes('"stream":true') !== true) return { afterMs, headers: json, body: isNative ? line(true) : whole, ends };
    const body = isNative ? [line(false), line(false), line(true)] : [event, event, 'data: [DONE]\n\n'];
    const type = isNative ? 'application/x-ndjson' : 'text/event-stream';
    return { afterMs, headers: { 'content-type': type }, body, pausesMs: body.map(() => random.whole(0, 2_500)), ends };
  };
}

/** One slot for each model of each box, and loads that take their time, or fail. Counts leases. */
function admitting(stage: Stage, random: Random, hasBackground: boolean) {
  const counts = { granted: 0, ended: 0 };
  const slots = new Map<string, Slots>();
  for (const upstream of stage.plan.upstreams) {
    const options = { weight: 1, slots: 1, vramBytes: undefined, reserveBytes: 0, maxLoaded: undefined, headers: {} };
    const tuning = { ...usualTuning, maxWaiting: random.pick([1, 3, 20]), maxWaitMs: random.pick([3_000, 20_000]) };
    slots.set(
      upstream.name,
      createSlots({ clock: stage.clock, hasBackground, box: { upstream: { ...upstream, box: options }, tuning } }),
    );
  }
  const loads: Loads = {
    underWay: () => [],
    ready(_, waiter) {
      if (random.next() < 0.6) return undefined;
      const failure = new GatewayError('load_failed', 'no');
      if (random.next() < 0.1) throw failure;
      waiter.onWait?.({ for: 'load', boxName: 'a', position: 0 });
      const loadMs = random.whole(1, 6_000);
      const fails = random.next() < 0.3;
      return new Promise((resolve, reject) => {
        stage.clock.after(loadMs, () => (fails ? reject(failure) : resolve({ waitedMs: loadMs, numCtx: undefined })));
      });
    },
  };
  const admit: Stage['herd']['admit'] = (upstream, ...asked: unknown[]) => {
    const [ask, waiter] = asked as [Parameters<typeof admitTo>[1], Parameters<typeof admitTo>[2]];
    const own = slots.get(upstream.name);
    if (own === undefined) throw new Error(upstream.name);
    const begin = () => {
      counts.granted++;
      return { began: () => undefined, end: () => undefined };
    };
    const onEnd = () => {
      counts.ended++;
    };
    return admitTo({ slots: own, loads, onEnd, begin }, ask, waiter) as ReturnType<Stage['herd']['admit']>;
  };
  Object.assign(stage.herd, { admit });
  return { counts, slots: [...slots.values()] };
}

/** Comes at some time, asks for something, and stays or leaves. */
async function live(stage: Stage, random: Random): Promise<void> {
  const caller = client();
  const leaves = random.next() < 0.5;
  const leaveMs = random.whole(0, 12_000);
  const path = random.pick(['/v1/chat/completions', '/api/chat', '/v1/messages', '/v1/responses']);
  const ofOllama = random.next() < 0.4 ? { num_ctx: 4_096 } : {};
  const messages = [{ role: 'user', content: 'x' }];
  const { body } = chat('m', { ...ofOllama, messages, input: 'x', max_tokens: 5, stream: random.next() < 0.6 });
  const startMs = random.whole(0, 3_000);
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  let isAnswered = false;
  let isOver = false;
  await new Promise<void>((resolve) => stage.clock.after(startMs, resolve));
  if (leaves)
    stage.clock.after(leaveMs, () => {
      if (isOver) return;
      isOver = true;
      if (isAnswered) void reader?.cancel().catch(() => undefined);
      else caller.leave();
    });
  const response = await stage.ask(path, { body, client: caller });
  isAnswered = true;
  if (isOver) return response.body?.cancel();
  reader = response.body?.getReader();
  for (let hasMore = reader !== undefined; hasMore; ) {
    hasMore = (await reader?.read().catch(() => undefined))?.done === false;
  }
  isOver = true;
}

test.each([true, false])(
  'T7, T15: of many lives nothing is left over (background: %s)',
  async (hasBackground) => {
    for (let seed = 1; seed <= runs; seed++) {
      const random = createRandom(seed);
      const names = random.pick([['a'], ['a', 'b']]);
      const route = random.pick(routes);
      const more = `fleet: { loads: { headersAfter: ${random.pick(['1s', '2s', '30s'])}, heartbeat: 1s, padJson: ${random.next() < 0.5} } }`;
      const stage = createStage(
        boxes(
          names.map((name) => box(name)),
          { route, more },
        ),
        { hasBackground },
      );
      const isDying = random.next() < 0.4;
      if (isDying) for (const name of names) stage.herd.know(name, { answersProbe: false });
      stage.script = moody(random, isDying);
      const { counts, slots } = admitting(stage, random, hasBackground);
      const lives = Array.from({ length: callers }, () => live(stage, random));
      for (let at = 0; at < 60; at++) {
        await stage.clock.advance(1_000);
        for (const leaving of stage.leavings.splice(0)) leaving.abort();
      }
      // Beyond every limit: of the load, of the queue, of silence.
      await stage.clock.advance(2_500_000);
      await Promise.all(lives);
      const left = {
        inFlight: stage.gateway.inFlight,
        told: stage.told.length,
        busy: slots.map((one) => one.busy() + one.waiting()),
        leases: counts.granted - counts.ended,
        timers: stage.clock.pending,
      };
      expect(left, `seed ${seed}: ${route}`).toEqual({
        inFlight: 0,
        told: callers,
        busy: names.map(() => 0),
        leases: 0,
        timers: 0,
      });
      expect(counts.granted).toBeGreaterThan(0);
    }
  },
  60_000,
);
