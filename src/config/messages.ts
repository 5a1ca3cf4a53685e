/** zod's issues in plain words. */
import type * as z from 'zod';
import { nearestOf, type YamlPath } from './diagnostic.ts';
import type { ForeignKind } from './foreign-keys.ts';
import { refusalOf } from './known-keys.ts';
import { placesOf } from './policy-map.ts';
import { keysAt } from './schema-walk.ts';

const typeWords: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'keys and values',
  record: 'keys and values',
};

/** For `safeParse({error})`: the words for issues whose schema has none of its own. */
export function wordsOf(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'invalid_type') {
    const expected = typeWords[issue.expected] ?? issue.expected;
    const given = givenWord(issue.input);
    return given === undefined || given === expected ? `expected ${expected}` : `expected ${expected}, not ${given}`;
  }
  if (issue.code === 'invalid_value') return choiceOf(issue.values.map(String), issue.input);
  if (issue.code === 'too_small') return `expected ${amountOf(issue.origin, 'at least', issue.minimum)}`;
  if (issue.code === 'too_big') return `expected ${amountOf(issue.origin, 'at most', issue.maximum)}`;
  return undefined;
}

function givenWord(input: unknown): string | undefined {
  if (input === undefined || input === null) return undefined;
  if (Array.isArray(input)) return 'a list';
  return typeWords[typeof input];
}

function choiceOf(values: readonly string[], input: unknown): string {
  const nearest = typeof input === 'string' ? nearestOf(input, values) : undefined;
  return `expected one of ${values.map((value) => `"${value}"`).join(', ')}${nearest === undefined ? '' : `; did you mean "${nearest}"?`}`;
}

function amountOf(origin: string, relation: string, amount: number | bigint): string {
  if (origin === 'string') return Number(amount) === 1 ? 'a text that is not empty' : `${relation} ${amount} characters`;
  return origin === 'array' || origin === 'set' ? `${relation} ${amount} entries` : `${relation} ${amount}`;
}

/** One thing that is wrong, at its own path. */
export interface Finding {
  readonly path: YamlPath;
  readonly message: string;
  /** `key`: the key itself is wrong, not its value. */
  readonly about: 'key' | 'value';
  /** True: the key means something, only not here or not yet. */
  readonly isRefused?: boolean;
  /** What the key is to agentgateway, where `--ignore-unsupported` may pass over it. */
  readonly foreign?: ForeignKind | undefined;
  /** A key that was probably meant where an unknown one stands. */
  readonly meant?: string | undefined;
  /** True when a text was expected. */
  readonly wantsText?: boolean;
}

/** All issues as findings, unions resolved, what merely follows from another finding left out. */
export function findingsOf(
  root: z.core.$ZodType,
  issues: readonly z.core.$ZodIssue[],
  valueAt: (path: YamlPath) => unknown,
): Finding[] {
  const findings = issues.flatMap((issue) => flatten(root, issue, [], valueAt));
  const meant = new Set(
    findings.flatMap(({ path, meant: key }) => (key === undefined ? [] : [keyOf([...path.slice(0, -1), key])])),
  );
  const withRefusedKeys = new Set(
    findings.flatMap(({ path, isRefused }) => (isRefused === true ? [keyOf(path.slice(0, -1))] : [])),
  );
  const withUnknownKeys = new Set(findings.flatMap(({ path, about }) => (about === 'key' ? [keyOf(path.slice(0, -1))] : [])));
  return findings.filter(({ path, about }) => {
    if (about === 'key') return true;
    // `prt: 3000` is one mistake, not an unknown key and a missing one; `{openai: {}}` is not also "no provider"; and
    // who writes `auth: {gcp: …}` does not also forget the key.
    const isMissing = valueAt(path) === undefined;
    const isExplained = meant.has(keyOf(path)) || withRefusedKeys.has(keyOf(path.slice(0, -1)));
    return !(isMissing && isExplained) && !withUnknownKeys.has(keyOf(path));
  });
}

function keyOf(path: YamlPath): string {
  return JSON.stringify(path);
}

function flatten(
  root: z.core.$ZodType,
  issue: z.core.$ZodIssue,
  before: YamlPath,
  valueAt: (path: YamlPath) => unknown,
): Finding[] {
  const path: YamlPath = [...before, ...issue.path.filter((step): step is string | number => typeof step !== 'symbol')];
  // As many as are ever shown; in the order of the file.
  if (issue.code === 'unrecognized_keys') return issue.keys.slice(0, 100).map((key) => unknownKey(root, path, key));
  if (issue.code === 'invalid_union') return flattenUnion(root, issue, path, valueAt);
  if ((issue.code === 'invalid_key' || issue.code === 'invalid_element') && issue.issues.length > 0) {
    return issue.issues.flatMap((inner) => flatten(root, { ...inner, path: [] }, path, valueAt));
  }
  if (issue.code === 'invalid_type' && issue.expected === 'never')
    return [{ path, message: issue.message, about: 'key', isRefused: true }];
  const wantsText = issue.code === 'invalid_type' && issue.expected === 'string';
  return [{ path, message: withState(issue.message, valueAt(path)), about: 'value', wantsText }];
}

/** A union answers with the complaints of the form that was meant, or with its own words when that cannot be told. */
function flattenUnion(
  root: z.core.$ZodType,
  issue: z.core.$ZodIssueInvalidUnion,
  path: YamlPath,
  valueAt: (path: YamlPath) => unknown,
): Finding[] {
  const value = valueAt(path);
  const fitting = issue.errors.filter((branch) => !branch.some((inner) => isWrongType(inner, value)));
  // The form that was meant is the one that knows all the keys that are there.
  const knowing = fitting.filter(
    (branch) => !branch.some(({ code, path: at }) => code === 'unrecognized_keys' && at.length === 0),
  );
  const [only] = knowing.length === 1 ? knowing : fitting;
  if (only !== undefined && (fitting.length === 1 || knowing.length === 1))
    return only.flatMap((inner) => flatten(root, inner, path, valueAt));
  const unknown = (only ?? []).flatMap((inner) => (inner.code === 'unrecognized_keys' ? inner.keys : []));
  const shared = unknown.filter((key) =>
    fitting.every((branch) => branch.some((inner) => inner.code === 'unrecognized_keys' && inner.keys.includes(key))),
  );
  if (shared.length > 0) return shared.map((key) => unknownKey(root, path, key));
  const wantsText = issue.errors.some((branch) =>
    branch.some((inner) => inner.code === 'invalid_type' && inner.expected === 'string' && inner.path.length === 0),
  );
  const message = issue.message === 'Invalid input' ? 'this form is not known here' : issue.message;
  return [{ path, message: withState(message, value), about: 'value', wantsText }];
}

/** `value` is what the issue is about when its path is empty. A choice among words is about texts. */
function isWrongType(issue: z.core.$ZodIssue, value: unknown): boolean {
  if (issue.path.length > 0) return false;
  if (issue.code === 'invalid_type') return true;
  if (issue.code === 'invalid_value') return typeof value !== 'string';
  return issue.code === 'invalid_union' && issue.errors.every((branch) => branch.some((inner) => isWrongType(inner, value)));
}

function withState(message: string, value: unknown): string {
  if (value === undefined) return `missing; ${message}`;
  return value === null ? `empty; ${message}` : message;
}

function unknownKey(root: z.core.$ZodType, path: YamlPath, key: string): Finding {
  const whole = [...path, key];
  const refusal = refusalOf(path, key);
  if (refusal !== undefined)
    return { path: whole, message: refusal.message, about: 'key', isRefused: true, foreign: refusal.kind };
  const known = keysAt(root, path);
  if (known.includes('policies') && placesOf(key) !== undefined) {
    return { path: whole, message: 'this is a policy; it stands below "policies"', about: 'key', isRefused: true };
  }
  const meant = nearestOf(key, known);
  const hint = meant === undefined ? `known here: ${known.slice(0, 30).join(', ')}` : `did you mean "${meant}"?`;
  return { path: whole, message: known.length === 0 ? 'unknown key' : `unknown key; ${hint}`, about: 'key', meant };
}
