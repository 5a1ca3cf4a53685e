/** `corral fleet ps`: what is in memory, over all boxes. */
import { instantOf } from '../../fleet/asking/answers.ts';
import type { BoxState, RunningState } from '../../fleet/report.ts';
import { type CommandScope, exitCodes, readLine } from '../command.ts';
import { sizeText, spanText, tableLines } from '../table.ts';
import { lsOptions } from './ls.ts';
import { openSession } from './session.ts';

export const psUsage = 'corral fleet ps [--json]';

export async function ps(scope: CommandScope): Promise<number> {
  const line = readLine(scope.args, lsOptions, psUsage, 0);
  const { out } = scope.surroundings;
  const { report, isFromGateway } = await openSession(line, scope).herd();
  if (line.isSet('json')) {
    const running = report.boxes.flatMap((box) => box.running.map((one) => ({ box: box.name, ...one })));
    const loading = report.boxes.flatMap((box) => box.loading.map((one) => ({ box: box.name, ...one })));
    out(`${JSON.stringify({ isFromGateway, running, loading }, null, 2)}\n`);
  } else {
    for (const text of psLines(report.boxes, isFromGateway, scope.platform.clock.wallTime())) out(`${text}\n`);
  }
  const silent = report.boxes.filter(({ isAlive }) => isAlive !== true);
  for (const { name } of silent) scope.surroundings.err(`${name} does not answer\n`);
  return silent.length === 0 ? exitCodes.done : exitCodes.failed;
}

export function psLines(boxes: readonly BoxState[], isFromGateway: boolean, nowMs: number): string[] {
  const head = ['BOX', 'MODEL', 'SIZE', 'PROCESSOR', 'CONTEXT', 'UNTIL', 'BUSY', 'WAITING'];
  const rows = boxes.flatMap((box) => [
    ...box.running.map((one) => [
      box.name,
      one.name,
      sizeText(one.sizeBytes),
      processorText(one),
      one.contextLength === null ? '-' : String(one.contextLength),
      untilText(one.expiresAt, nowMs),
      isFromGateway ? String(one.inFlight) : '-',
      isFromGateway ? String(one.waiting) : '-',
    ]),
    ...box.loading.map(({ model, forMs }) => [box.name, model, '-', 'loading', '-', `for ${spanText(forMs)}`, '-', '-']),
  ]);
  return rows.length === 0 ? ['nothing is in memory'] : tableLines([head, ...rows]);
}

/** As `ollama ps` says it. */
export function processorText({ sizeBytes, vramBytes }: Pick<RunningState, 'sizeBytes' | 'vramBytes'>): string {
  if (sizeBytes <= 0 || vramBytes >= sizeBytes) return 'GPU';
  if (vramBytes <= 0) return 'CPU';
  const cpu = Math.min(99, Math.max(1, Math.round((1 - vramBytes / sizeBytes) * 100)));
  return `${cpu} % CPU, ${100 - cpu} % GPU`;
}

/** Models that stay for ever expire in some hundred years. */
const foreverMs = 10 * 366 * 86_400_000;

function untilText(expiresAt: string, nowMs: number): string {
  const atMs = instantOf(expiresAt);
  if (atMs === 0) return '-';
  if (atMs - nowMs > foreverMs) return 'for ever';
  return atMs <= nowMs ? 'in use' : `in ${spanText(atMs - nowMs)}`;
}
