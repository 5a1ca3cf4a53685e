/** Isolates share nothing but the Durable Object of a box: two Workers on workerd, one box with one slot. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { testedRuntimes } from '../support/runtimes/index.ts';

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

/** A box that notes how many generations overlap; each takes a moment. */
async function openBox() {
  const seen = { underWay: 0, most: 0, served: 0, loads: 0 };
  const server: Server = createServer((incoming, outgoing) => {
    const json = (body: object) => outgoing.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    const model = { name: 'a:latest', model: 'a:latest', digest: 'd1', size: 10, size_vram: 10, context_length: 4096 };
    if (incoming.url === '/api/version') return void json({ version: '0.99.0' });
    if (incoming.url === '/api/tags') return void json({ models: [model] });
    if (incoming.url === '/api/ps') return void json({ models: [model] });
    if (incoming.url !== '/api/chat') return void json({ done: true });
    incoming.resume();
    seen.underWay++;
    seen.most = Math.max(seen.most, seen.underWay);
    const leave = () => {
      if (!outgoing.writableFinished) seen.underWay--;
    };
    outgoing.once('close', leave);
    setTimeout(() => {
      seen.served++;
      seen.underWay--;
      outgoing.off('close', leave);
      json({ model: 'a', message: { role: 'assistant', content: 'hi' }, done: true, prompt_eval_count: 1, eval_count: 1 });
    }, 150);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ending.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { seen, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const [workerd] = testedRuntimes().filter(({ name }) => name === 'workerd');

async function openWorkers(durableObjects: Readonly<Record<string, string>>) {
  const box = await openBox();
  const corral = await workerd?.start({
    yaml: `fleet:\n  boxes:\n  - { url: "${box.url}", name: desk, slots: 1 }\n`,
    env: { CORRAL_ALLOW_ANONYMOUS: '1' },
    durableObjects,
    isolates: 2,
  });
  if (corral === undefined) throw new Error('no workerd');
  ending.push(() => corral.stop(0));
  await expect.poll(() => corral.urls.length).toBe(2);
  const ask = async (at: number) => {
    const body = JSON.stringify({ model: 'a', stream: false, messages: [{ role: 'user', content: 'hi' }] });
    const response = await fetch(`${corral.urls[at]}/api/chat`, { method: 'POST', body });
    return `${response.status} ${((await response.json()) as { message?: { content: string } }).message?.content}`;
  };
  return { ...box, corral, ask };
}

it.skipIf(workerd === undefined)('T7: calls through two isolates never overlap at a box with one slot', async () => {
  const { ask, seen } = await openWorkers({ CORRAL_BOX_OWNER: 'CorralBoxOwner' });
  expect([await ask(0), await ask(1)]).toEqual(['200 hi', '200 hi']);
  const answers = await Promise.all([0, 1, 0, 1, 0, 1].map(ask));
  expect(answers).toEqual(Array.from({ length: 6 }, () => '200 hi'));
  expect([seen.most, seen.served]).toEqual([1, 8]);
});

it.skipIf(workerd === undefined)('says at start that limits hold for each isolate alone where none is bound', async () => {
  const { ask, seen, corral } = await openWorkers({});
  await Promise.all([0, 1].map(ask));
  await corral.untilOutput(/slots, queue and loads of the boxes hold for each isolate alone.*CORRAL_BOX_OWNER.*corral --relay/);
  expect(seen.served).toBe(2);
});
