/** Entries of `fleet.boxes` that tune nothing, and options of them that do nothing. */
import type { FleetConfig } from '../config/schema.ts';
import type { Upstreams } from './upstreams.ts';

export function warnOfUnusedBoxes(upstreams: Upstreams, warn: (yamlPath: string, message: string) => void): void {
  const boxes = upstreams.all.filter(({ kind }) => kind === 'box').map(({ baseUrl }) => baseUrl);
  for (const { index, baseUrl, isHost } of upstreams.unusedBoxes()) {
    const mend = isHost
      ? 'the backend at this address is a `host`, which is passed through as it comes: make it an `ai` backend with this hostOverride'
      : `no backend of this file is at ${baseUrl}: write it as a backend reaches it${knownText(boxes)}, or leave the entry out`;
    warn(`fleet.boxes[${index}].url`, `does nothing: ${mend}`);
  }
}

/** What is reserved is taken from what the file says that there is: what is learnt is what models have been seen to get, without the rest. */
export function warnOfIdleReserves(boxes: FleetConfig['boxes'], warn: (yamlPath: string, message: string) => void): void {
  for (const [index, { vram, reserve }] of boxes.entries()) {
    if (vram !== undefined || reserve === undefined || reserve === 0) continue;
    warn(
      `fleet.boxes[${index}].reserve`,
      'does nothing without vram, of which it is a part: write how much memory for models the box has (vram: 24GiB)',
    );
  }
}

const shown = 5;

function knownText(boxes: readonly string[]): string {
  if (boxes.length === 0) return '';
  const rest = boxes.length - shown;
  return ` (${boxes.slice(0, shown).join(', ')}${rest > 0 ? ` and ${rest} more` : ''})`;
}
