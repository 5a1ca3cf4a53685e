/**
 * The configuration for people's eyes: as written, with the defaults that the schema fills in, and without what the schema
 * calls a secret. Not by names of keys: whoever adds a secret field has it masked here. One exception: values of headers that
 * carry credentials, which a file may set anywhere.
 */
import type * as z from 'zod';
import { isSecretField } from '../fields/secret.ts';
import { credentialHeaders } from '../observe/added-fields.ts';
import { configSchema } from './schema.ts';

export const mask = '<secret>';

/** A secret that also stands elsewhere, as in a header's value, is masked there when it is at least so long. */
const minSoughtLength = 6;

export interface Masking {
  /** As it may be shown. */
  readonly config: unknown;
  /** Any other text, without the secrets that the configuration holds. */
  text(text: string): string;
}

/** `written`: a configuration that the schema accepts. What stands in `alsoSecret` is masked wherever it stands. */
export function createMasking(
  written: unknown,
  alsoSecret: readonly string[] = [],
  schema: z.core.$ZodType = configSchema,
): Masking {
  const secrets = new Set(alsoSecret);
  const masked = show([schema], written, { secrets, ofUnknown: (value) => hidden(value, secrets) });
  const sought = [...secrets].filter((secret) => secret.length >= minSoughtLength).sort((a, b) => b.length - a.length);
  const text = (given: string) => withoutUserInfo(sought.reduce((left, secret) => left.replaceAll(secret, mask), given));
  return { config: mapTexts(masked, text), text };
}

/** `createMasking` for the configuration alone. */
export function maskedConfig(written: unknown, alsoSecret?: readonly string[], schema?: z.core.$ZodType): unknown {
  return createMasking(written, alsoSecret, schema).config;
}

/** As `maskedConfig`, for a file that the schema may not know in full: what is unknown is left out, and not called a secret. */
export function maskedWhereKnown(written: unknown): unknown {
  return show([configSchema], written, { secrets: new Set(), ofUnknown: () => undefined });
}

interface Showing {
  /** All that was masked. */
  readonly secrets: Set<string>;
  /** What is shown of that which the schema has no word for. */
  ofUnknown(value: unknown): unknown;
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

/** One thing that may stand at a place. */
interface Candidate {
  readonly definition: Definition;
  readonly isSecret: boolean;
}

/** What may stand at a place: the schema without the layers around it; a union gives several. */
function candidatesOf(schema: z.core.$ZodType, isWithinSecret = false): Candidate[] {
  const definition = definitionOf(schema);
  const isSecret = isWithinSecret || isSecretField(schema);
  const inner = innerOf(definition);
  return inner === undefined ? [{ definition, isSecret }] : inner.flatMap((one) => candidatesOf(one, isSecret));
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

/** Fields without a shape of their own, such as a key's metadata. */
const openTypes = new Set(['unknown', 'any', 'custom', 'transform']);

function fits({ definition: { type, shape, catchall } }: Candidate, value: unknown): boolean {
  if (openTypes.has(type)) return true;
  if (Array.isArray(value)) return type === 'array' || type === 'tuple';
  if (typeof value !== 'object' || value === null) return !['array', 'tuple', 'object', 'record'].includes(type);
  if (shape === undefined) return type === 'record';
  const isLoose = catchall !== undefined && definitionOf(catchall).type !== 'never';
  return isLoose || Object.keys(value).every((name) => name in shape);
}

/** An object with a member too many is still the one that can be meant, if there is one only. */
function fittingOf(candidates: readonly Candidate[], value: unknown): readonly Candidate[] {
  const fitting = candidates.filter((candidate) => fits(candidate, value));
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (fitting.length > 0 || !isObject) return fitting;
  const objects = candidates.filter(({ definition }) => definition.shape !== undefined);
  return objects.length === 1 ? objects : [];
}

/** Where several may be meant, one that is secret is believed: too little is shown rather than too much. */
function show(schemas: readonly z.core.$ZodType[], value: unknown, showing: Showing): unknown {
  const fitting = fittingOf(
    schemas.flatMap((schema) => candidatesOf(schema)),
    value,
  );
  if (value === null || value === undefined) return value;
  if (fitting.some(({ isSecret }) => isSecret)) return hidden(value, showing.secrets);
  if (fitting.length === 0) return showing.ofUnknown(value);
  const plain = fitting.map(({ definition }) => definition);
  const rest = plain.some(({ type }) => openTypes.has(type)) ? [anything] : [];
  if (Array.isArray(value)) {
    return value.map((item, index) =>
      show([...plain.flatMap(({ element, items }) => element ?? items?.[index] ?? []), ...rest], item, showing),
    );
  }
  return typeof value === 'object' ? showObject(plain, value, rest, showing) : value;
}

const anything = { _zod: { def: { type: 'unknown' } } } as unknown as z.core.$ZodType;

/** What further headers with credentials are called: `x-goog-api-key`, `x-auth-token`. Keys of the YAML have no dashes. */
const credentialName = /-(?:key|token|secret|password|auth|credential)s?$/i;

function showObject(plain: readonly Definition[], value: object, rest: readonly z.core.$ZodType[], showing: Showing): object {
  const shown: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    const schemas = plain.flatMap(({ shape, valueType, catchall }) => shape?.[name] ?? valueType ?? catchall ?? []);
    const isCredential = typeof member === 'string' && credentialHeaders.has(name.toLowerCase());
    if (isCredential) shown[name] = hidden(member, showing.secrets);
    else if (typeof member === 'string' && credentialName.test(name)) shown[name] = mask;
    else shown[name] = show([...schemas, ...rest], member, showing);
  }
  for (const [name, given] of defaultsOf(plain, value)) shown[name] = given;
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
  if (definition.type === 'prefault') return maskedConfig(definition.defaultValue, [], definition.innerType);
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
