/** T1, T5: a model beside a load of another one, on a box that holds one of them: a whole gateway over the simulated herd, in virtual time. */
import { expect, it } from 'vitest';
import { openVirtual } from '../../support/herd/virtual.ts';
import { other, small, talk, traceOf, turn } from './talks.ts';

/** Loads take 5 s each. */
const oneAtOnce = { boxes: [{ models: [small, other], maxLoaded: 1 }] };

it('two models that are wanted at once and do not fit together: each is loaded once, the first one is served after its own load', async () => {
  const stage = await openVirtual(oneAtOnce);
  const fromMs = stage.clock.now();
  const [first, second] = await stage.play({
    ...traceOf([talk(), talk({ atMs: 100, model: other.name })]),
    ...oneAtOnce,
  });
  expect([first?.verdict, second?.verdict]).toEqual(['whole', 'whole']);
  expect((first?.firstTokenMs ?? 0) - fromMs).toBeLessThan(6_000);
  expect((second?.firstTokenMs ?? 0) - fromMs).toBeLessThan(13_000);
  expect(stage.herd.boxes[0]?.scheduler.loads).toEqual({ started: 2, completed: 2, aborted: 0 });
});

it('a model that a load has pushed out waits until that load has served its calls', async () => {
  const stage = await openVirtual(oneAtOnce);
  await stage.play({ ...traceOf([talk({ model: other.name })]), ...oneAtOnce });
  const fromMs = stage.clock.now();
  const [first, second] = await stage.play({
    ...traceOf([talk(), talk({ atMs: 300, model: other.name })]),
    ...oneAtOnce,
  });
  expect([first?.verdict, second?.verdict]).toEqual(['whole', 'whole']);
  expect((first?.firstTokenMs ?? 0) - fromMs).toBeLessThan(6_000);
  expect((second?.firstTokenMs ?? 0) - fromMs).toBeLessThan(13_000);
  // The one from before, and one for each.
  expect(stage.herd.boxes[0]?.scheduler.loads).toEqual({ started: 3, completed: 3, aborted: 0 });
});

it('a model that stays in memory beside a load is held for a second at most, also where the memory was never full', async () => {
  const roomy = { boxes: [{ models: [small, other], maxLoaded: 3 }] };
  const stage = await openVirtual(roomy);
  await stage.play({ ...traceOf([talk({ model: other.name })]), ...roomy });
  const fromMs = stage.clock.now();
  const [, second] = await stage.play({
    ...traceOf([talk(), talk({ atMs: 300, model: other.name })]),
    ...roomy,
  });
  expect(second?.verdict).toBe('whole');
  expect((second?.firstTokenMs ?? 0) - fromMs).toBeLessThan(1_700);
});

it('calls of a model in use go on beside a load', async () => {
  const roomy = { boxes: [{ models: [small, other], maxLoaded: 1, parallel: 2 }] };
  const stage = await openVirtual(roomy);
  await stage.play({ ...traceOf([talk({ model: other.name })]), ...roomy });
  const fromMs = stage.clock.now();
  const seen = await stage.play({
    ...traceOf([
      talk({ model: other.name, turns: [{ user: 'Long.', outputTokens: 64, thinkMs: 0, leaveAfterMs: undefined }] }),
      talk({ atMs: 200 }),
      talk({ atMs: 400, model: other.name }),
    ]),
    ...roomy,
  });
  const last = seen.find(({ startMs }) => startMs - fromMs === 400);
  expect((last?.firstTokenMs ?? 0) - fromMs).toBeLessThan(1_000);
});

it('T1: log and metrics name the box of an answer whose headers left early, and of a client that left while it waited for a load', async () => {
  // 4 GB take 39 s, and the start 1 s.
  const slow = { boxes: [{ models: [small], diskBytesPerSecond: 4_000_000_000 / 39 }] };
  const stage = await openVirtual(
    slow,
    'config: {logging: {format: json}}\nfleet:\n  boxes:\n  - url: http://box-1.herd:11434\n',
  );
  const seen = await stage.play({
    ...traceOf([talk(), talk({ atMs: 100, turns: [turn({ leaveAfterMs: 15_000 })] })]),
    ...slow,
  });
  expect(seen.map(({ verdict, headers }) => [verdict, headers.get('x-corral-wait')])).toEqual([
    ['whole', 'loading small:latest on box-1.herd'],
    ['left', 'loading small:latest on box-1.herd'],
  ]);
  const boxes = stage.herd.lines.map((line) => (JSON.parse(line) as Record<string, unknown>)['corral.box']);
  expect(boxes).toEqual(['box-1.herd', 'box-1.herd']);
  const counted = stage.opened.metricsText().match(/^agentgateway_requests_total\{backend="[^"]*"/gm);
  expect(new Set(counted)).toEqual(new Set(['agentgateway_requests_total{backend="box-1.herd"']));
});
