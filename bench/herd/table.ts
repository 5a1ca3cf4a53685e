/** Figures as Markdown. */
import type { Figures } from '../../test/support/herd/player.ts';
import type { Trace } from '../../test/support/herd/trace.ts';
import type { Floor } from './floor.ts';
import { constantFor, errorsOf, type Foretold } from './predictions.ts';

export interface Line extends Figures {
  readonly trace: string;
  readonly gateway: string;
  readonly loads: number;
  readonly leftOpen: number;
  /** The commonest, and how often each. */
  readonly errors: readonly (readonly [string, number])[];
  readonly foretold: readonly Foretold[];
}

export function traceTable({ name, about }: Pick<Trace, 'name' | 'about'>, all: readonly Line[], floor?: Floor): string {
  const lines = all.filter(({ trace }) => trace === name);
  const rows = lines.map(({ gateway, p50Ms, p95Ms, loads, failed, requests, perMinute }) => [
    gateway,
    seconds(p50Ms),
    seconds(p95Ms),
    String(loads),
    `${failed} of ${requests}`,
    perMinute.toFixed(1),
  ]);
  if (floor !== undefined) rows.push(['floor', seconds(floor.p50Ms), seconds(floor.p95Ms), String(floor.loads), '', '']);
  const head = ['gateway', 'first token p50 s', 'p95 s', 'loads', 'failed', 'answers/min'];
  return [`**${name}**: ${about}`, '', tableOf(head, rows), '', ...shareOfBestPeer(lines, floor)].join('\n');
}

/** The aim: at most a tenth of the best peer's. Below the floor nobody comes. */
function shareOfBestPeer(lines: readonly Line[], floor: Floor | undefined): string[] {
  const corral = lines.find(({ gateway }) => gateway === 'corral');
  const peers = lines.filter(({ gateway }) => gateway !== 'corral');
  if (corral === undefined || peers.length === 0) return [];
  const loads = Math.min(...peers.map((peer) => peer.loads));
  const p95Ms = Math.min(...peers.map((peer) => peer.p95Ms));
  const share = (of: Floor) => `loads ${(of.loads / loads).toFixed(2)}, p95 ${(of.p95Ms / p95Ms).toFixed(2)}`;
  const floorShare = floor === undefined ? '' : `; the floor's: ${share(floor)}`;
  return [`Corral's share of the best peer's: ${share(corral)} (aim: 0.10)${floorShare}.`];
}

export function predictionsTable(lines: readonly Line[]): string {
  const corral = lines.filter(({ foretold }) => foretold.length > 0);
  const all = corral.flatMap(({ foretold }) => foretold);
  const rows = [...corral.map(({ trace, foretold }) => ({ trace, foretold })), { trace: 'all', foretold: all }].flatMap(
    ({ trace, foretold }) => {
      const constantMs = constantFor(foretold);
      const own = errorsOf(foretold, ({ predictedMs }) => predictedMs);
      const constant = errorsOf(foretold, () => constantMs);
      const cells = (errors: typeof own) => [seconds(errors.medianMs), seconds(errors.p90Ms), seconds(errors.meanMs)];
      return [
        [trace, String(own.count), 'prediction', ...cells(own)],
        ['', '', `constant ${seconds(constantMs)} s`, ...cells(constant)],
      ];
    },
  );
  const head = ['trace', 'answers', 'time to the first token', 'error median s', 'p90 s', 'mean s'];
  return `**Predicted against observed**\n\n${tableOf(head, rows)}`;
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(2);
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((cell, at) => Math.max(cell.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n');
}
