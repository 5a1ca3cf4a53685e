/** Unit tests share processes: what holds for whoever imports a module afterwards stands in the files that have a process of their own. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { alone } from '../../vitest.config.ts';

const root = new URL('../../', import.meta.url);

function testFiles(): string[] {
  return ['test/unit', 'test/contract', 'test/support'].flatMap((folder) =>
    readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => `${folder}/${name.replaceAll('\\', '/')}`),
  );
}

const mocks = /\bvi\.(?:do)?[mM]ock\(/;

it('keeps replaced modules to files with a process of their own', () => {
  const files = testFiles();
  const isAlone = (file: string) => alone.some((glob) => file.startsWith(glob.split('**')[0] ?? glob));
  const replacing = files.filter((file) => mocks.test(readFileSync(new URL(file, root), 'utf8')));
  expect(replacing.length).toBeGreaterThan(1);
  expect(replacing.filter((file) => !isAlone(file))).toEqual([]);
});

it('names files that are there', () => {
  const files = testFiles();
  expect(alone.filter((glob) => !files.some((file) => file.startsWith(glob.split('**')[0] ?? glob)))).toEqual([]);
});
