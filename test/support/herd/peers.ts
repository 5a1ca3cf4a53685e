/** The simplest gateways there are, over the simulated herd in virtual time: what a placement is to be compared with. */
import { createFakeClock, type FakeClock } from '../fake-clock.ts';
import { createHerd, type SimulatedHerd } from './herd.ts';
import { type Asked, play, type Seen } from './player.ts';
import type { Trace } from './trace.ts';
import { happenTo, until, urlsOf } from './virtual.ts';

export type PeerKind = 'round robin' | 'least connections';

export interface PlayedBy {
  readonly seen: readonly Seen[];
  readonly herd: SimulatedHerd;
}

export function playThrough(kind: PeerKind, trace: Trace): Promise<PlayedBy> {
  let turn = 0;
  return playBy(trace, ({ boxes }) => () => {
    const from = turn++;
    const order = boxes.map(({ open }, box) => ({
      box,
      open,
      at: (box - from + boxes.length * from) % boxes.length,
    }));
    order.sort((a, b) => (kind === 'round robin' ? 0 : a.open - b.open) || a.at - b.at);
    return order[0]?.box ?? 0;
  });
}

/** Each request goes to the box, by its index, that is chosen for it. */
export async function playBy(
  trace: Trace,
  chooser: (herd: SimulatedHerd, clock: FakeClock) => (asked: Asked) => number,
): Promise<PlayedBy> {
  const clock = createFakeClock();
  const urls = urlsOf(trace);
  const herd = createHerd({ clock, boxes: trace.boxes.map((box, at) => ({ ...box, url: urls[at] ?? '' })) });
  const choose = chooser(herd, clock);
  const ask = async (asked: Asked): Promise<Response> => {
    const { path, body, headers, leaving } = asked;
    const answer = await herd.platform.send({
      method: 'POST',
      url: `${urls[choose(asked)] ?? ''}${path}`,
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
