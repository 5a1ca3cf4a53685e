/** Several pulls: one after the other at each box, a few boxes at once. */
import type { Platform } from '../../platform.ts';
import { type CommandScope, exitCodes } from '../command.ts';
import { countText, plainText, spanText } from '../table.ts';
import { createBoard } from './board.ts';
import type { BoxLine } from './box-line.ts';
import { untilInterrupted } from './interrupt.ts';
import { pullModel } from './pulling.ts';

export interface BoxPulls {
  readonly line: BoxLine;
  readonly models: readonly string[];
}

const boxesAtOnce = 4;

/** Prints progress and what came of each; resolves with the exit code. */
export function runPulls(all: readonly BoxPulls[], { surroundings, platform, terminal }: CommandScope): Promise<number> {
  const board = createBoard({ terminal, out: surroundings.out, clock: platform.clock });
  let failures = 0;
  const work = async (signal: AbortSignal): Promise<number> => {
    const left = [...all];
    const one = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        const trouble = await next.line.trouble();
        for (const model of next.models) {
          if (signal.aborted) throw signal.reason;
          const words =
            trouble === undefined ? await pulled(next.line, model, signal, platform, board) : { isDone: false, trouble };
          const row = `${next.line.name}  ${plainText(model)}`;
          if (typeof words === 'string') board.end(row, words);
          else {
            failures++;
            board.end(row, `failed: ${words.trouble}`);
          }
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(boxesAtOnce, all.length) }, one));
    board.close();
    if (failures > 0) surroundings.err(`${countText(failures, 'pull')} failed\n`);
    return failures > 0 ? exitCodes.failed : exitCodes.done;
  };
  return untilInterrupted(terminal, work, () => {
    board.close();
    surroundings.err('stopped; what was fetched stays on the boxes, and the same command goes on from there\n');
  });
}

async function pulled(
  line: BoxLine,
  model: string,
  signal: AbortSignal,
  { clock }: Platform,
  board: ReturnType<typeof createBoard>,
): Promise<string | { readonly trouble: string }> {
  const startedMs = clock.now();
  const row = `${line.name}  ${plainText(model)}`;
  const trouble = await pullModel({ line, model, signal, clock, onProgress: (progress) => board.progress(row, progress) });
  return trouble === undefined ? `done after ${spanText(clock.now() - startedMs)}` : { trouble };
}
