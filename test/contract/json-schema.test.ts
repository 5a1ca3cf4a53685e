/// <reference types="node" />
/**
 * config/schema.json is what editors check files by (`# yaml-language-server: $schema=…`): it must have nothing against a file
 * that Corral takes, as it is written, variables and all; and it must notice a slip.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import { parse } from 'yaml';
import * as z from 'zod';
import { loadConfig } from '../../src/config/load.ts';

const folder = new URL('../../config/', import.meta.url);
const corpus = new URL('../../../shared/configs/', import.meta.url);
const schema: unknown = JSON.parse(readFileSync(new URL('schema.json', folder), 'utf8'));
const checked = z.fromJSONSchema(schema as z.core.JSONSchema.JSONSchema, { defaultTarget: 'draft-7' });

/** What an editor would underline: the paths. */
function complaints(text: string): readonly string[] {
  const result = checked.safeParse(parse(text));
  return result.success ? [] : result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

const files = ['gateway.yaml', ...readdirSync(new URL('examples/', folder)).map((name) => `examples/${name}`)];

describe('the JSON Schema', () => {
  it.each(files)('takes config/%s', (name) => {
    expect(complaints(readFileSync(new URL(name, folder), 'utf8'))).toEqual([]);
  });

  it.each([
    ['a key that does not exist', 'binds: [{port: 3000, listeners: [], lisener: 1}]'],
    ['a text instead of a number', 'binds: [{port: "http", listeners: []}]'],
    ['a key that is missing', 'binds: [{listeners: []}]'],
    ['a word that is none of the words', 'config: {logging: {format: xml}}'],
    ['a key that is refused', 'backends: [{name: a, host: "a:1", policies: {backendAuth: {gcp: {}}}}]'],
    ['a policy where it cannot stand', 'binds: [{port: 1, listeners: [{policies: {retry: {codes: [503]}}, routes: []}]}]'],
    ['a key that does not exist, deep inside', 'llm: {models: [{name: a, provider: ollama, health: {evicton: {}}}]}'],
  ])('notices %s', (_, text) => {
    expect(complaints(text)).not.toEqual([]);
  });

  test.runIf(existsSync(corpus))("takes what Corral takes of agentgateway's documented configurations", () => {
    const names = readdirSync(corpus, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.yaml'));
    const texts = names.map((name) => [name, readFileSync(new URL(name, corpus), 'utf8')] as const);
    const readFile = () => '{"keys": []}';
    const taken = texts.filter(([name, text]) => loadConfig(text, { name, env: () => 'value', readFile }).ok);
    expect(taken.length).toBeGreaterThan(100);
    expect(taken.flatMap(([name, text]) => complaints(text).map((complaint) => `${name} ${complaint}`))).toEqual([]);
  });

  if (!existsSync(corpus)) test.skip('SKIPPED: ../shared/configs is not here', () => undefined);
});
