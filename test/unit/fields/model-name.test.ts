import { describe, expect, it } from 'vitest';
import { canonicalModel, compileModelPattern, isCloudModel, isModelAllowed } from '../../../src/fields/model-name.ts';

describe('canonicalModel', () => {
  it.each([
    ['llama3.2', 'llama3.2:latest'],
    ['LLAMA3.2', 'llama3.2:latest'],
    ['llama3.2:latest', 'llama3.2:latest'],
    [' llama3.2 ', 'llama3.2:latest'],
    ['gemma3:270M', 'gemma3:270m'],
    ['library/llama3.2', 'llama3.2:latest'],
    ['registry.ollama.ai/library/llama3.2:1b', 'llama3.2:1b'],
    ['registry.ollama.ai/me/mine', 'me/mine:latest'],
    ['me/mine', 'me/mine:latest'],
    ['host:5000/me/mine', 'host:5000/me/mine:latest'],
    ['qwen3:8b:local', 'qwen3:8b'],
    ['qwen3:local', 'qwen3:latest'],
    ['gpt-oss:120b-cloud', 'gpt-oss:120b-cloud'],
  ])('%s → %s', (name, canonical) => {
    expect(canonicalModel(name)).toBe(canonical);
  });
});

describe('isCloudModel', () => {
  it.each(['gpt-oss:120b-cloud', 'qwen3:cloud', 'QWEN3:Cloud', 'me/mine:cloud', 'x:y:cloud'])('%s is', (name) => {
    expect(isCloudModel(name)).toBe(true);
  });

  it.each(['gpt-oss:120b', 'cloud', 'my-cloud', 'cloud:latest', 'host:5000/my-cloud'])('%s is not', (name) => {
    expect(isCloudModel(name)).toBe(false);
  });
});

describe('isModelAllowed', () => {
  it.each<[string[], string, boolean]>([
    [['llama3.2'], 'llama3.2:latest', true],
    [['llama3.2'], 'LLAMA3.2', true],
    [['llama3.2:latest'], 'llama3.2', true],
    [['llama3.2'], 'registry.ollama.ai/library/llama3.2', true],
    [['llama3.2'], 'llama3.2:1b', false],
    [['llama3.2'], 'me/llama3.2', false],
    [['llama3.2*'], 'Llama3.2:1B', true],
    [['llama3.2*'], 'library/llama3.2:1b', true],
    [['*:1b'], 'llama3.2:1b', true],
    [['*3.2'], 'llama3.2', true],
    [['*3.2'], 'llama3.2:1b', false],
    [['*'], 'anything', true],
    [[], 'anything', false],
    [['a', 'b'], 'b', true],
    // What is cut off in front must not make a pattern wider.
    [['library/*'], 'llama3.2', true],
    [['library/*'], 'me/mine', false],
    [['registry.ollama.ai/me/*'], 'me/mine', true],
    [['r*'], 'llama3.2', false],
    [['l*'], 'mistral', false],
  ])('%j and %s: %s', (patterns, model, allowed) => {
    expect(isModelAllowed(patterns, model)).toBe(allowed);
  });

  it('without patterns allows all', () => {
    expect(isModelAllowed(undefined, 'x')).toBe(true);
  });

  it('still answers when there are more patterns than are remembered', () => {
    for (let n = 0; n < 1_100; n++) expect(isModelAllowed([`model-${n}`], `model-${n}`)).toBe(true);
    expect(isModelAllowed(['model-1'], 'model-2')).toBe(false);
  });
});

describe('compileModelPattern', () => {
  it.each(['', ' ', '**', '*a*', 'a*b', 'a*b*'])('refuses "%s"', (pattern) => {
    expect(() => compileModelPattern(pattern)).toThrow();
  });

  it('counts fixed characters, which order the models', () => {
    expect(compileModelPattern('llama*')).toMatchObject({ text: 'llama*', hasStar: true, fixedLength: 5 });
    expect(compileModelPattern('*')).toMatchObject({ hasStar: true, fixedLength: 0 });
    expect(compileModelPattern('llama3.2')).toMatchObject({ hasStar: false, fixedLength: 8 });
  });
});
