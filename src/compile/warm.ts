/** `fleet.warm`: which models stay in memory, and when. */
import type { FleetConfig, WarmConfig } from '../config/schema.ts';
import type { Upstream } from '../exchange.ts';
import { minutesOf } from '../fields/cron.ts';
import type { WarmRule } from '../fleet/warm.ts';

export function compileWarm(
  { warm }: FleetConfig,
  upstreams: readonly Upstream[],
  warn: (yamlPath: string, message: string) => void,
): readonly WarmRule[] {
  const names = upstreams.filter(({ kind }) => kind === 'box').map(({ name }) => name);
  return warm.map((entry, index) => {
    if (typeof entry.boxes !== 'number') {
      for (const [at, name] of entry.boxes.entries()) {
        if (names.includes(name)) continue;
        const known = names.length === 0 ? 'there is none' : `there are ${names.slice(0, 10).join(', ')}`;
        warn(`fleet.warm[${index}].boxes[${at}]`, `no box is called "${name}": ${known}`);
      }
    }
    return ruleOf(entry);
  });
}

function ruleOf({ model, boxes, numCtx, during, timezone }: WarmConfig): WarmRule {
  const windows = during.map((expression) => minutesOf(expression, timezone));
  return { model, boxes, numCtx, isDue: (wallMs) => windows.length === 0 || windows.some((holds) => holds(wallMs)) };
}
