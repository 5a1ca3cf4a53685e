/** A compiled plan as text that people can read and that stays the same as long as the plan does. */
import type { AiBackend, Backend, Target } from '../../src/backends/target.ts';
import type { CompiledPlan } from '../../src/compile/compile.ts';
import type { ListenerPlan, PlanSettings, RoutePlan } from '../../src/compile/plan.ts';
import type { TelemetryPlan } from '../../src/compile/telemetry.ts';
import type { BoxOptions, Protocol } from '../../src/exchange.ts';
import type { AddedField } from '../../src/observe/added-fields.ts';
import type { Sampling, TraceSetting } from '../../src/observe/traces.ts';
import { policyNamed } from '../../src/policies/index.ts';
import { anthropicMessages } from '../../src/protocols/anthropic-messages.ts';
import { ollamaChat } from '../../src/protocols/ollama-chat.ts';
import { openaiChat } from '../../src/protocols/openai-chat.ts';
import { openaiEmbeddings } from '../../src/protocols/openai-embeddings.ts';
import { openaiResponses } from '../../src/protocols/openai-responses.ts';
import type { MatchRule } from '../../src/routes/rules.ts';
import type { RouteEntry } from '../../src/routes/table.ts';
import { type OptionsOf, optionsText } from './policy-options.ts';

/** A plan, and what its policies were made from where that is to be shown as well: all options, those that have their defaults, too. */
export interface ShownPlan extends CompiledPlan {
  readonly optionsOf?: OptionsOf;
}

/** Settings are shown where they differ from `usual`. */
export function planText(plan: ShownPlan, usual: PlanSettings): string {
  const lines: string[] = [];
  const say = (depth: number, text: string) => lines.push(`${'  '.repeat(depth)}${text}`);
  for (const bind of plan.binds) {
    say(0, `bind ${bind.port}${tlsText(bind)}`);
    for (const listener of bind.listeners) sayListener(listener, plan, say);
  }
  const settings = Object.entries(plan.settings).filter(([name, value]) => {
    return JSON.stringify(value) !== JSON.stringify(usual[name as keyof PlanSettings]);
  });
  // What is made of `fleet` is shown as it is written.
  const shown = settings.filter(([name]) => name !== 'tuning' && name !== 'fleet');
  for (const [name, value] of shown) say(0, `setting ${name} ${valueText(value)}`);
  for (const line of fleetLines(plan.settings.fleet, usual.fleet)) say(0, line);
  for (const line of telemetryLines(plan.telemetry)) say(0, line);
  if (plan.mayConnect !== undefined) say(0, 'connections may be refused');
  for (const warning of plan.warnings) say(0, `warning ${warning}`);
  say(0, plan.everyRouteIsProtected ? 'protected' : 'not protected');
  return `${lines.join('\n')}\n`;
}

/** Members of `fleet` that have no setting of their own, where they differ. */
function fleetLines(fleet: PlanSettings['fleet'], usual: PlanSettings['fleet']): readonly string[] {
  const { queue, loads, warm, placement, affinity, truncation, embeddings, relay } = fleet;
  const groups = { queue, loads, placement, affinity, truncation, embeddings, relay };
  const lines = Object.entries(groups).flatMap(([group, members]) =>
    Object.entries(members).flatMap(([name, value]) => {
      const before = (usual[group as keyof typeof groups] as Readonly<Record<string, unknown>>)[name];
      return JSON.stringify(value) === JSON.stringify(before) ? [] : [`fleet ${group}.${name} ${JSON.stringify(value)}`];
    }),
  );
  return [...lines, ...warm.map((one) => `warm ${JSON.stringify(one)}`)];
}

/** What is not as it is when nothing is said. */
function telemetryLines({ log, metrics, traces }: TelemetryPlan): readonly string[] {
  const { format, filter, added = [], removed = [], standard, sensitiveHeaders = [] } = log;
  const addedLines = (what: string, fields: readonly AddedField[]) =>
    fields.map(({ name, value }) => `${what} add ${name} = ${value.source}`);
  const removedLines = (what: string, names: readonly string[]) => names.map((name) => `${what} remove ${name}`);
  return [
    ...(format === 'text' ? [] : [`log ${format}`]),
    ...(filter === undefined ? [] : [`log filter ${filter.source}`]),
    ...addedLines('log', added),
    ...removedLines('log', removed),
    ...(sensitiveHeaders.length === 0 ? [] : [`log hides ${sensitiveHeaders.join(' ')}`]),
    ...(standard?.user === undefined ? [] : [`user ${standard.user.source}`]),
    ...(standard?.group === undefined ? [] : [`group ${standard.group.source}`]),
    ...addedLines('metrics', metrics.added),
    ...removedLines('metrics', metrics.removed),
    ...(traces === undefined ? [] : traceLines(traces)),
  ];
}

function traceLines(traces: TraceSetting): readonly string[] {
  const { server, path, headers, randomSampling, clientSampling, filter, added, removed, resources } = traces;
  const sampling = (given: Sampling) => (typeof given === 'number' ? String(given) : given.source);
  return [
    `traces to ${server.baseUrl}${path}, of new ones ${sampling(randomSampling)}, of clients' ${sampling(clientSampling)}`,
    ...Object.keys(headers).map((name) => `traces header ${name}`),
    ...(filter === undefined ? [] : [`traces filter ${filter.source}`]),
    ...added.map(({ name, value }) => `traces add ${name} = ${value.source}`),
    ...removed.map((name) => `traces remove ${name}`),
    ...resources.map(({ name, value }) => `traces resource ${name} = ${value.source}`),
  ];
}

function valueText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (!('host' in value && 'port' in value)) return JSON.stringify(value);
  const host = String(value.host);
  return `${host.includes(':') ? `[${host}]` : host}:${value.port}`;
}

/** Certificates by the name they are for, and the settings that are not left to the runtime; no PEM. */
function tlsText({ tls }: CompiledPlan['binds'][number]): string {
  if (tls === undefined) return '';
  const { certificates, root, ...settings } = tls;
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  return [
    ` HTTPS for ${certificates.map(({ hostname }) => hostname || '*').join(' ')}`,
    ...(root === undefined ? [] : ['client certificates']),
    ...given.map(([name, value]) => `${name} ${String(value)}`),
  ].join(', ');
}

type Say = (depth: number, text: string) => void;

function sayListener({ name, gatewayName, hostname, policies, entries }: ListenerPlan, plan: ShownPlan, say: Say): void {
  say(1, `listener ${gatewayName}/${name} for ${hostname === '' ? '*' : hostname}${policyText(policies)}`);
  sayOptions(policies, plan, 2, say);
  for (const entry of entries) sayRoute(entry, plan, say);
}

function policyText(policies: readonly { readonly name: string }[]): string {
  return policies.length === 0 ? '' : ` [${policies.map(({ name }) => name).join(' ')}]`;
}

/** One line for each policy here. A policy that runs at several moments is shown once. */
function sayOptions(made: readonly { readonly name: string }[], { optionsOf }: ShownPlan, depth: number, say: Say): void {
  const shown = new Set<unknown>();
  for (const part of made) {
    const options = optionsOf?.(part);
    if (options === undefined || shown.has(options)) continue;
    shown.add(options);
    say(depth, `with ${part.name} ${optionsText(options)}`);
  }
}

function sayRoute({ route, hostnames, rules }: RouteEntry<RoutePlan>, plan: ShownPlan, say: Say, depth = 2): void {
  const lock = route.isProtected ? ', protected' : '';
  const hosts = hostnames.length === 0 ? '' : ` for ${hostnames.join(' ')}`;
  say(depth, `route ${route.name}${hosts}${policyText(route.policies)}${lock}`);
  sayOptions(route.policies, plan, depth + 1, say);
  for (const rule of rules) say(depth + 1, `match ${ruleText(rule)}`);
  if (route.children === undefined) sayBackend(route.backend, plan, depth + 1, say);
  for (const child of route.children?.entries ?? []) sayRoute(child, plan, say, depth + 1);
}

function ruleText({ path, method, headers, query }: MatchRule): string {
  return [
    `${path.kind} ${path.value === '' ? '/' : path.value}`,
    ...(method === undefined ? [] : [`method ${method}`]),
    ...headers.map(({ name }) => `header ${name}`),
    ...query.map(({ name }) => `query ${name}`),
  ].join(', ');
}

function sayBackend(backend: Backend, plan: ShownPlan, depth: number, say: Say): void {
  switch (backend.kind) {
    case 'none':
      say(depth, 'no backend');
      return;
    case 'broken':
      say(depth, `${backend.code} ${backend.message}`);
      return;
    case 'host':
      for (const target of backend.targets) sayTarget(target, plan, depth, say);
      return;
    case 'ai':
      sayAi(backend.ai, plan, depth, say);
      return;
    case 'weighted':
      for (const choice of backend.choices) {
        say(depth, `choice of weight ${choice.weight}`);
        sayBackend(choice.backend, plan, depth + 1, say);
      }
  }
}

function sayAi(ai: AiBackend, plan: ShownPlan, depth: number, say: Say): void {
  for (const target of ai.targets) sayTarget(target, plan, depth, say);
  for (const [name, targets] of ai.virtualTargets ?? []) {
    for (const { upstream, group } of targets) say(depth, `${name} fails over to ${upstream.name}, group ${group}`);
  }
  for (const { name, target } of ai.addedModels) say(depth, `lists ${name}${target === undefined ? '' : ` for ${target}`}`);
  if (ai.openPaths.written.length > 0) say(depth, `opens ${ai.openPaths.written.join(', ')}`);
}

function sayTarget(target: Target, plan: ShownPlan, depth: number, say: Say): void {
  const { upstream, group, weight, failsOver, affinity, passthrough, declares, edits, finalEdits, answerEdits } = target;
  // What a provider needs by itself says nothing of the configuration.
  const lastEdits = finalEdits.map(({ name }) => name).filter((name) => name === 'estimatePrompt' || policyNamed(name));
  const facts = [
    ...(group === 0 ? [] : [`group ${group}`]),
    ...(weight === undefined ? [] : [`weight ${weight}`]),
    ...(failsOver ? ['fails over'] : []),
    ...(affinity === undefined ? [] : [`sessions by ${affinity.source}`]),
    ...(passthrough === undefined ? [] : [`passes through, ${passthrough}`]),
    ...(declares === undefined ? [] : [`declares ${declares}`]),
    ...Object.entries(plan.headersFor(upstream)).map(([name, value]) => `${name} ${value}`),
    ...boxFacts(upstream.box),
    ...(upstream.tls === undefined ? [] : [`tls ${JSON.stringify(upstream.tls)}`]),
    ...(edits.length === 0 ? [] : [`edits ${edits.map(({ name }) => name).join(' ')}`]),
    ...(lastEdits.length === 0 ? [] : [`last edits ${lastEdits.join(' ')}`]),
    ...(answerEdits.length === 0 ? [] : [`edits of answers ${answerEdits.length}`]),
  ];
  say(depth, [`${upstream.kind} ${upstream.name} ${upstream.baseUrl}`, ...facts].join(', '));
  sayOptions([...edits, ...finalEdits, ...answerEdits], plan, depth + 1, say);
  const health = target.health === undefined ? undefined : plan.optionsOf?.(target.health);
  if (health !== undefined) say(depth + 1, `with health ${optionsText(health)}`);
  if (upstream.kind === 'host') return;
  const isBox = upstream.kind === 'box';
  const asked = (name: string | undefined) => target.modelFor(name, isBox) ?? 'none';
  say(depth + 1, `model: none named ${asked(undefined)}, sample ${asked('sample')}`);
  const path = (protocol: Protocol | undefined, clientPath = protocol?.path ?? '') => {
    const { path: found, query } = target.pathFor({
      protocol,
      clientPath,
      matchedPrefix: '',
      query: '?q',
      isBox,
      isTranslated: false,
    });
    return found + query;
  };
  const paths = [path(openaiChat), path(openaiEmbeddings), path(ollamaChat), path(undefined, '/v1/else')];
  say(depth + 1, `paths: ${paths.join(' ')}`);
  if (!isBox) say(depth + 1, `spoken to: ${spokenTo(target)}`);
}

/** What `fleet.boxes` says of it; its headers are among those of probes. */
function boxFacts(box: BoxOptions | undefined): readonly string[] {
  if (box === undefined) return [];
  const { headers: _shown, ...facts } = box;
  return [`tuned ${JSON.stringify(facts)}`];
}

/** How calls of each kind are put to it. */
function spokenTo(target: Target): string {
  const ways = [openaiChat, anthropicMessages, openaiResponses, openaiEmbeddings].map((protocol) => {
    try {
      const translation = target.translationFor(protocol, false);
      return translation === undefined ? protocol.name : `${protocol.name} as ${translation.upstream.name}`;
    } catch {
      return `no ${protocol.name}`;
    }
  });
  return [...ways, ...(target.countsTokens ? ['counts tokens'] : [])].join(', ');
}
