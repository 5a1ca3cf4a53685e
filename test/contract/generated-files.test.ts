import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { phonePlansSource } from '../../scripts/phone-plans.ts';
import { configJsonSchema, type JsonSchema } from '../../src/config/json-schema.ts';
import { refusedKeys } from '../../src/config/known-keys.ts';
import { configReference } from '../../src/config/reference.ts';
import { policies } from '../../src/policies/index.ts';

const folder = new URL('../../config/', import.meta.url);

describe('generated files are fresh (npm run generate)', () => {
  it('config/schema.json', () => {
    expect(readFileSync(new URL('schema.json', folder), 'utf8')).toBe(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  });

  it('config/reference.md', () => {
    expect(readFileSync(new URL('reference.md', folder), 'utf8')).toBe(configReference());
  });

  it('src/policies/guards/phone-plans.ts', () => {
    const file = new URL('../src/policies/guards/phone-plans.ts', folder);
    expect(readFileSync(file, 'utf8')).toBe(phonePlansSource());
  });
});

/** Every key of the schema, with its path. */
function keysOf(schema: JsonSchema, path: string): { path: string; member: JsonSchema }[] {
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, member]) => [
    { path: `${path}.${name}`, member },
    ...keysOf(member, `${path}.${name}`),
  ]);
  const forms = [...(schema.anyOf ?? []), ...(schema.items === undefined ? [] : [schema.items])];
  return [...own, ...forms.flatMap((form) => keysOf(form, path))];
}

describe('the reference', () => {
  const schema = configJsonSchema();
  const { definitions = {} } = schema;
  const text = configReference();
  const all = [...keysOf(schema, ''), ...Object.entries(definitions).flatMap(([name, definition]) => keysOf(definition, name))];

  it('describes every key', () => {
    const bare = all.filter(({ member }) => {
      const reference = (member.$ref ?? member.allOf?.[0]?.$ref)?.replace('#/definitions/', '');
      return member.description === undefined && (reference === undefined || definitions[reference]?.description === undefined);
    });
    expect(bare.map(({ path }) => path)).toEqual([]);
  });

  it('links only to headings that are there', () => {
    const anchors = new Set(
      [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
        title
          .toLowerCase()
          .replace(/[^\p{L}\p{N} _-]/gu, '')
          .replaceAll(' ', '-'),
      ),
    );
    const links = [...text.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor = '']) => anchor);
    expect(links.length).toBeGreaterThan(20);
    expect(links.filter((anchor) => !anchors.has(anchor))).toEqual([]);
  });

  it('names a type for every key, and a reason for every key that is refused', () => {
    expect(text.match(/^\| [^|]*\| {2}\|/gm)).toBeNull();
    expect(text.match(/not supported yet/g)).toBeNull();
    expect(refusedKeys().filter(({ why }) => why.startsWith('known to'))).toEqual([]);
  });

  it('has a table of the keys of every policy, with and without conditions', () => {
    const bare = policies.filter(({ name }) => {
      const section = text.split(`### \`${name}\`\n`)[1] ?? '';
      return !(section.split('\n### ')[0] ?? '').includes('\n| Key | Type |');
    });
    expect(bare.map(({ name }) => name)).toEqual([]);
    expect(text.match(/^Or `conditional`/gm)).toHaveLength(4);
  });

  it.each(policies.map(({ name }) => name))('has the policy %s with its example', (name) => {
    const section = configReference().split(`### \`${name}\`\n`)[1] ?? '';
    expect(section.split('\n### ')[0]).toContain(`\`\`\`yaml\n${name}:`);
  });
});
