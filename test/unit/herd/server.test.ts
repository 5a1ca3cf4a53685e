/** The simulated boxes on real ports. What is asserted is what happens, never how long it takes on this machine. */
import { afterEach, expect, it } from 'vitest';
import { createFastClock } from '../../support/herd/fast-clock.ts';
import { type ServedBox, serveBox } from '../../support/herd/server.ts';
import { small } from './talks.ts';

const open: ServedBox[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((box) => box.stop()));
});

async function served(): Promise<ServedBox> {
  const box = await serveBox({ models: [small] }, createFastClock(1_000));
  open.push(box);
  return box;
}

const chat = (url: string, signal?: AbortSignal) =>
  fetch(`${url}/api/chat`, {
    method: 'POST',
    body: JSON.stringify({ model: small.name, messages: [{ role: 'user', content: 'Hello' }] }),
    ...(signal && { signal }),
  });

it('answers over sockets as it does without', async () => {
  const box = await served();
  const response = await chat(box.url);
  expect(response.headers.get('content-type')).toBe('application/x-ndjson');
  const lines = (await response.text()).trimEnd().split('\n');
  expect(lines).toHaveLength(65);
  expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ done: true, done_reason: 'stop', eval_count: 64 });
  expect(box.box.scheduler.loads).toEqual({ started: 1, completed: 1, aborted: 0 });
});

it('refuses connections while it is gone, and listens on the same port again, empty', async () => {
  const box = await served();
  await (await chat(box.url)).text();
  const { url } = box;
  await box.die();
  await expect(chat(url)).rejects.toThrow();
  await box.comeBack();
  expect(box.url).toBe(url);
  expect(await (await fetch(`${url}/api/ps`)).json()).toEqual({ models: [] });
});

it('notices that a client has left', async () => {
  const box = await serveBox({ models: [{ ...small, sizeBytes: 1e15 }] }, createFastClock(1_000));
  open.push(box);
  const client = new AbortController();
  const asked = chat(box.url, client.signal).catch(() => 'left');
  while (box.box.open === 0) await new Promise((resolve) => void setImmediate(resolve));
  client.abort();
  expect(await asked).toBe('left');
  while (box.box.open > 0) await new Promise((resolve) => void setImmediate(resolve));
  expect(box.box.scheduler.loads).toEqual({ started: 1, completed: 0, aborted: 1 });
});
