/** Contexts of different sizes for one model: a whole gateway over the simulated herd, in virtual time. */
import { expect, it } from 'vitest';
import { herdYaml, openVirtual, type VirtualStage } from '../../support/herd/virtual.ts';
import { small } from './talks.ts';

/** Loads take 5 s, answers well below one. */
const oneBox = { boxes: [{ models: [small], parallel: 4 }] };

interface Told {
  readonly endMs: number;
  readonly status: number;
}

/** Asks so many milliseconds from now. */
function askAt(stage: VirtualStage, atMs: number, numCtx: number | undefined, headers = {}, path = '/api/chat'): Promise<Told> {
  const fromMs = stage.clock.now();
  const body = {
    model: small.name,
    stream: false,
    max_tokens: 10,
    messages: [{ role: 'user', content: 'Why is the sky blue?' }],
    ...(path === '/api/chat' && { options: { num_predict: 10, ...(numCtx === undefined ? {} : { num_ctx: numCtx }) } }),
  };
  return new Promise((resolve, reject) => {
    const ask = async (): Promise<void> => {
      const response = await stage.ask({
        path,
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers },
        leaving: new AbortController().signal,
      });
      await response.text();
      resolve({ endMs: Math.round(stage.clock.now() - fromMs), status: response.status });
    };
    stage.clock.after(atMs, () => void ask().catch(reject));
  });
}

it('T6: those who want more context than is being loaded wait for one load of the most; those before them are served first', async () => {
  const stage = await openVirtual(oneBox);
  const told = await stage.until(
    Promise.all([
      askAt(stage, 0, undefined),
      askAt(stage, 100, 16_384),
      askAt(stage, 200, 32_768),
      askAt(stage, 300, 8_192),
      // Long after the last one has named its context: they take what is there, or is about to be.
      askAt(stage, 30_000, undefined),
      askAt(stage, 30_000, 4_096),
    ]),
  );
  const scheduler = stage.herd.boxes[0]?.scheduler;
  expect(told.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
  // 5 s of loading and 0.2 s of answering; then 5 s more, and 0.2 s of unloading.
  const [first, ...others] = told.map(({ endMs }) => endMs);
  expect(first).toBeLessThan(5_500);
  for (const endMs of others.slice(0, 3)) expect(endMs).toBeLessThan(11_000);
  for (const endMs of others.slice(3)) expect(endMs).toBeLessThan(30_500);
  expect(scheduler?.loads).toEqual({ started: 2, completed: 2, aborted: 0 });
  expect([...(scheduler?.runners.values() ?? [])].map(({ contextLength }) => contextLength)).toEqual([32_768]);
});

it('T6: a call that waits for a slot goes by the context that is there when it comes in', async () => {
  const stage = await openVirtual(
    { boxes: [{ models: [small], tokensPerSecond: 2 }] },
    `${herdYaml(['http://box-1.herd:11434'])}    slots: 1`,
  );
  const told = await stage.until(
    Promise.all([
      askAt(stage, 0, 8_192),
      askAt(stage, 6_000, 8_192),
      // It can wait, and lets one ahead that has the model loaded anew.
      askAt(stage, 6_100, 8_192, { 'x-corral-class': 'bulk' }),
      askAt(stage, 6_200, 32_768),
    ]),
  );
  expect(told.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  expect(told[2]?.endMs).toBeGreaterThan(told[3]?.endMs ?? 0);
  expect(stage.herd.boxes[0]?.scheduler.loads).toEqual({ started: 2, completed: 2, aborted: 0 });
});

it('T6: the context of fleet.warm is the one of all calls that name none, on whatever path: nothing is loaded anew', async () => {
  const yaml = `${herdYaml(['http://box-1.herd:11434'])}  warm: [{ model: "${small.name}", numCtx: 16384 }]`;
  const stage = await openVirtual(oneBox, yaml);
  await stage.clock.advance(20_000);
  const told = await stage.until(
    Promise.all([
      askAt(stage, 0, undefined),
      askAt(stage, 1_000, undefined, {}, '/v1/chat/completions'),
      askAt(stage, 2_000, 4_096),
      askAt(stage, 3_000, undefined, {}, '/v1/messages'),
    ]),
  );
  expect(told.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  await stage.clock.advance(60_000);
  const scheduler = stage.herd.boxes[0]?.scheduler;
  expect(scheduler?.loads).toEqual({ started: 1, completed: 1, aborted: 0 });
  expect([...(scheduler?.runners.values() ?? [])].map(({ contextLength }) => contextLength)).toEqual([16_384]);
});
