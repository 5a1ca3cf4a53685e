/** What the documents say of the suite is what the suite does. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { differences } from '../conformance/differences.ts';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');

it('docs/differences.md has the rows of test/conformance/differences.ts', () => {
  const ofOllama = read('../../docs/differences.md').split('\n## From agentgateway\n')[0] ?? '';
  const rows = new Map<string, Set<string>>();
  for (const [, reason = '', names = ''] of ofOllama.matchAll(/^\| (.+?) \| (`[\w`, -]+`) \|$/gm)) {
    rows.set(reason, new Set([...names.matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? '')));
  }
  const wanted = new Map<string, Set<string>>();
  for (const [name, { reason }] of Object.entries(differences)) wanted.set(reason, (wanted.get(reason) ?? new Set()).add(name));
  expect(rows).toEqual(wanted);
});

it('test/conformance/README.md names tests that exist, and every file', () => {
  const folder = new URL('../conformance/', import.meta.url);
  const files = readdirSync(folder).filter((file) => file.endsWith('.ts'));
  const readme = read('../conformance/README.md');
  const rows = [...readme.matchAll(/^\| .+ \| .+ \| `([\w-]+\.ts)`: (.+) \|$/gm)];
  expect(rows.length).toBeGreaterThan(40);
  for (const [, file = '', name = ''] of rows) {
    const test = name.trim();
    const place = files.includes(file) ? `../conformance/${file}` : `./${file}`;
    expect([file, read(place).includes(test.replaceAll('\\|', '|'))], `${file} has no test called ${test}`).toEqual([file, true]);
  }
  for (const file of files) expect(readme).toContain(file);
});
