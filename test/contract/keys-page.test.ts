/// <reference types="node" />
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatDiagnostic, loadConfig } from '../../src/config/load.ts';

const page = readFileSync(new URL('../../docs/keys.md', import.meta.url), 'utf8');
const blocks = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block);

describe('docs/keys.md', () => {
  it('has its examples', () => {
    expect(blocks.length).toBeGreaterThanOrEqual(7);
  });

  it.each(blocks.map((block) => [block.split('\n', 3).join(' ').slice(0, 60), block]))('%s: is understood', (_, block) => {
    const policies = block.replace(/^(?=.)/gm, '            ');
    const yaml = `binds:\n  - port: 3000\n    listeners:\n      - routes:\n          - backends: [{ host: "a:1" }]\n            policies:\n${policies.replace(/^/gm, '  ')}`;
    const result = loadConfig(yaml, { name: 'keys.md', env: (name) => `sk-${name}` });
    expect(result.ok ? [] : result.errors.map(formatDiagnostic)).toEqual([]);
    expect(result.warnings.map(formatDiagnostic)).toEqual([]);
  });
});
