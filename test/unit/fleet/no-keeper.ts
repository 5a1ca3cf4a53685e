import type { Keeper } from '../../../src/fleet/keeper.ts';

/** Looks after no boxes. */
export const noKeeper: Keeper = {
  report: () => ({ boxes: [], models: [], drift: [], warm: [] }),
  refresh: async () => ({ answered: [], silent: [] }),
  cordon: () => undefined,
  uncordon: () => undefined,
  drain: async () => undefined,
  keepWarm: async () => undefined,
  driftingModels: 0,
  names: [],
};
