/** One trace through one gateway: boxes on real ports at a compressed clock, the gateway as a process of its own, clients over sockets. */
import { mkdirSync } from 'node:fs';
import { createFastClock } from '../../test/support/herd/fast-clock.ts';
import { type Asked, play, type Seen } from '../../test/support/herd/player.ts';
import { type ServedBox, serveBox } from '../../test/support/herd/server.ts';
import type { Trace } from '../../test/support/herd/trace.ts';
import { pause } from '../faults.ts';
import { freePort, startServer, stopServer } from '../processes.ts';
import type { HerdGateway } from './gateways.ts';

export interface Played {
  readonly seen: readonly Seen[];
  readonly loads: number;
  /** Requests that the boxes still held in the end. */
  readonly leftOpen: number;
}

export async function playThrough(gateway: HerdGateway, trace: Trace, factor: number, folder: string): Promise<Played> {
  mkdirSync(folder, { recursive: true });
  const clock = createFastClock(factor);
  const boxes = await Promise.all(trace.boxes.map((setting) => serveBox(setting, clock)));
  const urls = boxes.map(({ url }) => url);
  const port = await freePort();
  const { command, env, cwd } = gateway.launch({ port, urls, folder, factor });
  const process = startServer(command, env, cwd, `${folder}/output.log`);
  const base = `http://127.0.0.1:${port}`;
  const own = gateway.headersFor?.(urls) ?? {};
  const ask = ({ path, body, headers, leaving }: Asked) =>
    fetch(`${base}${path}`, { method: 'POST', headers: { ...headers, ...own }, body, signal: leaving });
  try {
    await ready(base, own, gateway.startsWithinMs);
    await warmUp(ask);
    const happenings: Promise<void>[] = [];
    const happen = ({ box, what }: Trace['events'][number]): void => {
      const one = boxes[box];
      if (one !== undefined) happenings.push(what === 'comes back' ? one.comeBack() : one.die());
    };
    const seen = await play(trace, { clock: startingNow(clock), ask, happen });
    await Promise.all(happenings);
    await pause(50);
    return { seen, loads: sumOf(boxes, ({ box }) => box.scheduler.loads.started), leftOpen: sumOf(boxes, ({ box }) => box.open) };
  } finally {
    await stopServer(process);
    await Promise.all(boxes.map((box) => box.stop()));
  }
}

function sumOf(boxes: readonly ServedBox[], of: (box: ServedBox) => number): number {
  return boxes.reduce((sum, box) => sum + of(box), 0);
}

/** The trace begins now, whenever the boxes began. */
function startingNow(clock: ReturnType<typeof createFastClock>): ReturnType<typeof createFastClock> {
  const fromMs = clock.now();
  return { ...clock, now: () => clock.now() - fromMs };
}

async function ready(base: string, headers: Readonly<Record<string, string>>, withinMs: number): Promise<void> {
  const untilMs = performance.now() + withinMs;
  for (;;) {
    const status = await fetch(`${base}/v1/models`, { headers, signal: AbortSignal.timeout(2_000) }).then(
      async (response) => {
        await response.text();
        return response.status;
      },
      () => 0,
    );
    if (status !== 0 && status !== 503) break;
    if (performance.now() > untilMs) throw new Error(`no answer within ${withinMs} ms`);
    await pause(50);
  }
  await pause(300);
}

/** Code is slow until it is compiled: a hundred questions for a model that nobody has. */
async function warmUp(ask: (asked: Asked) => Promise<Response>): Promise<void> {
  const body = JSON.stringify({ model: 'nobody:latest', messages: [{ role: 'user', content: 'Hello' }], stream: true });
  for (let round = 0; round < 10; round++) {
    const asked = { path: '/v1/chat/completions', body, headers: { 'content-type': 'application/json' } };
    const one = async () => {
      const response = await ask({ ...asked, leaving: AbortSignal.timeout(5_000) });
      await response.text();
    };
    await Promise.all(Array.from({ length: 10 }, () => one().catch(() => undefined)));
  }
}
