/** Routes sorted once, looked up per request: by hostname bucket, then by precedence, the first rule that holds wins. */
import type { Exchange } from '../exchange.ts';
import { longestSuffixFirst, suffixHolds, suffixOf } from './hostnames.ts';
import { compareRules, type MatchRule, ruleHolds } from './rules.ts';

export interface RouteEntry<Route> {
  readonly route: Route;
  /** Lower case, exact or `*.suffix`; none means any host. */
  readonly hostnames: readonly string[];
  readonly rules: readonly MatchRule[];
}

export interface RouteMatch<Route> {
  readonly route: Route;
  /** The prefix that matched, without trailing slash, when the rule was a prefix rule. */
  readonly prefix: string | undefined;
}

export interface RouteTable<Route> {
  match(exchange: Exchange): RouteMatch<Route> | undefined;
}

interface Row<Route> extends RouteMatch<Route> {
  readonly rule: MatchRule;
}

export function createRouteTable<Route>(entries: readonly RouteEntry<Route>[]): RouteTable<Route> {
  const exact = new Map<string, Row<Route>[]>();
  const bySuffix = new Map<string, Row<Route>[]>();
  const anyHost: Row<Route>[] = [];
  for (const entry of entries) {
    const rows = entry.rules.map((rule) => rowOf(entry.route, rule));
    if (entry.hostnames.length === 0) anyHost.push(...rows);
    for (const hostname of entry.hostnames) {
      const suffix = suffixOf(hostname);
      if (suffix === '') anyHost.push(...rows);
      else if (suffix !== undefined) addTo(bySuffix, suffix, rows);
      else addTo(exact, hostname, rows);
    }
  }
  const sorted = (rows: Row<Route>[]) => rows.sort((first, second) => compareRules(first.rule, second.rule));
  for (const rows of exact.values()) sorted(rows);
  for (const rows of bySuffix.values()) sorted(rows);
  sorted(anyHost);
  const suffixes = [...bySuffix.keys()].sort(longestSuffixFirst);
  const hasHosts = exact.size + suffixes.length > 0;

  return {
    match(exchange) {
      if (hasHosts) {
        const named = firstThatHolds(exact.get(exchange.host), exchange);
        if (named !== undefined) return named;
        for (const suffix of suffixes) {
          if (!suffixHolds(suffix, exchange.host)) continue;
          const found = firstThatHolds(bySuffix.get(suffix), exchange);
          if (found !== undefined) return found;
        }
      }
      return firstThatHolds(anyHost, exchange);
    },
  };
}

function rowOf<Route>(route: Route, rule: MatchRule): Row<Route> {
  return { route, rule, prefix: rule.path.kind === 'prefix' ? rule.path.value : undefined };
}

function addTo<Key, Row>(buckets: Map<Key, Row[]>, key: Key, rows: readonly Row[]): void {
  const bucket = buckets.get(key);
  if (bucket === undefined) buckets.set(key, [...rows]);
  else bucket.push(...rows);
}

function firstThatHolds<Route>(rows: readonly Row<Route>[] | undefined, exchange: Exchange): Row<Route> | undefined {
  if (rows === undefined) return undefined;
  for (const row of rows) if (ruleHolds(row.rule, exchange)) return row;
  return undefined;
}
