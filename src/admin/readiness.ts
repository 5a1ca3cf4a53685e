/** May a load balancer send requests here? */
import type { BoxReport } from '../fleet/fleet.ts';

export interface Readiness {
  readonly isReady: boolean;
  /** One line for people. */
  readonly detail: string;
}

/** Ready: not shutting down, and, where there are boxes, at least one answers. */
export function readinessOf(boxes: readonly BoxReport[], isDraining: boolean): Readiness {
  if (isDraining) return { isReady: false, detail: 'shutting down' };
  const alive = boxes.filter((box) => box.isAlive === true);
  if (boxes.length === 0 || alive.length > 0) return { isReady: true, detail: `${alive.length} of ${boxes.length} boxes answer` };
  const silent = boxes.map(
    ({ name, why, isAlive }) => `${name}: ${isAlive === undefined ? 'not asked yet' : (why ?? 'does not answer')}`,
  );
  return { isReady: false, detail: `no box answers (${silent.join('; ')})` };
}
