/** The gateway over all plans that still answer something. */
import type { Gateway } from '../gateway.ts';

interface Answering {
  readonly gateway: Gateway;
}

/** The gateway that doors call: new exchanges go to the plan in force, and all plans' exchanges count. */
export function gatewayOver(current: () => Answering, fading: ReadonlySet<Answering>, onDrain: () => void): Gateway {
  const all = () => [current(), ...fading];
  return {
    fetch: (request, peer) => current().gateway.fetch(request, peer),
    get inFlight() {
      return all().reduce((sum, { gateway }) => sum + gateway.inFlight, 0);
    },
    drain() {
      onDrain();
      for (const { gateway } of all()) gateway.drain();
    },
    onIdle(listener) {
      const waitedFor = all();
      let busy = waitedFor.length;
      for (const { gateway } of waitedFor) {
        gateway.onIdle(() => {
          busy--;
          if (busy === 0) listener();
        });
      }
    },
  };
}
