/// <reference types="node" />
/** docs/differences.md says of every recorded case that comes out differently why it does, and of no other. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { differences } from './behaviour-differences.ts';

const page = readFileSync(new URL('../../docs/differences.md', import.meta.url), 'utf8');
const section = page.split('### Where the recorded cases come out differently\n')[1]?.split('\n## ')[0] ?? '';

/** Reason → cases. What only the test cannot do is no difference. */
function expectedRows(): readonly string[] {
  const all = Object.entries(differences).flatMap(([name, found]) => found.map(({ reason }) => ({ name, reason })));
  return [...Map.groupBy(all, ({ reason }) => reason)]
    .filter(([reason]) => !reason.includes('this test'))
    .map(([reason, cases]) => {
      const names = [...new Set(cases.map(({ name }) => `\`${name}\``))].sort();
      const told = reason.replace(/^[a-z](?=[a-z']* )/, (first) => first.toUpperCase());
      return `| ${told} | ${names.join(', ')} |`;
    })
    .sort();
}

describe('docs/differences.md', () => {
  it('has every reason of the recorded cases, with the cases', () => {
    const rows = section.split('\n').filter((line) => /^\| .*`/.test(line));
    expect([...rows].sort()).toEqual(expectedRows());
  });

  it('tells in both directions', () => {
    for (const heading of ['What agentgateway has and Corral has not', 'What only Corral has', 'Between runtimes'])
      expect(page).toMatch(new RegExp(`^#{2,3} ${heading}$`, 'm'));
  });
});
