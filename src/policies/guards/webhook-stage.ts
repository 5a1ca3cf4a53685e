/** A webhook that watches a text grow: it is asked in windows, each of which begins with the end of the one before. */
import type { Stage } from './stage.ts';

/** agentgateway's measures; here the overlap is held back, too, so that what lies across two windows is seen before it leaves. */
export const windowCharacters = 1_024;
const overlapCharacters = 256;

export class WebhookStage implements Stage {
  readonly force = undefined;
  readonly #ask: (window: string) => Promise<string>;
  #pending = '';
  /** How much of it no window has had yet. */
  #fresh = 0;

  /** `ask` gives what may leave instead of the window; throws to reject. */
  constructor(ask: (window: string) => Promise<string>) {
    this.#ask = ask;
  }

  get held(): number {
    return this.#pending.length;
  }

  push(text: string): string | Promise<string> {
    this.#pending += text;
    this.#fresh += text.length;
    return this.#pending.length < windowCharacters ? '' : this.#release(overlapCharacters);
  }

  end(): string | Promise<string> {
    if (this.#fresh > 0) return this.#release(0);
    const rest = this.#pending;
    this.#pending = '';
    return rest;
  }

  async #release(kept: number): Promise<string> {
    const left = await this.#ask(this.#pending);
    this.#fresh = 0;
    // Not between the halves of a pair.
    const cut = Math.max(0, left.length - kept);
    const at = /[\udc00-\udfff]/.test(left.charAt(cut)) && cut > 0 ? cut - 1 : cut;
    this.#pending = left.slice(at);
    return left.slice(0, at);
  }
}
