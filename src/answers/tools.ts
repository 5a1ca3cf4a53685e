/** What answering needs, put together once per plan. */
import type { AttemptTools } from '../backends/attempts.ts';
import type { FleetConfig } from '../config/fleet.ts';
import type { CallAllowances } from '../exchange.ts';
import type { Herd } from '../fleet/fleet.ts';
import type { TokenRatios } from '../fleet/rates/token-ratio.ts';
import type { IdleWatch } from '../streams/idle.ts';
import type { Leg } from './leg.ts';
import type { Exchanges } from './open-exchange.ts';

export interface AnswerTools extends AttemptTools {
  readonly fleet: Herd;
  readonly exchanges: Exchanges;
  readonly idle: IdleWatch;
  readonly limits: {
    readonly allowCloudModels: boolean;
    readonly allowances: CallAllowances;
    /** Of an answer that is read whole, to be changed. */
    readonly maxBodyBytes: number;
    readonly fleet: FleetConfig;
  };
  readonly tokenRatios: TokenRatios;
  readonly random: () => number;
  /** Set in the relay's role: what Corrals in front say of their callers. */
  readonly leg?: Leg | undefined;
  /** Whether the built-in demo box may answer while no real one does. */
  readonly hasDemo: boolean;
}
