/// <reference types="node" />
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { planOf } from '../unit/answers/stage.ts';

const page = readFileSync(new URL('../../docs/failover.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, yaml = '']) => yaml);

describe('docs/failover.md', () => {
  it('has examples', () => {
    expect(examples).toHaveLength(2);
  });

  it.each(examples.map((yaml, index) => [index, yaml] as const))(
    'example %s is taken, and nothing is said against it',
    (_, yaml) => {
      const plan = planOf(yaml, { env: { OPENROUTER_API_KEY: 'k' } });
      expect(plan.upstreams.length).toBeGreaterThan(1);
      expect(plan.warnings).toEqual([]);
    },
  );
});
