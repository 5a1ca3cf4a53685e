/** What a route asks of a request, and how it is checked. Semantics are agentgateway's (crates/agentgateway/src/http/route.rs). */
import type { Exchange } from '../exchange.ts';
import type { TextPattern } from '../fields/regex.ts';

export interface PathRule {
  readonly kind: 'exact' | 'prefix' | 'regex';
  /** As written; its length takes part in precedence. A prefix has no trailing slash (`/` is the empty string). */
  readonly value: string;
  /** Covers the whole path; only for `regex`. */
  readonly regex: TextPattern | undefined;
}

/** One header or query parameter that must have a value. */
export interface ValueRule {
  readonly name: string;
  matches(value: string): boolean;
}

/** All of a rule's parts must hold. */
export interface MatchRule {
  readonly path: PathRule;
  readonly method: string | undefined;
  readonly headers: readonly ValueRule[];
  readonly query: readonly ValueRule[];
}

export function ruleHolds(rule: MatchRule, exchange: Exchange): boolean {
  return (
    pathHolds(rule.path, exchange.path) &&
    (rule.method === undefined || rule.method === exchange.method) &&
    headersHold(rule.headers, exchange) &&
    (rule.query.length === 0 || queryHolds(rule.query, exchange.query))
  );
}

export function headersHold(rules: readonly ValueRule[], exchange: Exchange): boolean {
  return rules.every((rule) => headerHolds(rule, exchange));
}

function pathHolds(rule: PathRule, path: string): boolean {
  if (rule.kind === 'exact') return path === rule.value;
  if (rule.kind === 'regex') return rule.regex?.test(path) ?? false;
  if (!path.startsWith(rule.value)) return false;
  // A prefix ends at a segment: /v1 takes /v1 and /v1/x, not /v1x.
  return path.length === rule.value.length || path.charCodeAt(rule.value.length) === 0x2f;
}

function headerHolds(rule: ValueRule, { request, headers, method, path, query, host }: Exchange): boolean {
  switch (rule.name) {
    case ':method':
      return rule.matches(method);
    case ':path':
      return rule.matches(path + query);
    case ':authority':
      return rule.matches(headers.get('host') ?? host);
    case ':scheme':
      return rule.matches(request.url.startsWith('https:') ? 'https' : 'http');
    default: {
      const value = headers.get(rule.name);
      if (value === null) return false;
      // Repeated headers arrive joined; any one of them may match, and so may a single value that holds a comma.
      return rule.matches(value) || (value.includes(', ') && value.split(', ').some((one) => rule.matches(one)));
    }
  }
}

function queryHolds(rules: readonly ValueRule[], query: string): boolean {
  const parameters = new URLSearchParams(query);
  return rules.every((rule) => parameters.getAll(rule.name).some((value) => rule.matches(value)));
}

/**
 * Which of two rules is asked first: exact paths, then longer paths (a regex counts by its source), then a method, then
 * more headers, then more query parameters. Equal rules keep their order: file order decides (agentgateway: by name).
 */
export function compareRules(first: MatchRule, second: MatchRule): number {
  return (
    Number(second.path.kind === 'exact') - Number(first.path.kind === 'exact') ||
    second.path.value.length - first.path.value.length ||
    Number(second.method !== undefined) - Number(first.method !== undefined) ||
    second.headers.length - first.headers.length ||
    second.query.length - first.query.length
  );
}
