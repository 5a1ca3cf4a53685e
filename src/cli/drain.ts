/** The end: no new requests, those under way finish, and nobody waits for ever. */
import type { Gateway } from '../gateway.ts';
import type { Clock } from '../platform.ts';

export interface DrainTimes {
  /** Streams under way may take so long, from the signal on; then they are cut. */
  readonly deadlineMs: number;
  /** So long new requests are still taken: load balancers need a while to notice. */
  readonly minMs: number;
}

export interface DrainSetting {
  readonly gateway: Pick<Gateway, 'drain' | 'onIdle' | 'inFlight'>;
  readonly doors: { stopAccepting(): void; close(): void };
  readonly clock: Clock;
  /** Asked at the first signal: a reload may have changed them. */
  readonly times: () => DrainTimes;
  readonly print: (line: string) => void;
  /** Called once, first: what else runs beside the requests ends. */
  readonly onStart?: () => void;
  /** Ends the process. */
  readonly exit: (code: number) => void;
}

/** Called for each SIGTERM and SIGINT: the first drains, the second ends at once. */
export function createDrain({ gateway, doors, clock, times, print, onStart, exit }: DrainSetting): {
  signal(): void;
  readonly isDraining: boolean;
} {
  let isDraining = false;
  const end = () => {
    doors.close();
    exit(0);
  };
  const stopTaking = () => {
    gateway.drain();
    doors.stopAccepting();
    // The last byte is with the runtime, not yet with the client: closing in the same turn would cut it.
    gateway.onIdle(() => clock.after(lastByteMs, end));
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
      onStart?.();
      const { deadlineMs, minMs } = times();
      const { inFlight } = gateway;
      const seconds = Math.round(Math.max(deadlineMs, minMs) / 100) / 10;
      if (inFlight > 0)
        print(
          `shutting down: ${inFlight} ${inFlight === 1 ? 'answer' : 'answers'} under way may finish (${seconds} s); again to end now`,
        );
      if (minMs > 0) print(`new requests are taken for ${Math.round(minMs / 100) / 10} s more`);
      clock.after(Math.max(deadlineMs, minMs), end);
      if (minMs > 0) clock.after(minMs, stopTaking);
      else stopTaking();
    },
  };
}

const lastByteMs = 50;
