/** Every key of the configuration's grammar, by the part of the JSON Schema that it belongs to: `retryPolicy.codes`, `bind.port`. */
import type { JsonSchema } from '../../src/config/json-schema.ts';

/** All keys that may be written; those that are there to be refused are left out. */
export function keysOf(schema: JsonSchema): ReadonlySet<string> {
  const keys = new Set<string>();
  const list = (part: JsonSchema, path: string): void => {
    if (referenceOf(part) !== undefined) return;
    for (const [name, member] of Object.entries(part.properties ?? {})) {
      if (isRefused(member)) continue;
      keys.add(below(path, name));
      list(member, below(path, name));
    }
    if (part.items !== undefined) list(part.items, `${path}[]`);
    if (typeof part.additionalProperties === 'object') list(part.additionalProperties, below(path, '*'));
    for (const form of part.anyOf ?? []) list(form, path);
  };
  list(schema, '');
  for (const [name, definition] of Object.entries(schema.definitions ?? {})) list(definition, name);
  return keys;
}

/** The keys that a configuration makes use of. */
export function keysIn(value: unknown, schema: JsonSchema): ReadonlySet<string> {
  const keys = new Set<string>();
  const walk = (part: JsonSchema, given: unknown, path: string): void => {
    const reference = referenceOf(part);
    if (reference !== undefined) {
      walk(schema.definitions?.[reference] ?? {}, given, reference);
      return;
    }
    for (const form of part.anyOf ?? []) walk(form, given, path);
    if (Array.isArray(given)) {
      for (const item of given) walk(part.items ?? {}, item, `${path}[]`);
      return;
    }
    if (typeof given !== 'object' || given === null) return;
    for (const [name, member] of Object.entries(given)) {
      const known = part.properties?.[name];
      if (known !== undefined) {
        keys.add(below(path, name));
        walk(known, member, below(path, name));
      } else if (typeof part.additionalProperties === 'object') walk(part.additionalProperties, member, below(path, '*'));
    }
  };
  walk(schema, value, '');
  return keys;
}

function referenceOf(schema: JsonSchema): string | undefined {
  return (schema.$ref ?? schema.allOf?.[0]?.$ref)?.replace('#/definitions/', '');
}

function isRefused({ not, type }: JsonSchema): boolean {
  return not !== undefined || type === 'null';
}

function below(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
