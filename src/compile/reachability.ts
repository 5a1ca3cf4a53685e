/** Listeners and routes that no request can reach. */
import { suffixHolds, suffixOf } from '../routes/hostnames.ts';
import type { BindWanted, ListenerWanted } from './listeners.ts';

export function warnUnreachable(binds: readonly BindWanted[], warn: (yamlPath: string, message: string) => void): void {
  for (const { port, listeners } of binds) {
    const first = new Map<string, ListenerWanted>();
    for (const listener of listeners) {
      const hostname = listener.hostname === '*' ? '' : listener.hostname.toLowerCase();
      const other = first.get(hostname);
      if (other === undefined) first.set(hostname, listener);
      else {
        const whose = hostname === '' ? 'every host' : hostname;
        warn(
          listener.yamlPath,
          `no request reaches this listener: ${other.yamlPath} serves ${whose} on port ${port}, too, and comes first`,
        );
      }
      warnHostnames(listener, warn);
      warnHiddenModels(listener, warn);
    }
  }
}

function warnHostnames({ hostname, routes }: ListenerWanted, warn: (yamlPath: string, message: string) => void): void {
  for (const { config, yamlPath } of routes) {
    if (config.hostnames.length === 0 || config.hostnames.some((name) => overlaps(hostname.toLowerCase(), name.toLowerCase())))
      continue;
    warn(yamlPath, `no request reaches this route: its host names lie outside of its listener's, ${hostname}`);
  }
}

/** Whether some host fits both patterns. */
function overlaps(one: string, other: string): boolean {
  const [first, second] = [suffixOf(one), suffixOf(other)];
  if (first === undefined && second === undefined) return one === other;
  if (first === '' || second === '') return true;
  if (first === undefined) return suffixHolds(second ?? '', one);
  if (second === undefined) return suffixHolds(first, other);
  return first.endsWith(second) || second.endsWith(first);
}

/** The models of `llm` take what no route takes. */
function warnHiddenModels({ servesLlm, routes }: ListenerWanted, warn: (yamlPath: string, message: string) => void): void {
  if (!servesLlm) return;
  const catchAll = routes.find(
    ({ config }) =>
      (config.hostnames.length === 0 || config.hostnames.includes('*')) &&
      config.matches.some(
        ({ path, method, headers, query }) =>
          path.kind === 'prefix' && /^\/*$/.test(path.value) && method === undefined && headers.length + query.length === 0,
      ),
  );
  if (catchAll !== undefined)
    warn(
      'llm',
      `no request reaches these models: ${catchAll.yamlPath} takes every path of their gateway. Give the route a path, or llm another gateway`,
    );
}
