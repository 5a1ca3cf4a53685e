/** Looks into a zod schema: which keys may stand at a path of the YAML. */
import type * as z from 'zod';
import type { YamlPath } from './diagnostic.ts';

/** What is read of a zod definition; zod documents these for libraries (`schema.def`). */
interface Definition {
  readonly type: string;
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>;
  readonly element?: z.core.$ZodType;
  readonly valueType?: z.core.$ZodType;
  readonly innerType?: z.core.$ZodType;
  readonly in?: z.core.$ZodType;
  readonly options?: readonly z.core.$ZodType[];
}

function definitionOf(schema: z.core.$ZodType): Definition {
  return schema._zod.def as unknown as Definition;
}

/** The schema without the layers that say optional, default, transformed. A union gives several. */
function plainSchemasOf(schema: z.core.$ZodType): z.core.$ZodType[] {
  const definition = definitionOf(schema);
  const inner = definition.innerType ?? definition.in;
  if (inner !== undefined) return plainSchemasOf(inner);
  return definition.options === undefined ? [schema] : definition.options.flatMap(plainSchemasOf);
}

/** The keys that an object at the path may have, without those that are there to be refused. */
export function keysAt(root: z.core.$ZodType, path: YamlPath): string[] {
  let schemas = plainSchemasOf(root);
  for (const step of path) schemas = schemas.flatMap((schema) => childrenOf(schema, step)).flatMap(plainSchemasOf);
  return [...new Set(schemas.flatMap((schema) => keysOf(schema)))];
}

function childrenOf(schema: z.core.$ZodType, step: string | number): z.core.$ZodType[] {
  const { shape, element, valueType } = definitionOf(schema);
  const child = typeof step === 'number' ? element : (shape?.[step] ?? valueType);
  return child === undefined ? [] : [child];
}

function keysOf(schema: z.core.$ZodType): string[] {
  const shape = definitionOf(schema).shape ?? {};
  return Object.keys(shape).filter((key) => {
    const member = shape[key];
    return member !== undefined && plainSchemasOf(member).some((plain) => definitionOf(plain).type !== 'never');
  });
}
