/** The end: no new requests, those under way finish, and nobody waits for ever. */
import type { Door } from '../entry/door.ts';
import type { Gateway } from '../gateway.ts';
import type { Clock } from '../platform.ts';

/** Streams under way may take so long. Kubernetes kills after 30 s by default. */
export const drainMs = 30_000;

export interface DrainSetting {
  readonly gateway: Pick<Gateway, 'drain' | 'onIdle' | 'inFlight'>;
  readonly doors: readonly Pick<Door, 'stopAccepting' | 'close'>[];
  readonly clock: Clock;
  readonly print: (line: string) => void;
  /** Ends the process. */
  readonly exit: (code: number) => void;
}

/** Called for each SIGTERM and SIGINT: the first drains, the second ends at once. */
export function createDrain({ gateway, doors, clock, print, exit }: DrainSetting): {
  signal(): void;
  readonly isDraining: boolean;
} {
  let isDraining = false;
  const end = () => {
    for (const door of doors) door.close();
    exit(0);
  };
  return {
    get isDraining() {
      return isDraining;
    },
    signal() {
      if (isDraining) {
        end();
        return;
      }
      isDraining = true;
      const { inFlight } = gateway;
      if (inFlight > 0)
        print(
          `shutting down: ${inFlight} ${inFlight === 1 ? 'answer' : 'answers'} under way may finish (${drainMs / 1000} s); again to end now`,
        );
      gateway.drain();
      for (const door of doors) door.stopAccepting();
      clock.after(drainMs, end);
      // The last byte is with the runtime, not yet with the client: closing in the same turn would cut it.
      gateway.onIdle(() => clock.after(lastByteMs, end));
    },
  };
}

const lastByteMs = 50;
