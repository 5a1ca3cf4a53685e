import { describe, expect, it } from 'vitest';
import { nearestName } from '../../../../src/fleet/asking/variants.ts';

const names = ['mistral:latest', 'llama3.2:3b', 'llama3.2:70b', 'qwen2.5-coder:7b', 'acme/gemma3:270m'];

describe('the nearest name', () => {
  it.each([
    ['llama3.2', 'llama3.2:3b'],
    ['llama3.2:7b', 'llama3.2:3b'],
    ['llama3.2:71b', 'llama3.2:70b'],
    ['LAMA3.2', 'llama3.2:3b'],
    ['llama', 'llama3.2:3b'],
    ['mistrall', 'mistral:latest'],
    ['qwen2.5-codr:7b', 'qwen2.5-coder:7b'],
    ['gemma3:270m', 'acme/gemma3:270m'],
    ['gpt-4o', undefined],
    ['x', undefined],
    ['', undefined],
  ])('to %s is %s', (wanted, nearest) => {
    expect(nearestName(wanted, names)).toBe(nearest);
  });

  it('is of the same family rather than of the same tag', () => {
    expect(nearestName('llama3.2:latest', ['llama3.1:latest', 'llama3.2:3b-instruct-q4_K_M'])).toBe(
      'llama3.2:3b-instruct-q4_K_M',
    );
  });

  it('is found in no time, however long the names', () => {
    const startedMs = performance.now();
    nearestName(
      'a'.repeat(30_000),
      Array.from({ length: 3 }, () => 'b'.repeat(30_000)),
    );
    // Uncut, this takes three thousand million steps.
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });
});
