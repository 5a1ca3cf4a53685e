import { Hono } from 'hono';
import { expect, it } from 'vitest';
import type { AdminEnv } from '../../../src/admin/access.ts';
import { servePlacement } from '../../../src/admin/placement.ts';
import { createFleet } from '../../../src/fleet/fleet.ts';
import { createWorld, healthyBox, runningItem, upstreamNamed } from '../fleet/scripted-boxes.ts';

const upstreams = ['attic', 'den', 'ghost'].map((name) => upstreamNamed(name, `http://${name}:11434`));

async function asked(path: string) {
  const world = createWorld();
  world.scripts.set('http://attic:11434', healthyBox(['chat', 'code'], [runningItem('code')]));
  world.scripts.set('http://den:11434', healthyBox(['chat'], [runningItem('chat')]));
  const herd = createFleet({ upstreams, platform: world.platform, instanceId: 'me', jitter: () => 0.5 });
  const learning = herd.learn();
  await world.clock.advance(2_000);
  await learning;
  const app = new Hono<AdminEnv>();
  servePlacement(app, herd.explain);
  const response = await app.request(path);
  herd.stop();
  return { status: response.status, text: await response.text() };
}

it('tells what a call would meet at each box, in the order in which they are asked', async () => {
  const { status, text } = await asked('/placement?model=CHAT&promptTokens=600');
  expect(status).toBe(200);
  const { model, promptTokens, boxes } = JSON.parse(text);
  expect([model, promptTokens, boxes.map(({ box }: { box: string }) => box)]).toEqual(['CHAT', 600, ['den', 'attic', 'ghost']]);
  expect(boxes[0]).toMatchObject({
    rank: 0,
    isAlive: true,
    hasModel: true,
    isHome: false,
    orderMs: 1_050,
    prediction: { totalMs: 1_050, queueMs: 0, loadMs: 0, evictionMs: 0, promptMs: 1_050, cachedMs: 0 },
    inputs: { isResident: true, tokensPerSecond: 600, busy: 0 },
  });
  expect(boxes[1]).toMatchObject({ rank: 1, inputs: { isResident: false, neighbours: 1 } });
  expect(boxes[1].prediction.loadMs).toBeGreaterThan(1_000);
  expect(boxes[2]).toEqual({ box: 'ghost', isAlive: false });
});

it('names a home where the conversation is named', async () => {
  const { text } = await asked('/placement?model=chat&conversation=c1');
  expect(JSON.parse(text).boxes[0]).toMatchObject({ box: 'den', isHome: true });
});

it.each([
  ['/placement', 'name the model: GET /placement?model=llama3.2'],
  ['/placement?model=chat&promptTokens=many', 'promptTokens is a number of tokens'],
  ['/placement?model=chat&promptTokens=100000001', 'promptTokens is a number of tokens, 100000000 at most'],
])('says what is wrong with %s', async (path, words) => {
  const { status, text } = await asked(path);
  expect(status).toBe(400);
  expect(text).toContain(words);
});
