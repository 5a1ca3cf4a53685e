/** Models that the configuration names and that no box has which could serve them. */
import { type Backend, targetsOf } from '../backends/target.ts';
import type { CompiledPlan } from '../compile/compile.ts';
import type { ListenerPlan, RoutePlan } from '../compile/plan.ts';
import { createFleet, type Herd } from '../fleet/fleet.ts';
import type { Platform } from '../platform.ts';
import type { RouteEntry } from '../routes/table.ts';

/** Says nothing of boxes that do not answer: they may have it. */
export function missingModels(
  plan: Pick<CompiledPlan, 'binds'>,
  herd: Pick<Herd, 'hasModel' | 'isBox' | 'isAlive'>,
): readonly string[] {
  const messages = plan.binds.flatMap(({ listeners }) => listeners.flatMap((listener) => missingIn(listener, herd)));
  return [...new Set(messages)];
}

function missingIn({ entries }: Pick<ListenerPlan, 'entries'>, herd: Pick<Herd, 'hasModel' | 'isBox' | 'isAlive'>): string[] {
  return routesIn(entries).flatMap(({ name, backend }) => {
    const asked = targetsOf(backend).filter(({ declares, upstream }) => declares !== undefined && herd.isBox(upstream));
    const models = [...new Set(asked.flatMap(({ declares }) => declares ?? []))];
    return models.flatMap((model) => {
      const having = asked.filter(({ declares }) => declares === model);
      const isMissing = having.every(
        ({ upstream }) => herd.isAlive(upstream) === true && herd.hasModel(upstream, model) === false,
      );
      if (!isMissing) return [];
      const boxes = [...new Set(having.map(({ upstream }) => upstream.name))].join(', ');
      return [`the model ${model} (route ${name}) is on none of its boxes (${boxes}): ollama pull ${model}`];
    });
  });
}

/** With the routes that they hand over to. */
export function routesIn(entries: readonly RouteEntry<RoutePlan>[]): readonly { name: string; backend: Backend }[] {
  return entries.flatMap(({ route }) => [route, ...routesIn(route.children?.entries ?? [])]);
}

/** Asks the boxes of a plan that is not in force: two seconds at most. */
export async function probeModels(plan: CompiledPlan, platform: Platform): Promise<readonly string[]> {
  const herd = createFleet({ upstreams: plan.upstreams, platform, instanceId: 'validation', headersFor: plan.headersFor });
  await herd.learn();
  const silent = herd
    .describe()
    .filter(({ isAlive }) => isAlive !== true)
    .map(
      ({ name, why, mend }) =>
        `box ${name} does not answer${why === undefined ? '' : `: ${why}`}${mend === undefined ? '' : ` ${mend}`}`,
    );
  const missing = missingModels(plan, herd);
  herd.stop();
  return [...silent, ...missing];
}
