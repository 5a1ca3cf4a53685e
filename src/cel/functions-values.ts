/** What looks into maps and lists, and what makes something of nothing. */
import type { Environment } from '@marcbachmann/cel-js';
import { currentScene, spendItems, spendWork } from './evaluation.ts';
import { CelFailure, CelMissing, type Redacted } from './expression.ts';
import { Flattened } from './flattened.ts';
import type { HeaderView } from './header-view.ts';
import { sync } from './namespaces.ts';
import { entriesOf } from './values.ts';
import { variables } from './variables.ts';
import { View } from './views.ts';

export function registerValues(environment: Environment): void {
  // For whoever compiles an expression, put around what comprehensions walk through.
  environment.registerFunction('counted(dyn): dyn', counted, sync);
  environment.registerFunction('dyn.merge(dyn): map', merge, sync);
  environment.registerFunction(
    'list.contains(dyn): bool',
    (list: unknown[], item: unknown) => list.some((each) => isSame(each, item)),
    sync,
  );
  environment.registerFunction(
    'map.contains(string): bool',
    (map: object, name: string) => entriesOf(map).some(([key]) => key === name),
    sync,
  );
  environment.registerFunction('flatten(dyn): Flattened', (value: unknown) => new Flattened(value, false), sync);
  for (const name of ['flattenRecursive', 'flatten_recursive']) {
    environment.registerFunction(`${name}(dyn): Flattened`, (value: unknown) => new Flattened(value, true), sync);
  }
  environment.registerFunction('Redacted.unredacted(): string', (secret: Redacted) => secret.reveal(), sync);
  environment.registerFunction('random(): double', () => Math.random(), sync);
  environment.registerFunction('uuid(): string', () => crypto.randomUUID(), sync);
  environment.registerFunction('fail(): dyn', () => fail(), sync);
  environment.registerFunction('fail(string): dyn', () => fail(), sync);
  environment.registerFunction('variables(): map', everything, sync);
  registerViews(environment);
}

function registerViews(environment: Environment): void {
  for (const type of ['View', 'Headers']) {
    environment.registerOperator(`string in ${type}`, (name: string, view: Map<string, unknown>) => view.has(name));
    environment.registerFunction(`size(${type}): int`, (view: Map<string, unknown>) => BigInt(view.size), sync);
    environment.registerFunction(`${type}.size(): int`, (view: Map<string, unknown>) => BigInt(view.size), sync);
    environment.registerFunction(
      `${type}.contains(string): bool`,
      (view: Map<string, unknown>, name: string) => view.has(name),
      sync,
    );
  }
  environment.registerFunction('Headers.redacted(): Headers', (headers: HeaderView) => headers.redacted(), sync);
  environment.registerFunction('Headers.join(): Headers', (headers: HeaderView) => headers.as('joined'), sync);
  environment.registerFunction('Headers.raw(): Headers', (headers: HeaderView) => headers.as('raw'), sync);
  // By both names: the one that is written, and the one that texts' `split` gets.
  for (const name of ['split', 'splitText']) {
    environment.registerFunction(`Headers.${name}(): Headers`, (headers: HeaderView) => headers.as('split'), sync);
  }
  environment.registerFunction(
    'Headers.cookie(string): string',
    (headers: HeaderView, name: string) => {
      const value = headers.cookie(name);
      if (value === undefined) throw new CelMissing('there is no such cookie');
      return value;
    },
    sync,
  );
}

function counted(value: unknown): unknown {
  if (Array.isArray(value)) spendItems(value.length);
  else if (value instanceof Map) spendItems(value.size);
  else if (typeof value === 'object' && value !== null) spendItems(Object.keys(value).length);
  return value;
}

function merge(first: unknown, second: unknown): Map<unknown, unknown> {
  const entries = [...entriesOf(first), ...entriesOf(second)];
  spendWork(entries.length);
  return new Map(entries);
}

/** Texts, numbers and bools by value; an int is the double of the same size. */
function isSame(first: unknown, second: unknown): boolean {
  // biome-ignore lint/suspicious/noDoubleEquals: 1n == 1 is what CEL says, and neither side is text
  return first === second || (isNumber(first) && isNumber(second) && first == second);
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}

/** Without the reason: it may hold values of the request, and a failure's words go to the log. */
function fail(): never {
  throw new CelFailure('fail() was called');
}

function everything(): Map<string, unknown> {
  const scene = currentScene();
  const found = new Map<string, unknown>();
  for (const [name, variable] of variables) {
    const value = variable?.(scene);
    if (value !== undefined) found.set(name, value instanceof View ? new Map(value) : value);
  }
  return found;
}
