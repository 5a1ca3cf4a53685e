/** One round: every contestant is started, then each phase is run on each of them in turn, so that neighbours' noise hits all alike. */
import type { Load, Standing } from './arena.ts';
import type { LoopFigures } from './loop.ts';
import type { SlowFigures } from './slow.ts';
import { burstModel, plainModel, slowModel } from './wire.ts';

export const burstChunks = 200;
export const slowPerSecond = 20;

export interface LoopPhase {
  readonly concurrency: number;
  readonly model: string;
  readonly bodyBytes: number;
  readonly chunks: number;
}

const plain = { model: plainModel, chunks: 0 };
const burst = { model: burstModel(burstChunks), chunks: burstChunks, bodyBytes: 0 };

export const loopPhases = {
  chat1: { ...plain, concurrency: 1, bodyBytes: 0 },
  chat32: { ...plain, concurrency: 32, bodyBytes: 0 },
  stream1: { ...burst, concurrency: 1 },
  stream16: { ...burst, concurrency: 16 },
  half1: { ...plain, concurrency: 1, bodyBytes: 500_000 },
  half32: { ...plain, concurrency: 32, bodyBytes: 500_000 },
  eight1: { ...plain, concurrency: 1, bodyBytes: 8_000_000 },
  eight32: { ...plain, concurrency: 32, bodyBytes: 8_000_000 },
} satisfies Record<string, LoopPhase>;

export type PhaseName = keyof typeof loopPhases;

export const slowPhase = 'slow';

/** In the order in which they run. */
export const allPhases: readonly (PhaseName | typeof slowPhase)[] = [
  'chat1',
  'chat32',
  'stream1',
  'stream16',
  slowPhase,
  'half1',
  'half32',
  'eight1',
  'eight32',
];

export interface Effort {
  /** Of each loop phase, measured. */
  readonly phaseMs: number;
  /** Sent to each server before anything is measured, six seconds long at most. */
  readonly warmRequests: number;
  readonly slowStreams: number;
  readonly slowChunks: number;
  /** Names of loop phases, and `slowPhase`. */
  readonly phases: readonly string[];
}

/** The models that the mock must list for these phases. */
export function modelsFor(effort: Effort): string[] {
  return [plainModel, burstModel(burstChunks), slowModel(effort.slowChunks, slowPerSecond)];
}

/** What one contestant showed in one round. */
export interface Showing {
  startMs: number;
  idleRssMb: number;
  loops: Partial<Record<PhaseName, LoopFigures>>;
  slow?: SlowFigures;
}

export type Round = Record<string, Showing>;

type Tell = (line: string) => void;

/**
 * Runs all phases. `tell` hears what is going on and every fault. Large bodies come last: the memory that they leave behind
 * would hide what streams take.
 */
export async function runRound(standings: readonly Standing[], load: Load, effort: Effort, tell: Tell): Promise<Round> {
  const round: Round = {};
  for (const { contestant, startMs, idleRssMb } of standings) round[contestant.name] = { startMs, idleRssMb, loops: {} };
  for (const standing of standings) await warmUp(standing, load, effort);
  for (const phase of allPhases.filter((name) => effort.phases.includes(name))) {
    tell(phase);
    for (const standing of standings) {
      const showing = round[standing.contestant.name];
      if (showing === undefined) continue;
      if (phase === slowPhase) showing.slow = await runSlowPhase(standing, load, effort);
      else showing.loops[phase] = await runPhase(standing, load, loopPhases[phase], effort.phaseMs);
      const figures = phase === slowPhase ? showing.slow : showing.loops[phase];
      if (figures !== undefined && figures.errors > 0)
        tell(`  ${standing.contestant.name}: ${figures.errors} errors, first: ${figures.firstError}`);
    }
  }
  return round;
}

/** Compilers work by the number of calls: on a busy machine a second alone would leave the slower ones cold. */
async function warmUp(standing: Standing, load: Load, effort: Effort): Promise<void> {
  let requests = 0;
  for (let time = 0; time < 12 && requests < effort.warmRequests; time += 1) {
    const { requestsPerSecond } = await runPhase(standing, load, { ...plain, concurrency: 16, bodyBytes: 0 }, 500);
    requests += requestsPerSecond / 2;
  }
  await runPhase(standing, load, { ...burst, concurrency: 16 }, 500);
}

function runPhase(standing: Standing, load: Load, phase: LoopPhase, durationMs: number): Promise<LoopFigures> {
  const { port, headers } = standing;
  const { model, bodyBytes, chunks, concurrency } = phase;
  const request = { port, headers, model, bodyBytes, stream: chunks > 0 };
  return load.run({
    kind: 'loop',
    request,
    concurrency,
    chunks,
    warmupMs: bodyBytes > 0 ? 0 : durationMs / 5,
    durationMs,
    pids: standing.pids(),
  });
}

function runSlowPhase(standing: Standing, load: Load, effort: Effort): Promise<SlowFigures> {
  const { port, headers } = standing;
  const model = slowModel(effort.slowChunks, slowPerSecond);
  return load.run({
    kind: 'slow',
    request: { port, headers, model, bodyBytes: 0, stream: true },
    streams: effort.slowStreams,
    rampMs: 1000,
    chunks: effort.slowChunks,
    perSecond: slowPerSecond,
    pids: standing.pids(),
  });
}
