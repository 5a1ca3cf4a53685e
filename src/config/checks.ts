/**
 * What must fit together across the file (agentgateway types/local.rs). The checks look at the values as they stand in the
 * YAML, so that a wrong type in one place does not hide a wrong name in another: all errors come at once.
 */
import { type CheckReport, checkRepeated, type Keys, keysOf, listOf, namesOf, textOf, unknownName } from './check-report.ts';
import { checkModels } from './checks-llm.ts';
import { checkTls } from './checks-tls.ts';
import { checkTraps } from './checks-traps.ts';
import type { YamlPath } from './diagnostic.ts';

export function checkWhole(config: unknown, report: CheckReport): void {
  const whole = keysOf(config);
  checkPorts(whole, report);
  checkGateways(whole, report);
  checkAttachments(whole, report);
  checkBackends(whole, report);
  for (const { path, routes } of routeLists(whole)) checkRoutes(path, routes, report);
  checkModels(whole, report);
  checkTls(whole, report);
  checkTraps(whole, report);
}

/** Whether the file itself says where it listens and what serves there. */
export function isServing(whole: Keys): boolean {
  return ['binds', 'gateways', 'llm'].some((key) => whole[key] !== undefined);
}

function checkPorts(whole: Keys, report: CheckReport): void {
  if (!isServing(whole) && listOf(keysOf(whole.fleet).boxes).length === 0) {
    report.warn([], 'nothing is served: there are no binds, no gateways, no llm and no fleet.boxes');
  }
  const owners = new Map<number, string>();
  const claim = (port: unknown, owner: string, path: YamlPath) => {
    if (typeof port !== 'number' || port === 0) return;
    const other = owners.get(port);
    if (other === undefined) owners.set(port, owner);
    else
      report.error(path, `port ${port} is configured by both ${other} and ${owner}; binds, llm, and mcp must use unique ports`);
  };
  for (const [index, bind] of listOf(whole.binds).entries())
    claim(keysOf(bind).port, `binds[${index}]`, ['binds', index, 'port']);
  for (const [name, gateway] of Object.entries(keysOf(whole.gateways))) {
    claim(keysOf(gateway).port, `gateways.${name}`, ['gateways', name, 'port']);
  }
  if (whole.llm !== undefined && namesOf(keysOf(whole.llm).gateways).length === 0) claimForLlm(whole, claim);
}

function claimForLlm(whole: Keys, claim: (port: unknown, owner: string, path: YamlPath) => void): void {
  const { port } = keysOf(whole.llm);
  if (port !== undefined) claim(port, 'llm', ['llm', 'port']);
  else if (keysOf(whole.gateways).default === undefined) claim(defaultLlmPort, 'llm (default)', ['llm']);
}

/** Where `llm` is served when it says nothing and there is no gateway named `default`. */
export const defaultLlmPort = 4_000;

function checkGateways(whole: Keys, report: CheckReport): void {
  for (const [name, value] of Object.entries(keysOf(whole.gateways))) {
    const gateway = keysOf(value);
    const listeners = listOf(gateway.listeners);
    checkRepeated(['gateways', name, 'listeners'], listenerNames(listeners), report);
    if (listeners.length === 0) continue;
    for (const key of Object.keys(gateway)) {
      if (key === 'port' || key === 'listeners') continue;
      report.error(
        ['gateways', name, key],
        'cannot stand beside "listeners": protocol and policies belong to each listener then',
      );
    }
  }
  for (const [index, bind] of listOf(whole.binds).entries()) {
    checkRepeated(['binds', index, 'listeners'], listenerNames(listOf(keysOf(bind).listeners)), report);
  }
}

function listenerNames(listeners: readonly unknown[]): string[] {
  return listeners.map((listener, index) => textOf(keysOf(listener).name) ?? `listener${index}`);
}

/** `gateways:` of routes and of llm. */
function checkAttachments(whole: Keys, report: CheckReport): void {
  const gateways = keysOf(whole.gateways);
  const known = Object.entries(gateways).flatMap(([name, gateway]) => [
    name,
    ...listenerNames(listOf(keysOf(gateway).listeners)).map((listener) => `${name}/${listener}`),
  ]);
  const check = (value: unknown, path: YamlPath) => {
    for (const [index, name] of namesOf(value).entries()) {
      if (!known.includes(name))
        report.error(Array.isArray(value) ? [...path, index] : path, unknownName('gateway', name, known));
    }
  };
  for (const [index, route] of listOf(whole.routes).entries()) {
    const attached = keysOf(route).gateways;
    check(attached, ['routes', index, 'gateways']);
    if (namesOf(attached).length === 0 && gateways.default === undefined) {
      report.error(['routes', index], 'this route names no gateway in "gateways", and there is no gateway named "default"');
    }
  }
  const llm = keysOf(whole.llm);
  check(llm.gateways, ['llm', 'gateways']);
  if (namesOf(llm.gateways).length > 0 && llm.port !== undefined) {
    report.error(['llm', 'port'], 'llm.gateways cannot be used with llm.port');
  }
}

function checkBackends(whole: Keys, report: CheckReport): void {
  const names = listOf(whole.backends).map((backend) => textOf(keysOf(backend).name) ?? '');
  checkRepeated(['backends'], names, report);
  checkRepeated(
    ['routeGroups'],
    listOf(whole.routeGroups).map((group) => textOf(keysOf(group).name) ?? ''),
    report,
  );
  for (const { path, routes } of routeLists(whole)) {
    for (const [routeIndex, route] of routes.entries()) {
      for (const [index, backend] of listOf(keysOf(route).backends).entries()) {
        const name = textOf(keysOf(backend).backend)?.replace(/^\//, '');
        if (name === undefined || names.includes(name)) continue;
        report.error(
          [...path, routeIndex, 'backends', index, 'backend'],
          unknownName('entry of the top-level backends', name, names),
        );
      }
    }
  }
}

function routeLists(whole: Keys): { path: YamlPath; routes: readonly unknown[] }[] {
  const inBinds = listOf(whole.binds).flatMap((bind, b) =>
    listOf(keysOf(bind).listeners).map((listener, l) => ({
      path: ['binds', b, 'listeners', l, 'routes'],
      routes: listOf(keysOf(listener).routes),
    })),
  );
  const inGroups = listOf(whole.routeGroups).map((group, index) => ({
    path: ['routeGroups', index, 'routes'],
    routes: listOf(keysOf(group).routes),
  }));
  return [...inBinds, { path: ['routes'], routes: listOf(whole.routes) }, ...inGroups];
}

/** What agentgateway takes without a word although it cannot do what was meant. */
function checkRoutes(path: YamlPath, routes: readonly unknown[], report: CheckReport): void {
  const seen = new Set<string>();
  for (const [index, value] of routes.entries()) {
    const route = keysOf(value);
    const name = textOf(route.name);
    if (name !== undefined && seen.has(name)) {
      report.warn(
        [...path, index, 'name'],
        `a route named "${name}" stands above; agentgateway would keep only the last of them`,
      );
    }
    if (name !== undefined) seen.add(name);
    for (const [matchIndex, match] of listOf(route.matches).entries()) {
      checkMatch([...path, index, 'matches', matchIndex], keysOf(match), report);
    }
  }
}

function checkMatch(path: YamlPath, match: Keys, report: CheckReport): void {
  for (const kind of ['exact', 'pathPrefix']) {
    const text = textOf(keysOf(match.path)[kind]);
    if (text !== undefined && !text.startsWith('/'))
      report.warn([...path, 'path', kind], 'this never matches: paths start with "/"');
  }
  const method = textOf(match.method);
  if (method !== undefined && method !== method.toUpperCase())
    report.warn([...path, 'method'], 'this never matches: methods are written in capitals');
}
