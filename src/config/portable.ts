/**
 * `--portable`: what agentgateway itself would refuse, by the marks in the schema (`fields/portable.ts`), and what it would
 * take but do in a way that opens something.
 */
import type * as z from 'zod';
import { onlyHereOf } from '../fields/portable.ts';
import { keysOf, listOf } from './check-report.ts';
import { type YamlPath, yamlPathOf } from './diagnostic.ts';
import { configSchema } from './schema.ts';

export interface Remark {
  /** `binds[0].port` */
  readonly path: string;
  readonly message: string;
}

export interface Portability {
  /** agentgateway ends with an error. */
  readonly refused: readonly Remark[];
  /** agentgateway takes it and does something else. */
  readonly differs: readonly Remark[];
}

/** `written`: values that this schema has accepted. */
export function portabilityOf(written: unknown, schema: z.core.$ZodType = configSchema): Portability {
  const refused: Remark[] = [];
  walk([schema], written, [], refused);
  const differs: Remark[] = [];
  visit(written, [], (path, value) => differs.push(...differencesAt(path, value)));
  return { refused: [...new Map(refused.map((remark) => [JSON.stringify(remark), remark])).values()], differs };
}

interface Definition {
  readonly type: string;
  readonly shape?: Readonly<Record<string, z.core.$ZodType>>;
  readonly element?: z.core.$ZodType;
  readonly valueType?: z.core.$ZodType;
  readonly innerType?: z.core.$ZodType;
  readonly in?: z.core.$ZodType;
  readonly out?: z.core.$ZodType;
  readonly options?: readonly z.core.$ZodType[];
  readonly getter?: () => z.core.$ZodType;
}

function definitionOf(schema: z.core.$ZodType): Definition {
  return schema._zod.def as unknown as Definition;
}

/** The schema's layers, outermost first: a mark may stand on any of them. A union gives a way for each of its forms. */
function waysOf(schema: z.core.$ZodType): z.core.$ZodType[][] {
  const { innerType, in: input, out: output, options, getter } = definitionOf(schema);
  const inner =
    innerType ??
    getter?.() ??
    // `preprocess` begins with a transform; what may be written is what it leads to.
    (input === undefined ? undefined : definitionOf(input).type === 'transform' ? output : input);
  const below = inner !== undefined ? waysOf(inner) : options?.flatMap(waysOf);
  return below === undefined ? [[schema]] : below.map((way) => [schema, ...way]);
}

function fits(schema: z.core.$ZodType, value: unknown): boolean {
  const { type, shape } = definitionOf(schema);
  if (Array.isArray(value)) return type === 'array';
  if (typeof value === 'object' && value !== null)
    return shape === undefined ? type === 'record' : Object.keys(value).every((key) => key in shape);
  return type !== 'array' && type !== 'object' && type !== 'record';
}

function walk(schemas: readonly z.core.$ZodType[], value: unknown, path: YamlPath, refused: Remark[]): void {
  if (value === undefined || value === null) return;
  const fitting = schemas.flatMap(waysOf).filter((way) => fits(way.at(-1) as z.core.$ZodType, value));
  // One way without a mark is agentgateway's way.
  const reasons = fitting.map((way) => reasonIn(way, value, yamlPathOf(path)));
  const [reason] = reasons;
  if (reason !== undefined && reasons.every((one) => one !== undefined)) {
    refused.push({ path: yamlPathOf(path), message: reason });
    return;
  }
  const inner = fitting.map((way) => definitionOf(way.at(-1) as z.core.$ZodType));
  if (Array.isArray(value)) {
    const elements = inner.flatMap(({ element }) => element ?? []);
    for (const [index, item] of value.entries()) walk(elements, item, [...path, index], refused);
  } else if (typeof value === 'object') {
    for (const [key, member] of Object.entries(value)) {
      walk(
        inner.flatMap(({ shape, valueType }) => shape?.[key] ?? valueType ?? []),
        member,
        [...path, key],
        refused,
      );
    }
  }
}

function reasonIn(way: readonly z.core.$ZodType[], value: unknown, yamlPath: string): string | undefined {
  for (const layer of way) {
    const why = onlyHereOf(layer);
    const reason = typeof why === 'function' ? why(value, yamlPath) : why;
    if (reason !== undefined) return reason;
  }
  return undefined;
}

function visit(value: unknown, path: YamlPath, look: (path: YamlPath, value: unknown) => void): void {
  look(path, value);
  if (Array.isArray(value)) for (const [index, item] of value.entries()) visit(item, [...path, index], look);
  else for (const [key, member] of Object.entries(keysOf(value))) visit(member, [...path, key], look);
}

const locks = new Set(['apiKey', 'basicAuth', 'jwtAuth']);

/** What agentgateway takes and opens, or never does (agentgateway.md: defaults that this gateway does not share). */
function differencesAt(path: YamlPath, value: unknown): Remark[] {
  const last = path.at(-1);
  const keys = keysOf(value);
  const remark = (message: string, at: YamlPath = path): Remark[] => [{ path: yamlPathOf(at), message }];
  // `params.apiKey` is a credential, not a lock.
  if (typeof last === 'string' && locks.has(last) && typeof value === 'object' && keys.mode === undefined)
    return remark(`without "mode: strict" agentgateway lets requests in that show nothing: its default is optional`);
  if (last === 'groups' && listOf(value).length > 1)
    return remark(
      'agentgateway uses a later group only when a health policy with eviction and a retry are there: without them requests fail',
    );
  if (last === 'failover' && keys.targets !== undefined)
    return remark('agentgateway fails over with a later request only, and only with a health policy that evicts');
  if (last === 'openAI' && path.at(-2) === 'provider' && typeof keys.model === 'string')
    return remark('agentgateway replaces the model that clients ask for; here it is the default on boxes', [...path, 'model']);
  return [];
}
