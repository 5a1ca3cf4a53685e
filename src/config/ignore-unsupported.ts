/**
 * `--ignore-unsupported`: what Corral has not got is left out, so that the rest of a mixed file still serves (design decision
 * 12). Whole sections are passed over. Where a policy or a backend is left out, its place is marked and answers 503: a route
 * is never opened whose lock is missing.
 */
import { type YamlPath, yamlPathOf } from './diagnostic.ts';
import { foreignMessage } from './foreign-keys.ts';
import type { Finding } from './messages.ts';
import type { PolicyOptions } from './policy-map.ts';
import { markRefused } from './refused.ts';
import type { AiConfig, Config, RouteConfig } from './schema.ts';

type Keys = Record<string | number, unknown>;

/** What was left out of the values, for the warnings and for `markLeftOut`. */
export interface LeftOut {
  readonly path: YamlPath;
  readonly kind: 'section' | 'policy' | 'backend';
  readonly message: string;
  /** What answers 503 instead; undefined for sections. */
  readonly carrier: YamlPath | undefined;
}

/** So often a file may turn out to hold more of it, once what was in the way is gone. */
export const maxRounds = 20;

/** Takes out of `value`, in place, what may be left out. What is not returned stays an error. */
export function leaveOut(value: unknown, findings: readonly Finding[]): readonly LeftOut[] {
  return findings.flatMap((finding) => leaveOutOne(value as Keys, finding) ?? []);
}

function leaveOutOne(value: Keys, finding: Finding): LeftOut | undefined {
  const { path, message } = finding;
  // An option of a policy that is refused by the policy itself: without it the policy would be another one.
  const policy = policyAround(path);
  const kind = kindOf(finding, policy);
  if (kind === undefined) return undefined;
  if (kind === 'section') {
    if (!remove(value, path)) return undefined;
    return { path, kind, message: `left out: ${message}`, carrier: undefined };
  }
  if (kind === 'backend') {
    const backend = backendAround(path);
    if (backend === undefined || !replaceBackend(value, backend)) return undefined;
    return { path, kind, message: `left out, and answered with 503: ${message}`, carrier: backend };
  }
  const carrier = routeAround(policy ?? path) ?? policy?.slice(0, -1) ?? carrierAround(path);
  if (carrier === undefined || !remove(value, policy ?? path)) return undefined;
  if (carrier[0] === 'policies') placeholder(value, carrier);
  if (isAboutListener(path)) makePlain(value, path.slice(0, -1));
  return { path, kind, message: `left out, so ${nameOf(carrier)} answers 503: ${message}`, carrier };
}

function kindOf({ path, message, foreign, isRefused }: Finding, policy: YamlPath | undefined): LeftOut['kind'] | undefined {
  if (message.includes(foreignMessage)) {
    if (isAboutListener(path)) return 'policy';
    if (path.at(-1) === 'provider') return 'backend';
  }
  return foreign ?? (isRefused === true && policy !== undefined ? 'policy' : undefined);
}

/** A listener that speaks another protocol. */
function isAboutListener(path: YamlPath): boolean {
  const last = path.at(-1);
  const isListener = path.at(-3) === 'listeners' || (path[0] === 'gateways' && path.length === 3);
  return isListener && (last === 'tcpRoutes' || last === 'protocol');
}

function nameOf(carrier: YamlPath): string {
  const path = yamlPathOf(carrier).replace(/\.policies$/, '');
  return carrier[0] === 'policies' ? 'what it is attached to' : carrier[0] === 'frontendPolicies' ? 'every listener' : path;
}

/** `….policies.X` and what else holds policies by name, when the path is at or in one of them. */
function policyAround(path: YamlPath): YamlPath | undefined {
  if (path[0] === 'policies') return path[2] === 'policy' && path.length > 3 ? path.slice(0, 4) : undefined;
  const at = path.lastIndexOf('policies');
  if (at > 0 && path.length > at + 1) return path.slice(0, at + 2);
  return undefined;
}

/** A backend without its lock would still show its models in lists: so its whole route is closed. */
function routeAround(path: YamlPath): YamlPath | undefined {
  const at = path.lastIndexOf('routes');
  return at >= 0 && path.includes('backends', at) && path[0] !== 'policies' ? path.slice(0, at + 2) : undefined;
}

/** The nearest thing around that a request can be turned away from. */
function carrierAround(path: YamlPath): YamlPath | undefined {
  if (path[0] === 'frontendPolicies') return ['frontendPolicies'];
  if (path[0] === 'gateways') return path[2] === 'listeners' ? path.slice(0, 4) : path.slice(0, 2);
  for (let length = path.length - 1; length > 0; length--) {
    const [name, index] = [path[length - 2], path[length - 1]];
    if (path[length - 1] === 'ai') return path.slice(0, length);
    if (typeof index === 'number' && carriers.has(String(name))) return path.slice(0, length);
  }
  return path[0] === 'llm' ? ['llm'] : undefined;
}

const carriers = new Set(['binds', 'listeners', 'routes', 'backends', 'providers', 'models', 'virtualModels']);

/** The entry that names one backend or provider. */
function backendAround(path: YamlPath): YamlPath | undefined {
  const carrier = carrierAround(path);
  if (carrier?.at(-1) === 'ai') return carrier.slice(0, -1);
  return carrier !== undefined && ['backends', 'providers', 'models'].includes(String(carrier.at(-2))) ? carrier : undefined;
}

function valueAt(value: unknown, path: YamlPath): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Keys)[step];
  }
  return at;
}

function remove(value: Keys, path: YamlPath): boolean {
  const holder = valueAt(value, path.slice(0, -1));
  const key = path.at(-1);
  if (typeof holder !== 'object' || holder === null || key === undefined || !Object.hasOwn(holder, key)) return false;
  delete (holder as Keys)[key];
  return true;
}

/** Something that the schema takes, and that is never reached. */
function replaceBackend(value: Keys, path: YamlPath): boolean {
  const entry = valueAt(value, path);
  const holder = valueAt(value, path.slice(0, -1)) as Keys | undefined;
  const last = path.at(-1);
  if (typeof entry !== 'object' || entry === null || holder === undefined || last === undefined) return false;
  const { name, weight } = entry as Keys;
  const isInLlm = path[0] === 'llm';
  const isProvider = path.at(-2) === 'providers' && !isInLlm;
  const named = name === undefined ? {} : { name };
  // With a credential it is no box, which would be asked what it has.
  holder[last] = isInLlm
    ? { ...named, provider: 'openAI', params: { apiKey: 'left out' } }
    : isProvider
      ? { name: 'left-out', ...named, provider: { openAI: {} }, policies: { backendAuth: { key: 'left out' } } }
      : { ...(path.length === 2 ? { name } : {}), ...(weight === undefined ? {} : { weight }), host: 'localhost:1' };
  return true;
}

/** An attached policy is exactly one; this one is taken away again by `markLeftOut`. */
function placeholder(value: Keys, path: YamlPath): void {
  const entry = valueAt(value, path.slice(0, -1)) as Keys;
  entry.policy = entry.phase === 'gateway' ? { cors: {} } : { timeout: {} };
}

/** A listener of another protocol is there as one of HTTP that turns everybody away. */
function makePlain(value: Keys, path: YamlPath): void {
  const listener = valueAt(value, path) as Keys;
  delete listener.protocol;
  delete listener.tls;
  if (path[0] === 'binds') listener.routes ??= [];
}

/** Marks the places of what was left out, and takes backends away where others are left. */
export function markLeftOut(config: Config, leftOut: readonly LeftOut[]): void {
  for (const { carrier, path, kind } of leftOut) {
    if (carrier === undefined) continue;
    const what = kind === 'backend' ? 'backend of this kind' : String(path.at(-1));
    for (const policies of [...policiesAt(config, carrier), ...(kind === 'policy' ? routesTo(config, carrier) : [])]) {
      // The placeholder goes.
      if (carrier[0] === 'policies') for (const key of Object.keys(policies)) delete policies[key];
      markRefused(policies, what);
    }
  }
  const gone = new Set(leftOut.filter(({ kind }) => kind === 'backend').map(({ carrier }) => yamlPathOf(carrier ?? [])));
  if (gone.size === 0) return;
  const goneNames = new Set(config.backends.filter((_, index) => gone.has(`backends[${index}]`)).map(({ name }) => name));
  for (const [path, routes] of routeLists(config)) {
    for (const [index, route] of routes.entries()) keepOthers(route, `${path}[${index}].backends`, gone, goneNames);
  }
  for (const { carrier, kind } of leftOut)
    if (kind === 'backend' && carrier?.at(-2) === 'providers') removeProvider(config, carrier, gone);
}

/** One provider of several groups, where others are left to serve. */
function removeProvider(config: Config, carrier: YamlPath, gone: Set<string>): void {
  const path = carrier.slice(0, -4);
  const ai = valueAt(config, configPathOf(path)) as AiConfig | undefined;
  if (path.at(-1) !== 'ai' || ai === undefined) return;
  const groups = ai.groups.map(({ providers }, g) => ({
    providers: providers.filter((_, p) => !gone.has(`${yamlPathOf(path)}.groups[${g}].providers[${p}]`)),
  }));
  const left = groups.filter(({ providers }) => providers.length > 0);
  // Done once for all of them: the numbers in the paths are those of the file.
  if (left.length > 0) Object.assign(ai, { groups: left, isGrouped: true });
  for (const one of gone) if (one.startsWith(`${yamlPathOf(path)}.groups[`)) gone.delete(one);
}

/** The routes that name a top-level backend. */
function routesTo(config: Config, [section, index]: YamlPath): PolicyOptions[] {
  const name = section === 'backends' ? config.backends[Number(index)]?.name : undefined;
  if (name === undefined) return [];
  const using = routeLists(config)
    .flatMap(([, routes]) => routes)
    .filter(({ backends }) => backends.some(({ target }) => target.kind === 'reference' && target.name === name));
  return using.map(({ policies }) => policies);
}

function keepOthers(route: RouteConfig, path: string, gone: ReadonlySet<string>, goneNames: ReadonlySet<string>): void {
  const left = route.backends.filter(
    ({ target }, index) => !gone.has(`${path}[${index}]`) && !(target.kind === 'reference' && goneNames.has(target.name)),
  );
  if (left.length > 0) route.backends.splice(0, route.backends.length, ...left);
}

function routeLists(config: Config): (readonly [string, readonly RouteConfig[]])[] {
  return [
    ...config.binds.flatMap(({ listeners }, b) =>
      listeners.map(({ routes }, l) => [`binds[${b}].listeners[${l}].routes`, routes] as const),
    ),
    ['routes', config.routes],
    ...config.routeGroups.map(({ routes }, g) => [`routeGroups[${g}].routes`, routes] as const),
  ];
}

/** The policies that stand at a place, or at all places of which nobody can say which one is meant. */
function policiesAt(config: Config, path: YamlPath): PolicyOptions[] {
  const at = valueAt(config, withoutPolicies(configPathOf(path)));
  if (path[0] === 'frontendPolicies') return everyListener(config);
  const found = typeof at === 'object' && at !== null ? ownPolicies(at as Placed) : [];
  // A place that cannot be found is not let open.
  return found.length > 0 ? found : everyListener(config);
}

interface Placed {
  readonly policies?: PolicyOptions;
  readonly policy?: PolicyOptions;
  readonly defaults?: { readonly policies: PolicyOptions };
  readonly listeners?: readonly { readonly policies: PolicyOptions }[];
  readonly groups?: readonly { readonly providers: readonly { readonly policies: PolicyOptions }[] }[];
}

function ownPolicies({ policies, policy, defaults, listeners, groups }: Placed): PolicyOptions[] {
  return [
    ...(policies === undefined ? [] : [policies]),
    ...(policy === undefined ? [] : [policy]),
    ...(defaults === undefined ? [] : [defaults.policies]),
    ...(listeners ?? []).map((listener) => listener.policies),
    ...(groups ?? []).flatMap(({ providers }) => providers.map((provider) => provider.policies)),
  ];
}

function withoutPolicies(path: YamlPath): YamlPath {
  const last = path.at(-1);
  return last === 'policies' || last === 'policy' || last === 'defaults' ? path.slice(0, -1) : path;
}

/** Where the parsed configuration has what stands at a path of the YAML: `ai` is a target, one provider a group of one. */
function configPathOf(path: YamlPath): YamlPath {
  return path.flatMap((step, index) => (step === 'ai' && index > 0 ? ['target', 'ai'] : [step]));
}

function everyListener({ binds, gateways, llm }: Config): PolicyOptions[] {
  return [
    ...binds.flatMap(({ listeners }) => listeners.map(({ policies }) => policies)),
    ...Object.values(gateways).flatMap((gateway) => ownPolicies(gateway)),
    ...(llm === undefined ? [] : [llm.policies]),
  ];
}
