/**
 * The load generator, a process of its own: takes jobs from its parent, one at a time, and answers each with figures. It stays
 * up for the whole run, so that its own code is warm before anything is measured.
 */
import { type LoopFigures, type LoopJob, runLoop } from './loop.ts';
import { runSlow, type SlowFigures, type SlowJob } from './slow.ts';

export type LoadJob = LoopJob | SlowJob;
export type LoadFigures = LoopFigures | SlowFigures;

process.on('message', async (job: LoadJob) => {
  process.send?.(job.kind === 'loop' ? await runLoop(job) : await runSlow(job));
});
process.on('disconnect', () => process.exit(0));
