/** Models that are kept warm, beside loads of others: a whole gateway over the simulated herd, in virtual time. */
import { expect, it } from 'vitest';
import type { HerdModel } from '../../support/herd/setting.ts';
import { herdYaml, openVirtual, urlsOf } from '../../support/herd/virtual.ts';
import { other, small, talk, traceOf, turn } from './talks.ts';

/** One token a second; loads take 5 s. */
const slow = { boxes: [{ models: [small, other], maxLoaded: 1, tokensPerSecond: 1 }] };
const warm = herdYaml(urlsOf(slow), `  warm: [{model: "${small.name}"}]`);

it('T5: a load that must push out a model in use waits for the answers of that, and not for the keep_alive that keeps it warm', async () => {
  const stage = await openVirtual(slow, warm);
  await stage.clock.advance(20_000);
  const [box] = stage.herd.boxes;
  expect(box?.scheduler.loaded).toEqual([small.name]);
  const fromMs = stage.clock.now();
  const seen = await stage.play({
    ...traceOf([talk({ turns: [turn({ outputTokens: 64 })] }), talk({ atMs: 10_000, model: other.name })]),
    ...slow,
  });
  expect(seen.map(({ verdict }) => verdict)).toEqual(['whole', 'whole']);
  // The long answer takes 64 s, the load 5 s. The keep_alive would be over after 424 s.
  expect((seen[1]?.firstTokenMs ?? 0) - fromMs).toBeLessThan(75_000);
  // Afterwards the one that is wanted warm comes back.
  await stage.clock.advance(60_000);
  expect(box?.scheduler.loaded).toEqual([small.name, other.name, small.name]);
});

it('T5: stays warm beside a load that takes longer than its keep_alive, where it was seen to stay, though the memory was never full', async () => {
  // Loads at 40 MB/s: of 16 GB in 400 s.
  const huge: HerdModel = { name: 'huge:latest', sizeBytes: 16_000_000_000 };
  const tiny: HerdModel = { ...small, sizeBytes: 40_000_000 };
  const slowDisk = { boxes: [{ models: [tiny, huge], diskBytesPerSecond: 40_000_000 }] };
  const stage = await openVirtual(slowDisk, warm);
  await stage.clock.advance(20_000);
  const seen = await stage.play({ ...traceOf([talk({ model: huge.name })]), ...slowDisk });
  expect(seen.map(({ verdict }) => verdict)).toEqual(['whole']);
  expect((seen[0]?.firstTokenMs ?? 0) - (seen[0]?.startMs ?? 0)).toBeGreaterThan(400_000);
  await stage.clock.advance(60_000);
  expect(stage.herd.boxes[0]?.scheduler.loaded).toEqual([tiny.name, huge.name]);
});
