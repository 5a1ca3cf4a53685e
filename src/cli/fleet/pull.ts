/** `corral fleet pull`: one model on one box, several or all. */
import { CommandError, type CommandScope, configOptions, exitCodes, type OptionShapes, readLine } from '../command.ts';
import { listText } from '../table.ts';
import { type BoxLine, boxLinesOf, linesNamed } from './box-line.ts';
import { runPulls } from './pulls.ts';
import { openSession } from './session.ts';
import { tellGateway } from './tell-gateway.ts';

export const pullUsage = 'corral fleet pull MODEL (--box BOX,… | --all)';
export const pullOptions = {
  box: { type: 'string', value: 'BOX,…', about: 'where' },
  all: { type: 'boolean', about: 'on all boxes' },
  ...configOptions,
} as const satisfies OptionShapes;

export async function pull(scope: CommandScope): Promise<number> {
  const line = readLine(scope.args, pullOptions, pullUsage, 1);
  const [model] = line.words;
  if (model === undefined) throw new CommandError(`which model?\nUsage: ${pullUsage}`, exitCodes.wrongLine);
  if (line.isSet('all') && line.isSet('box'))
    throw new CommandError(`--box and --all exclude each other\nUsage: ${pullUsage}`, exitCodes.wrongLine);
  const { plan } = await openSession(line, scope).configured();
  const lines = boxLinesOf(plan, scope.platform);
  const meant = line.isSet('all') ? lines : boxesMeant(line.text('box'), lines, pullUsage);
  if (meant.length === 0) throw new CommandError('the configuration has no box');
  const code = await runPulls(
    meant.map((one) => ({ line: one, models: [model] })),
    scope,
  );
  if (code !== exitCodes.interrupted) await tellGateway(plan, scope);
  return code;
}

/** The only box needs no name. Throws CommandError with the names of the others. */
export function boxesMeant(named: string | undefined, lines: readonly BoxLine[], usage: string): readonly BoxLine[] {
  if (named !== undefined) {
    const found = linesNamed(named, lines);
    if (found.length > 0) return found;
  }
  const [only] = lines;
  if (only === undefined) throw new CommandError('the configuration has no box');
  if (lines.length === 1) return [only];
  const names = listText(
    lines.map(({ name }) => name),
    50,
  );
  throw new CommandError(`name the box that is meant with --box: ${names}\nUsage: ${usage}`, exitCodes.wrongLine);
}
