/** What a file may say without doing what was meant: warnings, never errors. */
import { type CheckReport, type Keys, keysOf, listOf, textOf } from './check-report.ts';
import type { YamlPath } from './diagnostic.ts';

export function checkTraps(whole: Keys, report: CheckReport): void {
  visit(whole, [], (path, value) => {
    checkMode(path, value, report);
    if (path.at(-1) === 'groups') checkGroups(path, listOf(value), report);
  });
  checkFailover(whole, report);
  for (const section of ['models', 'providers']) {
    for (const [index, model] of listOf(keysOf(whole.llm)[section]).entries())
      checkPlainUrl(['llm', section, index], keysOf(model), report);
  }
}

function visit(value: unknown, path: YamlPath, look: (path: YamlPath, value: unknown) => void): void {
  look(path, value);
  if (Array.isArray(value)) for (const [index, item] of value.entries()) visit(item, [...path, index], look);
  else for (const [key, member] of Object.entries(keysOf(value))) visit(member, [...path, key], look);
}

const locks = new Set(['apiKey', 'basicAuth', 'jwtAuth']);

function checkMode(path: YamlPath, value: unknown, report: CheckReport): void {
  const last = path.at(-1);
  if (typeof last !== 'string' || !locks.has(last)) return;
  const { mode } = keysOf(value);
  if (mode === 'optional')
    report.warn(
      [...path, 'mode'],
      'optional lets requests in that show nothing; only wrong credentials are refused: strict locks',
    );
  if (mode === 'permissive')
    report.warn([...path, 'mode'], 'permissive lets everybody in, with wrong credentials too: strict locks');
}

/** agentgateway.md: a group serves when none of those before it can. */
function checkGroups(path: YamlPath, groups: readonly unknown[], report: CheckReport): void {
  const seen = new Set<string>();
  for (const [index, group] of groups.entries()) {
    const servers = listOf(keysOf(group).providers).map((provider) => {
      const { hostOverride, provider: kind, pathPrefix, pathOverride } = keysOf(provider);
      return JSON.stringify([hostOverride ?? null, kind ?? null, pathPrefix ?? null, pathOverride ?? null]);
    });
    if (index > 0 && servers.length > 0 && servers.every((server) => seen.has(server)))
      report.warn([...path, index], 'this group never serves: the groups before it name the same servers and models');
    for (const server of servers) seen.add(server);
  }
}

function checkFailover(whole: Keys, report: CheckReport): void {
  for (const [index, virtual] of listOf(keysOf(whole.llm).virtualModels).entries()) {
    const { failover } = keysOf(keysOf(virtual).routing);
    if (failover === undefined) continue;
    const path: YamlPath = ['llm', 'virtualModels', index, 'routing', 'failover', 'targets'];
    const targets = listOf(keysOf(failover).targets).map(keysOf);
    if (targets.length === 1) report.warn(path, 'nothing to fail over to: there is one target');
    const seen = new Set<string>();
    for (const [at, { model }] of targets.entries()) {
      const name = textOf(model);
      if (name === undefined) continue;
      if (seen.has(name)) report.warn([...path, at, 'model'], `"${name}" stands here twice: what failed once is not tried again`);
      seen.add(name);
    }
  }
}

function checkPlainUrl(path: YamlPath, { params, tls, backendTLS, defaults }: Keys, report: CheckReport): void {
  const baseUrl = textOf(keysOf(params).baseUrl);
  if (baseUrl === undefined || !/^http:/i.test(baseUrl)) return;
  const inner = keysOf(defaults);
  const found = [
    ['tls', tls],
    ['backendTLS', backendTLS],
    ['defaults', inner.tls ?? inner.backendTLS],
  ].find(([, value]) => value !== undefined);
  if (found !== undefined)
    report.warn([...path, String(found[0])], 'without effect: params.baseUrl says http://, write https:// there');
}
