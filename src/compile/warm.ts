/** `fleet.warm`: which models stay in memory, and when. */
import { pinnedNumCtxFor } from '../backends/native.ts';
import type { Target } from '../backends/target.ts';
import type { FleetConfig, WarmConfig } from '../config/schema.ts';
import type { Upstream } from '../exchange.ts';
import { minutesOf } from '../fields/cron.ts';
import type { WarmRule } from '../fleet/warm.ts';

export function compileWarm(
  { warm }: FleetConfig,
  upstreams: readonly Upstream[],
  targets: readonly Target[],
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
    const pinned = pinnedNumCtxFor(targets, entry.model);
    if (pinned !== undefined && entry.numCtx !== undefined && entry.numCtx !== pinned) {
      warn(`fleet.warm[${index}].numCtx`, `overrides pin num_ctx ${pinned} for this model: that holds`);
    }
    return ruleOf({ ...entry, numCtx: pinned ?? entry.numCtx });
  });
}

function ruleOf({ model, boxes, numCtx, during, timezone }: WarmConfig): WarmRule {
  const windows = during.map((expression) => minutesOf(expression, timezone));
  return { model, boxes, numCtx, isDue: (wallMs) => windows.length === 0 || windows.some((holds) => holds(wallMs)) };
}
