/** How many tokens a model makes of a text, against the fewest that it could: learnt from what boxes tell of prompts. */

/** Before so many prompts nothing is believed. */
const minSamples = 3;
/** Shorter prompts are mostly template. */
const minTokens = 200;
/** Texts differ more than models do: what was learnt from code must refuse no prose. */
const maxFactor = 1.15;
/** What was learnt counts as that much less. */
const margin = 1.15;
/** By how much of the difference a prompt of more tokens raises what was learnt; one of fewer lowers it at once. */
const raise = 0.05;
/** After so many prompts of a model only some are looked at. */
const eagerSamples = 8;
const lookEvery = 32;
const maxModels = 256;

interface Learnt {
  /** The lowest ratio lately. */
  lowest: number;
  samples: number;
  /** Prompts since the last sample. */
  passed: number;
}

/** By model. Bounded: of more than 256 models the one that was least lately learnt of is forgotten. */
export class TokenRatios {
  readonly #models = new Map<string, Learnt>();

  /** What the fewest tokens may be multiplied with: 1 to 1.15. */
  factorOf(model: string): number {
    const learnt = this.#models.get(model);
    if (learnt === undefined || learnt.samples < minSamples) return 1;
    return Math.min(maxFactor, Math.max(1, learnt.lowest / margin));
  }

  /** Whether this prompt shall be counted, to learn from it: the first ones of each model, later some of them. */
  wants(model: string): boolean {
    const learnt = this.#models.get(model);
    if (learnt === undefined || learnt.samples < eagerSamples) return true;
    learnt.passed++;
    return learnt.passed >= lookEvery;
  }

  /** `fewest`: as counted here; `tokens`: as the box told. Prompts that were cut teach nothing. */
  learn(model: string, fewest: number, tokens: number): void {
    // One ratio that is no number would stay the lowest for ever.
    if (!Number.isFinite(tokens) || !Number.isFinite(fewest) || fewest < minTokens || tokens < fewest) return;
    const ratio = tokens / fewest;
    const learnt = this.#models.get(model) ?? { lowest: ratio, samples: 0, passed: 0 };
    learnt.lowest += ratio < learnt.lowest ? ratio - learnt.lowest : (ratio - learnt.lowest) * raise;
    learnt.samples++;
    learnt.passed = 0;
    // The order of the map is the order of the last lessons.
    this.#models.delete(model);
    this.#models.set(model, learnt);
    if (this.#models.size <= maxModels) return;
    const [oldest] = this.#models.keys();
    if (oldest !== undefined) this.#models.delete(oldest);
  }

  get size(): number {
    return this.#models.size;
  }
}
