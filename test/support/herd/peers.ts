/** The simplest gateways there are, over the simulated herd in virtual time: what a placement is to be compared with. */
import { createFakeClock } from '../fake-clock.ts';
import { createHerd, type SimulatedHerd } from './herd.ts';
import { type Asked, play, type Seen } from './player.ts';
import type { Trace } from './trace.ts';
import { happenTo, until, urlsOf } from './virtual.ts';

export type PeerKind = 'round robin' | 'least connections';

export async function playThrough(kind: PeerKind, trace: Trace): Promise<{ seen: readonly Seen[]; herd: SimulatedHerd }> {
  const clock = createFakeClock();
  const urls = urlsOf(trace);
  const herd = createHerd({ clock, boxes: trace.boxes.map((box, at) => ({ ...box, url: urls[at] ?? '' })) });
  let turn = 0;
  const choose = (): string => {
    const from = turn++;
    const order = urls.map((url, at) => ({
      url,
      open: herd.boxes[at]?.open ?? 0,
      at: (at - from + urls.length * from) % urls.length,
    }));
    order.sort((a, b) => (kind === 'round robin' ? 0 : a.open - b.open) || a.at - b.at);
    return order[0]?.url ?? '';
  };
  const ask = async ({ path, body, headers, leaving }: Asked): Promise<Response> => {
    const url = `${choose()}${path}`;
    const answer = await herd.platform.send({
      method: 'POST',
      url,
      headers,
      body: new TextEncoder().encode(body),
      signal: leaving,
    });
    return new Response(answer.body.stream() as ReadableStream<Uint8Array<ArrayBuffer>>, {
      status: answer.status,
      headers: answer.headers,
    });
  };
  const stage = { clock, ask, happen: happenTo(herd) };
  return { seen: await until(clock, play(trace, stage)), herd };
}
