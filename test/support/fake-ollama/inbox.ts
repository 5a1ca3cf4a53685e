import { clearTimeout, setTimeout } from 'node:timers';
import type { ReceivedRequest } from './received.ts';

interface Waiter {
  readonly fits: (request: ReceivedRequest) => boolean;
  readonly resolve: (request: ReceivedRequest) => void;
}

/** What a box received, and who waits for it. */
export class Inbox {
  readonly requests: ReceivedRequest[] = [];
  readonly #whole = new Set<ReceivedRequest>();
  readonly #handedOut = new Set<ReceivedRequest>();
  #waiters: Waiter[] = [];

  /** Its head is there. */
  came(request: ReceivedRequest): void {
    this.requests.push(request);
  }

  /** Its body is there, too: it goes to the first who waits for it. */
  isWhole(request: ReceivedRequest): void {
    this.#whole.add(request);
    const waiter = this.#waiters.find(({ fits }) => fits(request));
    if (waiter === undefined) return;
    this.#waiters = this.#waiters.filter((each) => each !== waiter);
    this.#handedOut.add(request);
    waiter.resolve(request);
  }

  /** The first whole request that fits and was not handed out yet, now or within `timeoutMs`. */
  async next(fits: (request: ReceivedRequest) => boolean = () => true, timeoutMs = 5000): Promise<ReceivedRequest> {
    const present = this.requests.find((request) => this.#whole.has(request) && !this.#handedOut.has(request) && fits(request));
    if (present !== undefined) {
      this.#handedOut.add(present);
      return present;
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        fits,
        resolve: (request) => {
          clearTimeout(timer);
          resolve(request);
        },
      };
      const timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter((each) => each !== waiter);
        const came = this.requests.map(({ method, path }) => `${method} ${path}`).join(', ');
        reject(new Error(`no such request within ${timeoutMs} ms; came: ${came}`));
      }, timeoutMs);
      this.#waiters.push(waiter);
    });
  }
}
