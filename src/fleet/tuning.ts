/** What the configuration says of all boxes (`fleet.queue`, `fleet.loads`, …), as the parts of a box need it. Times in milliseconds. */
export interface FleetTuning {
  /** Calls that may wait for one model of one box. */
  readonly maxWaiting: number;
  readonly maxWaitMs: number;
  /** Corral loads models itself. */
  readonly ownsLoads: boolean;
  readonly loadTimeoutMs: number;
  /** The box with the shortest predicted time to the first token is asked first. */
  readonly byPrediction: boolean;
  /** A model that many wait for may be loaded on a further box. */
  readonly secondHome: boolean;
  readonly affinity: boolean;
  /** How much busier than the average a box may be before turns of a conversation go elsewhere. */
  readonly affinityMaxLoad: number;
}

export const usualTuning: FleetTuning = {
  maxWaiting: 256,
  maxWaitMs: 300_000,
  ownsLoads: true,
  loadTimeoutMs: 900_000,
  byPrediction: true,
  secondHome: true,
  affinity: true,
  affinityMaxLoad: 1.25,
};
