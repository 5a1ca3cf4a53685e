/** From offsets in a text to lines and columns. */
import type { Position } from './diagnostic.ts';

/** The offset at which each line starts. */
export type LineStarts = readonly number[];

/** Not the parser's own count: it passes over line ends within what it cannot make sense of. */
export function lineStartsOf(text: string): LineStarts {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

export function positionIn(lines: LineStarts, offset: number): Position {
  let [low, high] = [0, lines.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if ((lines[middle] ?? 0) <= offset) low = middle;
    else high = middle;
  }
  return { line: low + 1, column: offset - (lines[low] ?? 0) + 1 };
}
