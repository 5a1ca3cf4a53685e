/** A plan's summary for people: what would listen, and where each request would go. */
import type { ListenerSummary, PlanSummary, RouteSummary, TargetSummary } from '../compile/summary.ts';

const accessWords: Readonly<Record<RouteSummary['access'], string>> = {
  protected: 'protected',
  localOnly: 'this machine only',
  refused: 'answers 503: a policy was left out',
};

/** Long lists of models are cut. */
const shownModels = 10;

export function summaryLines({ ports, boxes }: PlanSummary): readonly string[] {
  if (ports.length === 0) return ['nothing would listen'];
  const lines = ports.flatMap(({ port, protocol, listeners }) => [
    `port ${port} (${protocol})`,
    ...listeners.flatMap((listener) => listenerLines(listener)),
  ]);
  return boxes.length === 0 ? lines : [...lines, `boxes: ${boxes.map(({ name, url }) => `${name} ${url}`).join(', ')}`];
}

function listenerLines({ gateway, name, hostname, policies, routes }: ListenerSummary): string[] {
  return [
    `  listener ${gateway}/${name} for ${hostname}${policyText(policies)}`,
    ...(routes.length === 0 ? ['    no routes'] : routes.flatMap((route) => routeLines(route, '    '))),
  ];
}

function routeLines(route: RouteSummary, indent: string): string[] {
  const { name, hostnames, matches, policies, access, targets, models, routes } = route;
  const hosts = hostnames.length === 0 ? '' : ` for ${hostnames.join(' ')}`;
  const shown = models.slice(0, shownModels).join(', ');
  const rest = models.length - shownModels;
  return [
    `${indent}route ${name}${hosts}: ${matches.join(' | ')}  (${accessWords[access]})${policyText(policies)}`,
    ...targets.map((target) => `${indent}  → ${targetText(target)}`),
    ...(targets.length === 0 && routes === undefined ? [`${indent}  → no backend: its policies answer`] : []),
    ...(models.length === 0 ? [] : [`${indent}  models: ${shown}${rest > 0 ? ` and ${rest} more` : ''}`]),
    ...(routes ?? []).flatMap((child) => routeLines(child, `${indent}  `)),
  ];
}

function targetText({ name, url, kind, model, weight, group, isLeftOut }: TargetSummary): string {
  if (isLeftOut === true) return 'nothing: it was left out';
  const what = kind === 'box' ? 'box' : kind === 'openai' ? 'OpenAI-compatible' : 'host';
  return [
    `${what} ${name}${name === url.replace(/^\w+:\/\//, '') ? '' : ` ${url}`}`,
    ...(model === undefined ? [] : [`model ${model}`]),
    ...(group === undefined ? [] : [`group ${group + 1}`]),
    ...(weight === undefined || weight === 1 ? [] : [`weight ${weight}`]),
  ].join(', ');
}

function policyText(policies: readonly string[]): string {
  return policies.length === 0 ? '' : ` [${policies.join(', ')}]`;
}
