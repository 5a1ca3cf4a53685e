/** What became of the changes of the configuration. */
import type { ConfigSync } from './opened.ts';

const shownProblems = 5;

export class SyncRecord {
  #state: ConfigSync = {
    configSynchronized: true,
    problems: [],
    problemCount: 0,
    lastReloadMs: undefined,
    lastRefusalMs: undefined,
    reloads: 0,
    refusals: 0,
  };

  get state(): ConfigSync {
    return this.#state;
  }

  /** Another plan is in force. `wallMs`: since the epoch. */
  swapped(wallMs: number): void {
    const reloads = this.#state.reloads + 1;
    this.#state = { ...this.#state, configSynchronized: true, problems: [], problemCount: 0, lastReloadMs: wallMs, reloads };
  }

  /** A change was refused. Of each problem the first line is kept, of five at most. */
  refused(problems: readonly string[], wallMs: number): void {
    this.#state = {
      ...this.#state,
      configSynchronized: false,
      problems: problems.slice(0, shownProblems).map((problem) => problem.split('\n', 1)[0] ?? ''),
      problemCount: problems.length,
      lastRefusalMs: wallMs,
      refusals: this.#state.refusals + 1,
    };
  }
}
