/**
 * Shows what several boxes do at once: on a terminal a bar for each, drawn anew in its place; elsewhere a line for each thing that
 * changes, a few for each row.
 */
import type { Clock } from '../../platform.ts';
import { plainText, sizeText } from '../table.ts';
import type { Terminal } from '../terminal.ts';
import type { PullProgress } from './pulling.ts';

export interface Board {
  /** A row goes on; the first time it appears. */
  progress(row: string, progress: PullProgress): void;
  /** The row is over: its last line stays. */
  end(row: string, words: string): void;
  /** What is drawn stays, and nothing is drawn over it. */
  close(): void;
}

export interface BoardSetting {
  readonly terminal: Pick<Terminal, 'isTerminal' | 'columns'>;
  readonly out: (text: string) => void;
  readonly clock: Pick<Clock, 'now'>;
}

export function createBoard(setting: BoardSetting): Board {
  return setting.terminal.isTerminal ? createBars(setting) : createLines(setting);
}

const redrawMs = 100;
const barWidth = 24;

function createBars({ terminal, out, clock }: BoardSetting): Board {
  const rows = new Map<string, PullProgress>();
  let drawn = 0;
  let drawnMs = Number.NEGATIVE_INFINITY;
  const clear = () => (drawn === 0 ? '' : `\u001b[${drawn}A\r\u001b[0J`);
  const draw = (before = '') => {
    const width = Math.max(...[...rows.keys()].map((row) => row.length), 0);
    // A line that wraps would take two, and be cleared as one.
    const lines = [...rows].map(
      ([row, progress]) => `${barLine(row.padEnd(width), progress).slice(0, terminal.columns() - 1)}\n`,
    );
    out(`${clear()}${before}${lines.join('')}`);
    drawn = lines.length;
    drawnMs = clock.now();
  };
  return {
    progress(row, progress) {
      const isNew = !rows.has(row);
      rows.set(row, progress);
      if (isNew || clock.now() - drawnMs >= redrawMs) draw();
    },
    end(row, words) {
      rows.delete(row);
      draw(`${row}  ${words}\n`);
    },
    close() {
      if (rows.size > 0) draw();
      rows.clear();
      drawn = 0;
    },
  };
}

function barLine(row: string, { status, completedBytes, totalBytes }: PullProgress): string {
  if (totalBytes === 0) return `${row}  ${status}`;
  const share = Math.min(1, completedBytes / totalBytes);
  const full = Math.floor(share * barWidth);
  const bar = '█'.repeat(full) + '░'.repeat(barWidth - full);
  return `${row}  ${bar}  ${percentText(share)}  ${sizeText(completedBytes)} of ${sizeText(totalBytes)}  ${shortStatus(status)}`;
}

function percentText(share: number): string {
  return `${String(Math.floor(share * 100)).padStart(3)} %`;
}

/** Of `pulling 970aa74c0a90` the bar tells the same. */
function shortStatus(status: string): string {
  return /^pulling [0-9a-f]{12}/.test(status) ? 'pulling' : status;
}

const maxLinesPerRow = 40;

function createLines({ out }: BoardSetting): Board {
  const rows = new Map<string, { said: string; quarter: number; lines: number }>();
  return {
    progress(row, { status, completedBytes, totalBytes }) {
      const known = rows.get(row) ?? { said: '', quarter: 0, lines: 0 };
      rows.set(row, known);
      const said = shortStatus(status);
      const share = totalBytes === 0 ? 0 : completedBytes / totalBytes;
      const quarter = Math.floor(share * 4);
      if ((said === known.said && quarter <= known.quarter) || known.lines >= maxLinesPerRow || said === 'success') return;
      Object.assign(known, { said, quarter: Math.max(quarter, known.quarter), lines: known.lines + 1 });
      const amount = totalBytes === 0 ? '' : ` ${Math.floor(share * 100)} % of ${sizeText(totalBytes)}`;
      out(`${row}  ${plainText(said)}${said === 'pulling' ? amount : ''}\n`);
    },
    end(row, words) {
      rows.delete(row);
      out(`${row}  ${words}\n`);
    },
    close: () => undefined,
  };
}
