/** What the checks of the whole file share: where they report, and how they look at values that may be of any shape. */
import { nearestOf, type YamlPath } from './diagnostic.ts';

export interface CheckReport {
  error(path: YamlPath, message: string): void;
  warn(path: YamlPath, message: string): void;
}

export type Keys = Readonly<Record<string, unknown>>;

export function keysOf(value: unknown): Keys {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Keys) : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function namesOf(value: unknown): string[] {
  return typeof value === 'string' ? [value] : listOf(value).filter((name) => typeof name === 'string');
}

/** Names that stand twice in a list. An empty one is a missing one, which the schema reports. */
export function checkRepeated(path: YamlPath, names: readonly string[], report: CheckReport): void {
  const seen = new Set<string>();
  for (const [index, name] of names.entries()) {
    if (name !== '' && seen.has(name)) report.error([...path, index, 'name'], `the name "${name}" stands here twice`);
    seen.add(name);
  }
}

export function unknownName(what: string, name: string, known: readonly string[]): string {
  return `there is no ${what} named "${name}"${suggestion(name, known)}`;
}

export function suggestion(name: string, known: readonly string[]): string {
  const nearest = nearestOf(name, known);
  return nearest === undefined ? '' : `; did you mean "${nearest}"?`;
}
