/** What a reload changed, in names: for one line of the log. Nothing secret has a name. */
import type { Plan } from '../compile/plan.ts';

/** So many names of each kind at most. */
const shownNames = 8;

/** `routes +chat -old` for each kind that changed; empty when only details did. */
export function changesBetween(before: Plan, after: Plan): readonly string[] {
  const kinds: readonly [string, (plan: Plan) => readonly string[]][] = [
    ['ports', ({ binds }) => binds.map(({ port }) => String(port))],
    ['listeners', listenerNames],
    ['routes', routeNames],
    ['boxes', ({ upstreams }) => upstreams.filter(({ kind }) => kind === 'box').map(({ name }) => name)],
    ['other upstreams', ({ upstreams }) => upstreams.filter(({ kind }) => kind !== 'box').map(({ name }) => name)],
  ];
  const named = kinds.flatMap(([kind, namesOf]) => {
    const [old, fresh] = [new Set(namesOf(before)), new Set(namesOf(after))];
    const added = [...fresh].filter((name) => !old.has(name)).map((name) => `+${name}`);
    const removed = [...old].filter((name) => !fresh.has(name)).map((name) => `-${name}`);
    const names = [...added, ...removed];
    if (names.length === 0) return [];
    const rest = names.length - shownNames;
    return [`${kind} ${names.slice(0, shownNames).join(' ')}${rest > 0 ? ` and ${rest} more` : ''}`];
  });
  const renewed = after.binds.filter(({ port, tls }) => {
    const old = before.binds.find((bind) => bind.port === port);
    return tls !== undefined && old?.tls !== undefined && JSON.stringify(tls) !== JSON.stringify(old.tls);
  });
  if (renewed.length === 0) return named;
  return [...named, `certificates or TLS settings of port ${renewed.map(({ port }) => port).join(', ')}`];
}

function listenerNames({ binds }: Plan): readonly string[] {
  return binds.flatMap(({ listeners }) => listeners.map(({ gatewayName, name }) => `${gatewayName}/${name}`));
}

function routeNames({ binds }: Plan): readonly string[] {
  return binds.flatMap(({ listeners }) =>
    listeners.flatMap(({ gatewayName, name, entries }) => entries.map(({ route }) => `${gatewayName}/${name}/${route.name}`)),
  );
}
