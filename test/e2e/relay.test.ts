/** A relay beside a box and a Corral in front of it, as processes with sockets, on each runtime. */
import { describe, expect, it } from 'vitest';
import { RelayLeg } from '../../src/fleet/asking/relay.ts';
import { startFakeOllama } from '../support/fake-ollama/index.ts';
import { type RunningCorral, testedRuntimes } from '../support/runtimes/index.ts';

const secret = 'known to both ends of the leg';
const runtimes = testedRuntimes();
const relayRuntimes = runtimes.filter(({ name }) => name !== 'workerd');

const herd = (url: string) => `fleet:\n  boxes:\n  - { url: "${url}", name: desk }\n`;

/** As a Corral in front does it, once the relay has proved to be one. */
async function askSigned(url: string, relayUrl: string, body: object | undefined): Promise<Response> {
  const leg = new RelayLeg({ now: () => performance.now(), wallTime: () => Date.now() });
  leg.adopt({ secret, access: undefined });
  const probe = { method: 'GET', url: `${relayUrl}/api/version` };
  const shown = await leg.headersFor(probe);
  await leg.prove((await fetch(probe.url, { headers: { ...shown } })).headers, shown);
  const method = body === undefined ? 'GET' : 'POST';
  const headers = { 'content-type': 'application/json', ...(await leg.headersFor({ method, url })) };
  return await fetch(url, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
}

// Each waits for four loads: side by side.
describe.concurrent.each(relayRuntimes)('$name', (runtime) => {
  it('T1: a load of some seconds comes through a relay, whole and streamed', async ({ onTestFinished }) => {
    const kept = (corral: RunningCorral): RunningCorral => {
      onTestFinished(async () => void (await corral.stop(0)));
      return corral;
    };
    const box = await startFakeOllama({ models: ['one', 'two', 'three', 'four'] });
    const cold = ['one', 'two', 'three', 'four'];
    onTestFinished(() => box.stop());
    box.set({ loadMs: 2_500 });
    const env = { CORRAL_RELAY_SECRET: secret };
    const relay = kept(await runtime.start({ yaml: herd(box.url), args: ['--relay'], env }));
    for (const front of runtimes.filter(({ name }) => name === runtime.name || name === 'workerd')) {
      const open = { CORRAL_ALLOW_ANONYMOUS: '1' };
      const { url } = kept(await front.start({ yaml: herd(relay.url), env: { ...env, ...open } }));
      for (const stream of [false, true]) {
        const model = cold.shift();
        const response = await fetch(`${url}/v1/chat/completions`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'hi' }] }),
        });
        const text = await response.text();
        expect([response.status, response.headers.get('x-corral-early')]).toEqual([200, null]);
        if (stream) expect(text).toMatch(/data: \[DONE\]\n\n$/);
        else expect(JSON.parse(text)).toMatchObject({ object: 'chat.completion' });
      }
    }
    expect(box.loads.completed).toBe(4 - cold.length);
    const stranger = await fetch(`${relay.url}/api/tags`);
    expect([stranger.status, stranger.headers.get('x-corral-relay'), stranger.headers.get('x-corral-load')]).toEqual([
      401,
      '1',
      null,
    ]);
    // What comes in time is no early answer.
    box.set({ loadMs: 0 });
    // Answered from memory, handed on whole, and handed on as a stream: each tells how busy the relay is.
    for (const [path, body] of [
      ['/api/tags', undefined],
      ['/api/show', { model: 'one' }],
      ['/v1/chat/completions', { model: 'one', stream: true, messages: [{ role: 'user', content: 'hi' }] }],
    ] as const) {
      const response = await askSigned(relay.url + path, relay.url, body);
      await response.text();
      expect([path, response.status, response.headers.get('x-corral-load')]).toEqual([
        path,
        200,
        expect.stringMatching(/^\d+;.*\.[\w-]{43}$/),
      ]);
    }
  });
});

it.each(relayRuntimes.filter(({ name }) => name !== 'deno'))(
  '$name refuses to listen for strangers without a secret',
  async (runtime) => {
    const { code, stderr } = await runtime.run({ args: ['--relay', '--host', '0.0.0.0'] });
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/--relay listens on 0\.0\.0\.0 and has no secret.*CORRAL_RELAY_SECRET/),
    ]);
  },
);
