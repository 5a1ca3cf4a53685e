/**
 * Models whose runner seems to have died. `/api/ps` lists a runner that has crashed until the next request finds out (recorded), and a
 * request that finds out loads the model anew inside of Ollama, where its client takes the load along when it leaves. So such a
 * model counts as not in memory until it has shown that it is.
 */
import type { LeaseSeen } from '../../exchange.ts';

/** Of one box. Beyond that the one that was lost first is believed in again. */
export const maxLost = 64;

/** By runner: the digest of its model, or the name. */
export class LostRunners {
  readonly #lost = new Set<string>();

  get size(): number {
    return this.#lost.size;
  }

  has(key: string): boolean {
    return this.#lost.has(key);
  }

  /** What became of a call: a crash loses its runner, a whole answer finds it. Undefined `key` is worked out only where it is needed. */
  ended(seen: LeaseSeen, keyOf: () => string): void {
    if (seen.how === 'broken' || seen.isCrash === true) this.lose(keyOf());
    else if (seen.how === 'completed' && this.#lost.size > 0) this.#lost.delete(keyOf());
  }

  lose(key: string): void {
    // The first are those that were lost first.
    this.#lost.delete(key);
    this.#lost.add(key);
    if (this.#lost.size <= maxLost) return;
    const [first] = this.#lost;
    if (first !== undefined) this.#lost.delete(first);
  }

  found(key: string): void {
    this.#lost.delete(key);
  }

  /** What is not listed any more is not in memory, and whoever lists it again has loaded it. */
  listed(isListed: (key: string) => boolean): void {
    for (const key of this.#lost) if (!isListed(key)) this.#lost.delete(key);
  }
}
