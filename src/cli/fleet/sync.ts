/** `corral fleet sync`: pulls what boxes lack, and what is stale there. */
import { type CommandScope, configOptions, exitCodes, type OptionShapes, readLine } from '../command.ts';
import { plainText } from '../table.ts';
import { boxLinesOf, linesNamed } from './box-line.ts';
import { runPulls } from './pulls.ts';
import { lookDirectly, openSession } from './session.ts';
import { planLines, type SyncPlan, syncPlanOf } from './sync-plan.ts';
import { tellGateway } from './tell-gateway.ts';

export const syncUsage = 'corral fleet sync [--from BOX] [--to BOX,…] [--dry-run] [MODEL…]';
export const syncOptions = {
  from: { type: 'string', value: 'BOX', about: 'the others shall have what this one has; left out: the newest of all' },
  to: { type: 'string', value: 'BOX,…', about: 'only these boxes pull; left out: all' },
  'dry-run': { type: 'boolean', about: 'print what would be pulled, and end' },
  json: { type: 'boolean', about: 'with --dry-run: as JSON' },
  ...configOptions,
} as const satisfies OptionShapes;

const maxModels = 1_000;

/** 1 where a box is silent or a pull fails, 3 where boxes still differ afterwards. */
export async function sync(scope: CommandScope): Promise<number> {
  const line = readLine(scope.args, syncOptions, syncUsage, maxModels);
  const { out, err } = scope.surroundings;
  const { plan } = await openSession(line, scope).configured();
  const lines = boxLinesOf(plan, scope.platform);
  const namesOf = (option: string) => linesNamed(line.text(option) ?? '', lines).map(({ name }) => name);
  const [from] = namesOf('from');
  const wanted = { from, to: namesOf('to'), models: line.words };
  const planned = syncPlanOf((await lookDirectly(plan, scope.platform)).report.boxes, wanted);
  const isComplete = tellGaps(planned, err);
  if (line.isSet('json') && line.isSet('dry-run')) out(`${JSON.stringify(planned, null, 2)}\n`);
  else for (const text of planLines(planned)) out(`${text}\n`);
  const code = isComplete ? exitCodes.done : exitCodes.failed;
  if (line.isSet('dry-run') || planned.pulls.length === 0) return code;

  const work = lines.flatMap((box) => {
    const models = planned.pulls.filter((pull) => pull.box === box.name).map(({ model }) => model);
    return models.length === 0 ? [] : [{ line: box, models }];
  });
  const pulled = await runPulls(work, scope);
  if (pulled === exitCodes.interrupted) return pulled;
  await tellGateway(plan, scope);
  if (pulled !== exitCodes.done) return pulled;
  const after = syncPlanOf((await lookDirectly(plan, scope.platform)).report.boxes, wanted);
  if (after.pulls.length === 0) return code;
  // Boxes pull from the registry and not from each other: it may have something newer than the box that was held for the newest.
  for (const { box, model, wantedFrom } of after.pulls)
    err(
      `${plainText(model)} on ${box} still differs from ${wantedFrom}: the registry has another one now, so pull it there, too: corral fleet pull ${plainText(model)} --box ${wantedFrom}\n`,
    );
  return code === exitCodes.done ? exitCodes.toSee : code;
}

function tellGaps({ silent, unknown }: SyncPlan, err: (text: string) => void): boolean {
  for (const name of silent) err(`${name} does not tell what it has: left out\n`);
  for (const model of unknown) err(`no box has ${plainText(model)}: corral fleet pull ${plainText(model)} --all\n`);
  return silent.length + unknown.length === 0;
}
