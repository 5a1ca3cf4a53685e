/**
 * The configuration for people's eyes: as written, with the defaults that the schema fills in, and without what the schema
 * calls a secret. Not by names of keys: whoever adds a secret field has it masked here.
 */
import type * as z from 'zod';
import { isSecretField } from '../fields/secret.ts';
import { configSchema } from './schema.ts';

export const mask = '<secret>';

/** A secret that also stands elsewhere, as in a header's value, is masked there when it is at least so long. */
const minSoughtLength = 6;

/** `written`: a configuration that the schema accepts. What stands in `alsoSecret` is masked wherever it stands. */
export function maskedConfig(
  written: unknown,
  alsoSecret: readonly string[] = [],
  schema: z.core.$ZodType = configSchema,
): unknown {
  const secrets = new Set(alsoSecret);
  const masked = show([schema], written, secrets);
  const sought = [...secrets].filter((secret) => secret.length >= minSoughtLength).sort((a, b) => b.length - a.length);
  return mapTexts(masked, (text) => withoutUserInfo(sought.reduce((left, secret) => left.replaceAll(secret, mask), text)));
}

interface Definition {
  readonly type: string;
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>;
  readonly element?: z.core.$ZodType;
  readonly items?: readonly z.core.$ZodType[];
  readonly valueType?: z.core.$ZodType;
  readonly catchall?: z.core.$ZodType;
  readonly innerType?: z.core.$ZodType;
  readonly in?: z.core.$ZodType;
  readonly out?: z.core.$ZodType;
  readonly options?: readonly z.core.$ZodType[];
  readonly left?: z.core.$ZodType;
  readonly right?: z.core.$ZodType;
  readonly getter?: () => z.core.$ZodType;
}

function definitionOf(schema: z.core.$ZodType): Definition {
  return schema._zod.def as unknown as Definition;
}

interface Unwrapped {
  readonly plain: readonly Definition[];
  readonly isSecret: boolean;
}

/** What may stand at a place: the schema without the layers around it; a union gives several. */
function unwrapped(schema: z.core.$ZodType): Unwrapped {
  const definition = definitionOf(schema);
  const inner = innerOf(definition);
  const isSecret = isSecretField(schema);
  if (inner === undefined) return { plain: [definition], isSecret };
  const all = inner.map(unwrapped);
  return { plain: all.flatMap(({ plain }) => plain), isSecret: isSecret || all.some((one) => one.isSecret) };
}

function innerOf(definition: Definition): readonly z.core.$ZodType[] | undefined {
  const { innerType, in: input, out: output, options, left, right, getter } = definition;
  if (innerType !== undefined) return [innerType];
  if (getter !== undefined) return [getter()];
  if (left !== undefined && right !== undefined) return [left, right];
  // `preprocess` is a pipe that begins with a transform; what may be written is what it leads to.
  if (input !== undefined && output !== undefined) return [definitionOf(input).type === 'transform' ? output : input];
  return options;
}

/** Where several schemas may be meant, one that says secret is believed: too little is shown rather than too much. */
function show(schemas: readonly z.core.$ZodType[], value: unknown, secrets: Set<string>): unknown {
  const all = schemas.map(unwrapped);
  if (all.some(({ isSecret }) => isSecret)) return hidden(value, secrets);
  const plain = all.flatMap((one) => one.plain);
  if (Array.isArray(value)) return value.map((item, index) => show(itemSchemas(plain, index), item, secrets));
  if (typeof value === 'object' && value !== null) return showObject(plain, value, secrets);
  return plain.length === 0 ? mask : value;
}

const isOpen = ({ type }: Definition) => type === 'unknown' || type === 'any' || type === 'custom';

/** Stands for whatever a field without a shape of its own may hold. */
function openSchemas(plain: readonly Definition[], schemas: readonly z.core.$ZodType[]): readonly z.core.$ZodType[] {
  return plain.some(isOpen) ? [...schemas, anything] : schemas;
}

const anything = { _zod: { def: { type: 'unknown' } } } as unknown as z.core.$ZodType;

function itemSchemas(plain: readonly Definition[], index: number): readonly z.core.$ZodType[] {
  return openSchemas(
    plain,
    plain.flatMap(({ element, items }) => element ?? items?.[index] ?? []),
  );
}

function showObject(plain: readonly Definition[], value: object, secrets: Set<string>): object {
  const shown: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    const schemas = plain.flatMap(({ shape, valueType, catchall }) => shape?.[name] ?? valueType ?? catchall ?? []);
    shown[name] = show(openSchemas(plain, schemas), member, secrets);
  }
  for (const [name, schema] of defaultsOf(plain, value)) shown[name] = schema;
  return shown;
}

/** What the schema fills in, where only one object can be meant. */
function defaultsOf(plain: readonly Definition[], value: object): [string, unknown][] {
  const shapes = plain.flatMap(({ shape }) => (shape === undefined ? [] : [shape]));
  const [shape] = shapes;
  if (shape === undefined || shapes.length > 1) return [];
  return Object.entries(shape).flatMap(([name, schema]): [string, unknown][] => {
    const given = name in value ? undefined : defaultOf(schema);
    return given === undefined ? [] : [[name, given]];
  });
}

function defaultOf(schema: z.core.$ZodType): unknown {
  const definition = definitionOf(schema) as Definition & { readonly defaultValue?: unknown };
  if (definition.innerType === undefined) return undefined;
  if (definition.type === 'prefault') return show([definition.innerType], definition.defaultValue, new Set());
  if (definition.type === 'default') return isPlain(definition.defaultValue) ? definition.defaultValue : undefined;
  return definition.type === 'optional' ? undefined : defaultOf(definition.innerType);
}

function isPlain(value: unknown): boolean {
  return value === null || typeof value !== 'object' || Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
}

/** A path is no secret: `{file: path}` stays. All texts are remembered. */
function hidden(value: unknown, secrets: Set<string>): unknown {
  if (typeof value === 'string') {
    if (value.trim() !== '') secrets.add(value.trim());
    return mask;
  }
  if (typeof value !== 'object' || value === null) return value === undefined || value === null ? value : mask;
  if (Array.isArray(value)) return value.map((item) => hidden(item, secrets));
  const members = Object.entries(value);
  const [first] = members;
  if (members.length === 1 && first?.[0] === 'file') return value;
  return Object.fromEntries(members.map(([name, member]) => [name, hidden(member, secrets)]));
}

function mapTexts(value: unknown, edit: (text: string) => string): unknown {
  if (typeof value === 'string') return edit(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, edit));
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [edit(name), mapTexts(member, edit)]));
}

/** `http://user:password@host` */
function withoutUserInfo(text: string): string {
  return text.replace(/(\w:\/\/)[^/?#\s@]+@/g, `$1${mask}@`);
}
