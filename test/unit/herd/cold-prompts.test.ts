/** T6: prompts that are too long for a model that is not in memory yet: a whole gateway over the simulated herd, in virtual time. */
import { expect, it } from 'vitest';
import { openVirtual } from '../../support/herd/virtual.ts';
import { allSurfaces, small, talk, traceOf } from './talks.ts';

const box = { boxes: [{ models: [small], contextLength: 2_048 }] };
const long = 'word '.repeat(6_000);

it.each(allSurfaces.filter((path) => path.startsWith('/v1')))(
  'the load shows the context, and the prompt is refused on %s: the box never cuts it',
  async (surface) => {
    const stage = await openVirtual(box);
    const [seen] = await stage.play({ ...traceOf([talk({ surface, system: long })]), ...box });
    expect(seen).toMatchObject({ verdict: 'error', status: 400 });
    expect(seen?.error).toMatch(/2048/);
    expect(stage.herd.boxes[0]?.scheduler.loads).toEqual({ started: 1, completed: 1, aborted: 0 });
    expect(stage.herd.boxes[0]?.completed).toBe(0);
  },
);
