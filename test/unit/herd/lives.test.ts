/** Loads that outlive clients, clients that leave, runners that die: a whole gateway over the simulated herd, in virtual time. */
import { describe, expect, it } from 'vitest';
import { play } from '../../support/herd/player.ts';
import { herdYaml, openVirtual, urlsOf } from '../../support/herd/virtual.ts';
import { allSurfaces, other, small, talk, traceOf, turn } from './talks.ts';

const oneBox = { boxes: [{ models: [small, other] }] };
/** 4 GB take 179 s, and the start 1 s. */
const slowDisk = { boxes: [{ models: [small], diskBytesPerSecond: 4_000_000_000 / 179 }] };

describe('T1: cold loads', () => {
  it('go on when the client that began one leaves after 10 s, and serve the one that came at 20 s as soon as they are over', async () => {
    const stage = await openVirtual(slowDisk);
    const fromMs = stage.clock.now();
    const [first, second] = await stage.play({
      ...traceOf([talk({ turns: [turn({ leaveAfterMs: 10_000 })] }), talk({ atMs: 20_000 })]),
      ...slowDisk,
    });
    expect(first?.verdict).toBe('left');
    expect(second).toMatchObject({ verdict: 'whole', isExact: true });
    const tokenMs = (second?.firstTokenMs ?? 0) - fromMs;
    expect(tokenMs).toBeGreaterThanOrEqual(180_000);
    expect(tokenMs).toBeLessThan(181_000);
    expect(stage.herd.boxes[0]?.scheduler.loads).toEqual({ started: 1, completed: 1, aborted: 0 });
  });

  it('are made once for fifty clients of all surfaces, twenty of whom leave', async () => {
    const stage = await openVirtual(slowDisk);
    const talks = Array.from({ length: 50 }, (_, at) =>
      talk({
        atMs: at * 2_000,
        surface: allSurfaces[at % allSurfaces.length] ?? '/api/chat',
        turns: [turn({ leaveAfterMs: at % 5 < 2 ? 3_000 : undefined })],
      }),
    );
    const seen = await stage.play({ ...traceOf(talks), ...slowDisk });
    expect(seen.filter(({ verdict }) => verdict === 'whole')).toHaveLength(30);
    expect(seen.filter(({ verdict }) => verdict === 'left')).toHaveLength(20);
    const scheduler = stage.herd.boxes[0]?.scheduler;
    expect(scheduler?.loads).toEqual({ started: 1, completed: 1, aborted: 0 });
    expect(scheduler?.leaked).toBe(0);
  });
});

describe('T7: cancelling', () => {
  it('ends at the box within 100 ms of a client that leaves in the middle of its answer, and frees the slot', async () => {
    const stage = await openVirtual(oneBox);
    await stage.play({ ...traceOf([talk()]), ...oneBox });
    const box = stage.herd.boxes[0];
    const playing = play(traceOf([talk({ turns: [turn({ outputTokens: 64, leaveAfterMs: 500 })] })]), stage);
    await stage.clock.advance(400);
    expect(box?.open).toBe(1);
    await stage.clock.advance(200);
    expect(box?.open).toBe(0);
    const [left] = await stage.until(playing);
    expect(left?.verdict).toBe('left');
    expect(box?.scheduler.loads.aborted).toBe(0);
  });
});

describe('T9: a runner that dies', () => {
  it.each(allSurfaces)('is told of in the stream of %s', async (surface) => {
    const stage = await openVirtual(oneBox);
    await stage.play({ ...traceOf([talk()]), ...oneBox });
    stage.herd.boxes[0]?.crashNext(5);
    const [seen] = await stage.play({ ...traceOf([talk({ surface })]), ...oneBox });
    expect(seen?.status).toBe(200);
    expect(seen?.verdict).toBe('error');
    expect(seen?.error).not.toBe('');
  });

  it.each(allSurfaces)(
    'before its first token costs the client of %s nothing where another box has the model',
    async (surface) => {
      const twoBoxes = { boxes: [...oneBox.boxes, ...oneBox.boxes] };
      const stage = await openVirtual(twoBoxes);
      await stage.play({ ...traceOf([talk()]), ...twoBoxes });
      for (const box of stage.herd.boxes) if (box.requests > 0 && box.completed > 0) box.crashNext(0);
      const [seen] = await stage.play({ ...traceOf([talk({ surface })]), ...twoBoxes });
      expect(seen).toMatchObject({ status: 200, verdict: 'whole', isExact: true });
    },
  );
});

describe('T9: a box that was started anew while it answered', () => {
  it.each(allSurfaces)('leaves no client of %s waiting for the rest, although it answers probes again', async (surface) => {
    const stage = await openVirtual(oneBox);
    await stage.play({ ...traceOf([talk()]), ...oneBox });
    const playing = play(traceOf([talk({ surface, turns: [turn({ outputTokens: 64 })] })]), stage);
    await stage.clock.advance(400);
    stage.herd.boxes[0]?.die('silent');
    await stage.clock.advance(10_000);
    stage.herd.boxes[0]?.comeBack();
    const [seen] = await stage.until(playing, 120_000);
    expect(seen?.verdict).toBe('error');
    expect(seen?.error).toContain('has not got the model in memory any more');
    expect(stage.herd.open).toBe(0);
  });
});

describe('T11: queues', () => {
  const keys = `
binds:
- port: 3000
  listeners:
  - routes:
    - policies:
        apiKey:
          keys:
          - key: key-a
            metadata: {name: a}
          - key: key-b
            metadata: {name: b}
      backends:
      - ai:
          name: one
          hostOverride: box-1.herd:11434
          provider: {openAI: {}}
`;

  it('serve the one call of a second key within two slots, although the first key has posted a hundred', async () => {
    const stage = await openVirtual(oneBox, `${keys}${herdYaml(urlsOf(oneBox), '    slots: 1')}`);
    await stage.play({ ...traceOf([talk({ key: 'key-a' })]), ...oneBox });
    const many = Array.from({ length: 100 }, (_, at) => talk({ atMs: at, key: 'key-a' }));
    const seen = await stage.play({ ...traceOf([...many, talk({ atMs: 1_000, key: 'key-b' })]), ...oneBox });
    expect(seen.every(({ verdict }) => verdict === 'whole')).toBe(true);
    const b = seen.find(({ talk: { key } }) => key === 'key-b');
    const before = seen.filter((one) => one !== b && one.endMs > (b?.startMs ?? 0) && one.endMs <= (b?.firstTokenMs ?? 0));
    expect(before.length).toBeLessThanOrEqual(2);
  });

  it('are full with 503 and Retry-After at once, in Corral and not in the box', async () => {
    const stage = await openVirtual(oneBox, herdYaml(urlsOf(oneBox), '    slots: 1\n  queue: {maxWaiting: 5}'));
    await stage.play({ ...traceOf([talk()]), ...oneBox });
    const seen = await stage.play({ ...traceOf(Array.from({ length: 20 }, (_, at) => talk({ atMs: at }))), ...oneBox });
    const refused = seen.filter(({ verdict }) => verdict === 'error');
    expect(refused).toHaveLength(14);
    for (const { status, headers, startMs, endMs } of refused) {
      expect(status).toBe(503);
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      expect(endMs - startMs).toBeLessThanOrEqual(10);
    }
    expect(seen.filter(({ verdict }) => verdict === 'whole')).toHaveLength(6);
  });
});
