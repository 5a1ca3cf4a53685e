/** What a start loads before it has seen a configuration: heavy packages only come where one asks for them. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../../src');

/** Each with what of a configuration brings it. */
const heavy = {
  '@marcbachmann/cel-js': 'an expression',
  re2js: 'a pattern',
  'libphonenumber-js/core': 'the builtin phoneNumber',
  jose: 'jwtAuth',
  bcryptjs: 'a bcrypt hash that is checked',
  '@opentelemetry/sdk-trace': 'the first span',
  fzstd: 'the first body that is sent so',
  croner: 'fleet.warm with `during`',
} as const;

/** `import type` and `export type` are gone when the file runs; `import()` waits until it is called. */
const staticImport = /(?:^|\n)\s*(?:import|export)\s+(?!type\b)(?:[^'"`;]*?\sfrom\s*)?['"]([^'"]+)['"]/g;

function loadedFrom(entry: string): { files: Set<string>; packages: Set<string> } {
  const files = new Set<string>();
  const packages = new Set<string>();
  const follow = (path: string): void => {
    if (files.has(path)) return;
    files.add(path);
    for (const [, specifier = ''] of readFileSync(path, 'utf8').matchAll(staticImport)) {
      if (!specifier.startsWith('.')) packages.add(specifier);
      else if (specifier.endsWith('.ts')) follow(join(dirname(path), specifier));
    }
  };
  follow(join(root, entry));
  return { files, packages };
}

describe.each(['entry/node-serve.ts', 'entry/bun-serve.ts', 'entry/deno.ts', 'entry/workers.ts'])('a start by %s', (entry) => {
  const { files, packages } = loadedFrom(entry);

  it('is followed through the house', () => {
    expect(existsSync(join(root, entry))).toBe(true);
    expect(files.size).toBeGreaterThan(150);
    expect(packages).toContain('zod');
    expect(packages).toContain('hono');
  });

  it.each(Object.entries(heavy))('does not load %s: that takes %s', (name) => {
    expect(packages).not.toContain(name);
  });
});

it('all of them are used somewhere', () => {
  const lazily = [
    'cel/compile-cel.ts',
    'policies/guards/phone.ts',
    'policies/jwt-check.ts',
    'observe/otlp.ts',
    'protocols/zstd.ts',
    'fields/cron-pattern.ts',
  ].flatMap((file) => [...loadedFrom(file).packages]);
  for (const name of Object.keys(heavy).filter((one) => one !== 'bcryptjs')) expect(lazily).toContain(name);
  expect(readFileSync(join(root, 'policies/htpasswd.ts'), 'utf8')).toContain("import('bcryptjs')");
});
