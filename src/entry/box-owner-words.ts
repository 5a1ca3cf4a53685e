/** What an isolate and the Durable Object of a box say to each other; how: box-owner.ts. They may be of two versions for a moment. */
import * as z from 'zod';
import type { Ask, LeaseSeen, Wait } from '../exchange.ts';
import type { OwnerTold } from '../fleet/owner.ts';
import type { BoxWanted } from '../fleet/wanted.ts';
import { maxRunners } from '../http/relay-load.ts';

/** What an isolate asks for. */
export interface Admission {
  readonly box: BoxWanted;
  readonly ask: Ask;
  /** The client's own limit, from now on. */
  readonly deadlineInMs?: number | undefined;
}

/** One line of the answer. `told`: as `OwnerTold`; what it says of this call is taken off. */
export type AdmissionLine =
  | { readonly lease: string }
  | { readonly wait: Wait }
  | { readonly granted: { readonly queuedMs: number; readonly loadMs: number }; readonly told?: unknown }
  | { readonly refused: Refused; readonly told?: unknown };

export interface Refused {
  readonly code: string;
  readonly message: string;
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** What the box itself said, where it could not load the model. */
  readonly said?: string | undefined;
}

const maxFaultLength = 200;
const maxSeenLength = 4 * 1024;
export const maxResting = 32;
const count = z.int().min(0).max(1_000_000_000);

const seenForm = z.object({
  how: z.enum(['completed', 'broken', 'abandoned', 'failed']),
  fault: z
    .string()
    .transform((fault) => fault.slice(0, maxFaultLength))
    .optional(),
  isCrash: z.boolean().optional(),
  promptTokens: count.optional().catch(undefined),
  outputTokens: count.optional().catch(undefined),
});

/** The body of `/end`; empty where nothing is known. */
export function seenText(seen: LeaseSeen | undefined): string {
  return seen === undefined ? '' : JSON.stringify({ ...seen, fault: seen.fault?.slice(0, maxFaultLength) });
}

/** What became of a call; undefined where that cannot be read: then it is as if nobody knew. */
export function readSeen(text: string): LeaseSeen | undefined {
  return text === '' || text.length > maxSeenLength ? undefined : seenForm.safeParse(parsed(text)).data;
}

const toldForm = z.object({
  atMs: z.number().min(0),
  runners: z
    .array(z.object({ hash: z.string().max(7), busy: count, waiting: count, slots: count.optional() }))
    .max(maxRunners)
    // What is left out of JSON is there all the same.
    .transform((runners) => runners.map((one) => ({ ...one, slots: one.slots }))),
  resting: z.array(z.object({ model: z.string(), forMs: z.number().min(0).max(3_600_000) })).max(maxResting),
});

export function readTold(told: unknown): OwnerTold | undefined {
  return toldForm.safeParse(told).data;
}

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
