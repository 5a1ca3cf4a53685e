/**
 * Which box a conversation is at home at: rendezvous hashing with weights, per slot. Nothing is remembered; every gateway that
 * sees the same boxes finds the same home. A box that goes away moves only its own conversations, and they are back with it.
 */
import { hashOf } from '../../fields/hash.ts';

/**
 * A box's score for a key; the greatest wins. In proportion to the weights: −w ÷ ln u, with u evenly spread between 0 and 1
 * (Wang and Ravishankar's weighted form of highest random weight). `place` tells boxes apart and stays over restarts.
 */
export function rendezvousScore(key: string, place: string, weight: number): number {
  const spread = (hashOf(`${key}\n${place}`) + 0.5) / 2 ** 32;
  return -weight / Math.log(spread);
}
