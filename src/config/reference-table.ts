/** The tables of the reference: one row for each key of a JSON Schema, with its type in words. */
import type { JsonSchema } from './json-schema.ts';

export type Definitions = Readonly<Record<string, JsonSchema>>;

/** What a definition is called in the text: the link to its section. */
export type LinkTo = (definition: string) => string;

interface Row {
  readonly key: string;
  readonly schema: JsonSchema;
  readonly isRequired: boolean;
}

/** One table for all keys of the schema, and below it those that are there to be refused. */
export function tableOf(schema: JsonSchema, definitions: Definitions, linkTo: LinkTo): string {
  const rows = rowsOf(schema, '');
  const lines = rows
    .filter((row) => !isRefused(row))
    .map(
      (row) =>
        `| \`${row.key}\`${row.isRequired ? ' (required)' : ''} | ${typeOf(row.schema, linkTo)} | ${defaultOf(row.schema)} | ${aboutOf(row.schema, definitions)} |`,
    );
  const table = ['| Key | Type | Default | What it does |', '|---|---|---|---|', ...lines].join('\n');
  return [table, ...refusedText(rows.filter(isRefused))].join('\n\n');
}

/** Nothing may stand there, or nothing but null. */
function isRefused({ schema }: Row): boolean {
  return schema.not !== undefined || schema.type === 'null';
}

/** Keys that share a reason share a line. */
function refusedText(rows: readonly Row[]): string[] {
  const keysOf = new Map<string, string[]>();
  for (const { key, schema } of rows) {
    const reason = (schema.description ?? '').replace(/^Refused(?: here)?: (?:known to agentgateway, not supported(?:: )?)?/, '');
    keysOf.set(reason, [...(keysOf.get(reason) ?? []), `\`${key}\``]);
  }
  if (keysOf.size === 0) return [];
  return [
    'Known to agentgateway and refused here:',
    [...keysOf].map(([reason, keys]) => `- ${keys.join(', ')}: ${reason}`).join('\n'),
  ];
}

/** A row for each key, and rows for the keys of objects and lists that have no section of their own. */
function rowsOf(schema: JsonSchema, path: string): Row[] {
  const below = (name: string) => (path === '' ? name : `${path}.${name}`);
  const required = new Set(schema.required);
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, member]) => {
    return [{ key: below(name), schema: member, isRequired: required.has(name) }, ...rowsOf(member, below(name))];
  });
  const listed = schema.items === undefined ? [] : rowsOf(schema.items, `${path}[]`);
  const named = typeof schema.additionalProperties === 'object' ? rowsOf(schema.additionalProperties, below('NAME')) : [];
  // What one of several forms asks for is not asked for as such.
  const forms = (schema.anyOf ?? []).flatMap((form) => rowsOf({ ...form, required: [] }, path));
  return [...own, ...listed, ...named, ...forms];
}

/** The type in words, with a link where it has a section. */
export function typeOf(schema: JsonSchema, linkTo: LinkTo): string {
  const reference = referenceOf(schema);
  if (reference !== undefined) return linkTo(reference);
  if (schema.title !== undefined) return schema.title;
  if (schema.const !== undefined) return valueText(schema.const);
  if (schema.enum !== undefined) return schema.enum.map(valueText).join(', ');
  if (schema.anyOf !== undefined) {
    const types = schema.anyOf
      .filter(({ type, const: only }) => type !== 'null' && only !== '')
      .map((form) => typeOf(form, linkTo));
    return [...new Set(types)].join(' or ');
  }
  if (schema.type === 'array') return `list of ${typeOf(schema.items ?? {}, linkTo)}`;
  if (schema.type === 'object' && schema.properties !== undefined) return `{${keysText(schema.properties)}}`;
  if (schema.type === 'object' && typeof schema.additionalProperties === 'object')
    return `names with ${typeOf(schema.additionalProperties, linkTo)}`;
  return (
    [schema.type ?? []]
      .flat()
      .filter((type) => type !== 'null')
      .map(wordFor)
      .join(' or ') || 'anything'
  );
}

function keysText(properties: Readonly<Record<string, JsonSchema>>): string {
  return Object.keys(properties)
    .filter((key) => properties[key]?.not === undefined)
    .join(', ');
}

function wordFor(type: string): string {
  const words: Readonly<Record<string, string>> = {
    string: 'text',
    integer: 'whole number',
    number: 'number',
    boolean: 'true or false',
  };
  return words[type] ?? 'anything';
}

function referenceOf(schema: JsonSchema): string | undefined {
  return (schema.$ref ?? schema.allOf?.[0]?.$ref)?.replace('#/definitions/', '');
}

function defaultOf(schema: JsonSchema): string {
  const isEmpty = ['{}', '[]', '[{}]'].includes(JSON.stringify(schema.default));
  return schema.default === undefined || isEmpty ? '' : valueText(schema.default);
}

function aboutOf(schema: JsonSchema, definitions: Definitions): string {
  const reference = referenceOf(schema);
  const about = schema.description ?? (reference === undefined ? undefined : definitions[reference]?.description) ?? '';
  const example = schema.examples?.[0];
  return `${about}${example === undefined ? '' : ` Example: ${valueText(example)}`}`.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

/** A value as it is written in YAML, on one line. */
export function valueText(value: unknown): string {
  if (value === '') return '`""`';
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}
