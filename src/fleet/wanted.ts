/** A box as a plan wants it. */
import type { Upstream } from '../exchange.ts';
import type { LegSecrets } from './asking/relay.ts';
import type { FleetTuning } from './tuning.ts';

export interface BoxWanted {
  readonly upstream: Upstream;
  /** What a probe carries. */
  readonly headers: Readonly<Record<string, string>>;
  readonly probeIntervalMs: number;
  readonly tuning: FleetTuning;
  readonly leg?: LegSecrets | undefined;
}
