/** May a load balancer send requests here? */
import type { BoxReport } from '../fleet/fleet.ts';

/** Whether what is in force is what the configuration says now. */
export interface ConfigState {
  readonly configSynchronized: boolean;
  /** Of the change that was refused: the first few errors. */
  readonly problems: readonly string[];
  readonly problemCount: number;
  /** Milliseconds since the epoch. */
  readonly lastRefusalMs: number | undefined;
}

export interface Readiness {
  readonly isReady: boolean;
  /** One line for people. */
  readonly detail: string;
  /** What is not as it should be, although requests may come: lines for people. */
  readonly notes?: readonly string[];
}

/** Ready: not shutting down, and, where there are boxes, at least one answers. A refused change of the configuration is a note. */
export function readinessOf(boxes: readonly BoxReport[], isDraining: boolean, config?: ConfigState): Readiness {
  const notes = config === undefined || config.configSynchronized ? {} : { notes: notesOn(config) };
  if (isDraining) return { isReady: false, detail: 'shutting down', ...notes };
  const alive = boxes.filter((box) => box.isAlive === true);
  if (boxes.length === 0 || alive.length > 0)
    return { isReady: true, detail: `${alive.length} of ${boxes.length} boxes answer`, ...notes };
  const silent = boxes.map(
    ({ name, why, isAlive }) => `${name}: ${isAlive === undefined ? 'not asked yet' : (why ?? 'does not answer')}`,
  );
  return { isReady: false, detail: `no box answers (${silent.join('; ')})`, ...notes };
}

function notesOn({ problems, problemCount, lastRefusalMs }: ConfigState): readonly string[] {
  const since = lastRefusalMs === undefined ? '' : ` at ${new Date(lastRefusalMs).toISOString()}`;
  const count = `${problemCount} ${problemCount === 1 ? 'error' : 'errors'}`;
  const rest = problemCount - problems.length;
  return [
    `configuration: the last change was refused${since} (${count}); the one before it is in force`,
    ...problems.map((problem) => `  ${problem}`),
    ...(rest > 0 ? [`  and ${rest} more`] : []),
  ];
}
