/** What taps tell, and the words they have in common. */
import type { TokenCounts } from './shape.ts';

/** How an answer ended, told once. */
export interface TapReport {
  /** completed: whole. broken: the box stopped short or reported its own failure. abandoned: the client left. */
  readonly how: 'completed' | 'broken' | 'abandoned';
  /** Bytes given on for the client, errors of ours included. */
  readonly bytes: number;
  /** Events that carried content, not the usage or the end: what output tokens are estimated from. 0 where there are no events. */
  readonly events: number;
  readonly usage?: TokenCounts;
  /** The model that the box named. */
  readonly model?: string;
  /** Why it is broken, fit for the client. */
  readonly failure?: string;
  /** What the platform gave for a break. For the log alone. */
  readonly cause?: unknown;
}

/** What every tap tells while it runs. */
export interface TapListeners {
  /** The name of who answers, where that is no box. */
  readonly server?: string | undefined;
  /** Before anything else, at the first chunk that is not empty. */
  onFirstByte(): void;
  /** At each chunk that is not empty. */
  onBytes?(): void;
  /** Once, last. */
  onEnd(report: TapReport): void;
}

export const noBytes = new Uint8Array(0);

/** Said to clients. `server`: the name of one that is no box. */
export function stoppedShort(server: string | undefined): string {
  const who = server ?? 'The box';
  return `${who} ended its answer before it was whole${server === undefined ? '; its log tells why' : ''}.`;
}

export function brokeOff(server: string | undefined): string {
  return `The connection to ${server ?? 'the box'} broke off in the middle of its answer.`;
}
