/**
 * Rendezvous hashing: each value gives every target a number of its own, and the greatest number wins. A target that goes away
 * only moves the values that it had, and they are back with it.
 */
import { hashOf } from '../fields/hash.ts';
import type { Target } from './target.ts';

/** By address and model, not by name: unnamed upstreams are numbered, and may have another number after a reload. Above 0 and below 1, the same for the same value and target on every runtime and after every restart. */
export function affinityDraw(value: string, { upstream, declares = '' }: Target): number {
  return (hashOf(`${value}\n${upstream.baseUrl}\n${declares}`) + 0.5) / 2 ** 32;
}
