/** Asks boxes what their state does not tell: headers of an answer, and the shape of models that take memory. */
import { targetsOf } from '../../backends/target.ts';
import type { CompiledPlan } from '../../compile/compile.ts';
import { GatewayError } from '../../errors.ts';
import { canonicalModel } from '../../fields/model-name.ts';
import type { BoxState } from '../../fleet/report.ts';
import type { Platform } from '../../platform.ts';
import { type BoxLine, boxLinesOf } from '../fleet/box-line.ts';
import { routesIn } from '../missing-models.ts';
import type { Examined, WantedContext } from './box-findings.ts';
import { type MemoryShape, memoryShapeOf } from './memory.ts';

const limitMs = 2_000;
const maxModelsPerBox = 8;

/** By the boxes' names; all at once, two seconds for each question. Never rejects. */
export async function examine(
  plan: CompiledPlan,
  boxes: readonly BoxState[],
  platform: Platform,
): Promise<ReadonlyMap<string, Examined>> {
  const lines = new Map(boxLinesOf(plan, platform).map((line) => [line.name, line]));
  const pinned = pinnedContextsOf(plan);
  const found = await Promise.all(
    boxes.map(async (box): Promise<[string, Examined]> => {
      const line = lines.get(box.name);
      const nothing = { headers: undefined, atMs: platform.clock.wallTime(), contexts: [] };
      if (line === undefined || isGone(box)) return [box.name, nothing];
      const answer = await line.get('/api/version', limitMs);
      const headers = answer instanceof GatewayError ? undefined : answer.headers;
      const atMs = platform.clock.wallTime();
      const contexts = box.isAlive === true && box.isBox ? await contextsOf(box, line, pinned) : [];
      return [box.name, { headers, atMs, contexts }];
    }),
  );
  return new Map(found);
}

/** Nobody is there whose answer would have headers. */
function isGone({ isAlive, trouble }: BoxState): boolean {
  return isAlive !== true && trouble !== null && /^upstream_(?:refused|unresolved|silent|tls)$/.test(trouble.code);
}

interface Pinned {
  readonly model: string;
  readonly numCtx: number;
  /** Undefined: everywhere. */
  readonly boxes: readonly string[] | undefined;
}

/** Contexts that the file itself asks for. */
function pinnedContextsOf({ warm, binds }: CompiledPlan): readonly Pinned[] {
  const backends = binds.flatMap(({ listeners }) => listeners).flatMap(({ entries }) => routesIn(entries));
  return [
    ...warm.flatMap(({ model, numCtx, boxes }) =>
      numCtx === undefined ? [] : [{ model, numCtx, boxes: typeof boxes === 'number' ? undefined : boxes }],
    ),
    ...backends
      .flatMap(({ backend }) => targetsOf(backend))
      .flatMap(({ declares, pinnedNumCtx, upstream }) =>
        declares === undefined || pinnedNumCtx === undefined
          ? []
          : [{ model: declares, numCtx: pinnedNumCtx, boxes: [upstream.name] }],
      ),
  ];
}

async function contextsOf(
  { name, models, running, configured }: BoxState,
  line: BoxLine,
  pinned: readonly Pinned[],
): Promise<readonly WantedContext[]> {
  if (configured.vramBytes === null) return [];
  const wanted = new Map<string, number>();
  const want = (model: string, numCtx: number | null) => {
    const key = canonicalModel(model);
    if (numCtx !== null && (wanted.has(key) || wanted.size < maxModelsPerBox))
      wanted.set(key, Math.max(wanted.get(key) ?? 0, numCtx));
  };
  for (const one of running) want(one.name, one.contextLength);
  for (const one of pinned) if (one.boxes?.includes(name) !== false) want(one.model, one.numCtx);
  const asked = [...wanted].map(async ([key, numCtx]): Promise<WantedContext[]> => {
    const model = models?.find((one) => canonicalModel(one.name) === key);
    if (model === undefined || model.remoteHost !== null) return [];
    const shape = await shapeOf(line, model.name);
    return shape === undefined ? [] : [{ model: model.name, numCtx, weightBytes: model.sizeBytes, shape }];
  });
  return (await Promise.all(asked)).flat();
}

async function shapeOf(line: BoxLine, model: string): Promise<MemoryShape | undefined> {
  const answer = await line.post('/api/show', { model }, limitMs);
  return answer instanceof GatewayError || answer.status !== 200 ? undefined : memoryShapeOf(answer.text);
}
