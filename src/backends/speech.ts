/** Whether a target is spoken to as an Ollama box, or in the formats that the configuration names for it. */
import type { Fleet, Protocol } from '../exchange.ts';
import type { Target } from './target.ts';

/**
 * Taken for a box, and where the configuration names formats proven to be one: until then the formats are the better guess. What
 * guards boxes (locked paths, models of the cloud, headers that are kept back) goes by `Fleet.isBox` all the same: there the
 * presumption is the safe side.
 */
export function isBoxForSure({ upstream, namesFormats }: Pick<Target, 'upstream' | 'namesFormats'>, fleet: Fleet): boolean {
  return fleet.isBox(upstream) && (!namesFormats || fleet.isProvenBox(upstream));
}

/** No format stands for Ollama's own protocols, so whoever asks in them is better served by the presumption. */
export function isSpokenToAsBox(
  target: Pick<Target, 'upstream' | 'namesFormats'>,
  protocol: Protocol | undefined,
  fleet: Fleet,
): boolean {
  if (protocol === undefined || protocol.family === 'ollama') return fleet.isBox(target.upstream);
  return isBoxForSure(target, fleet);
}
