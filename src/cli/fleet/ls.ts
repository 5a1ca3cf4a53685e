/** `corral fleet ls`: the boxes, each on a line. */
import type { BoxState } from '../../fleet/report.ts';
import { type CommandScope, configOptions, exitCodes, type OptionShapes, readLine } from '../command.ts';
import { tableLines } from '../table.ts';
import { adminOption, openSession } from './session.ts';

export const lsUsage = 'corral fleet ls [--json]';
export const lsOptions = {
  json: { type: 'boolean', about: 'as JSON' },
  ...adminOption,
  ...configOptions,
} as const satisfies OptionShapes;

/** 1 where a box does not serve. */
export async function ls(scope: CommandScope): Promise<number> {
  const line = readLine(scope.args, lsOptions, lsUsage, 0);
  const { out } = scope.surroundings;
  const { report, isFromGateway } = await openSession(line, scope).herd();
  const { boxes, models } = report;
  if (line.isSet('json')) out(`${JSON.stringify({ isFromGateway, boxes, models }, null, 2)}\n`);
  else {
    for (const text of lsLines(boxes, isFromGateway)) out(`${text}\n`);
  }
  return boxes.every(({ isAlive }) => isAlive === true) ? exitCodes.done : exitCodes.failed;
}

export function lsLines(boxes: readonly BoxState[], isFromGateway: boolean): string[] {
  if (boxes.length === 0) return ['no box is configured'];
  const head = ['BOX', 'URL', 'STATE', 'VERSION', 'MODELS', 'LOADED', 'BUSY', 'WAITING'];
  const lines = tableLines([head, ...boxes.map((box) => rowOf(box, isFromGateway))]);
  const troubles = boxes.filter(({ trouble }) => trouble !== null);
  return [...lines, ...troubles.flatMap(({ name, trouble }) => tableLines([[`${name}:`, `${trouble?.why} ${trouble?.mend}`]]))];
}

/** What is under way is known to a gateway only. */
function rowOf(box: BoxState, isFromGateway: boolean): string[] {
  const { name, url, version, models, running, inFlight, waiting } = box;
  const isThere = box.isAlive === true;
  return [
    name,
    url,
    stateOf(box),
    version ?? '-',
    models === null ? '-' : String(models.length),
    isThere ? String(running.length) : '-',
    isFromGateway ? String(inFlight) : '-',
    isFromGateway ? String(waiting) : '-',
  ];
}

function stateOf({ isAlive, isBox, isCordoned }: BoxState): string {
  const state = isAlive === null ? 'unknown' : isAlive ? (isBox ? 'up' : 'up, no Ollama') : 'down';
  return isCordoned ? `${state}, out of service` : state;
}
