/** The traces in virtual time: Corral's own gateway in this process beside the two simplest peers, without sockets and without this machine's noise. */

import { playThrough } from '../../test/support/herd/peers.ts';
import { figuresOf, type Seen } from '../../test/support/herd/player.ts';
import type { Trace } from '../../test/support/herd/trace.ts';
import { herdYaml, loadsOf, openVirtual, urlsOf } from '../../test/support/herd/virtual.ts';
import { type Foretold, foretoldOf } from './predictions.ts';
import type { Line } from './table.ts';

export async function playVirtually(trace: Trace): Promise<readonly Line[]> {
  const lineOf = (gateway: string, seen: readonly Seen[], loads: number, foretold: readonly Foretold[] = []): Line => {
    return { ...figuresOf(seen), trace: trace.name, gateway, loads, leftOpen: 0, errors: [], foretold };
  };
  const stage = await openVirtual(trace, herdYaml(urlsOf(trace), '  placement: {explain: always}'));
  const seen = await stage.play(trace);
  stage.opened.herd.stop();
  const lines = [lineOf('corral', seen, loadsOf(stage.herd), foretoldOf(seen))];
  for (const kind of ['round robin', 'least connections'] as const) {
    const peer = await playThrough(kind, trace);
    lines.push(lineOf(kind, peer.seen, loadsOf(peer.herd)));
  }
  return lines;
}
