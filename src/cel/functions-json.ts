/** `json`, `toJson`. */
import type { Environment } from '@marcbachmann/cel-js';
import type { HeaderView } from './header-view.ts';
import { celValueOfJson, plainOf } from './values.ts';
import type { View } from './views.ts';

const sync = { async: false };
const decoder = new TextDecoder();

export function registerJson(environment: Environment): void {
  environment.registerFunction('json(string): dyn', (text: string) => celValueOfJson(text), sync);
  environment.registerFunction('json(bytes): dyn', (bytes: Uint8Array) => celValueOfJson(decoder.decode(bytes)), sync);
  environment.registerFunction('toJson(dyn): string', (value: unknown) => JSON.stringify(plainOf(value)), sync);
  for (const type of ['View', 'Headers']) {
    environment.registerOperator(`string in ${type}`, (name: string, view: View | HeaderView) => view.has(name));
    environment.registerFunction(`size(${type}): int`, (view: View | HeaderView) => BigInt(view.size), sync);
    environment.registerFunction(`${type}.size(): int`, (view: View | HeaderView) => BigInt(view.size), sync);
  }
}
