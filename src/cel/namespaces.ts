/** Functions that are called by a qualified name, `base64.encode(x)`: to cel-js, methods of a constant. */
import type { Environment } from '@marcbachmann/cel-js';

// biome-ignore lint/suspicious/noExplicitAny: cel-js hands over what the signature says, which TypeScript cannot read
type Handler = (...args: any[]) => unknown;

/** Pure functions never wait, and cel-js is quicker when it knows. */
export const sync = { async: false };

/** Registers `functions` (signature without the namespace → what it does) under `name`. */
export function registerNamespace(environment: Environment, name: string, functions: Readonly<Record<string, Handler>>): void {
  const type = `${name}Functions`;
  const Namespace = class {};
  environment.registerType(type, Namespace);
  environment.registerConstant(name, type, new Namespace());
  // A method gets its receiver first.
  for (const [signature, run] of Object.entries(functions)) {
    environment.registerFunction(`${type}.${signature}`, (_: unknown, ...args: unknown[]) => run(...args), sync);
  }
}
