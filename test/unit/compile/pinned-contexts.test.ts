/** Contexts that a configuration pins, for the loads that no client asks for (design decision 16). */
import { describe, expect, test } from 'vitest';
import { pinnedNumCtxIn } from '../../../src/policies/pinned-num-ctx.ts';
import { planOf } from '../answers/stage.ts';

const warm = (entries: string) => `fleet: { warm: [${entries}] }`;
const llm = `
llm:
  models:
  - name: coder
    provider: ollama
    params: { model: "qwen3-coder:30b" }
    overrides: { num_ctx: 32768 }
  - name: small
    provider: ollama
    overrides: { options: { num_ctx: 2048 } }
  - name: "*"
    provider: ollama
    defaults: { num_ctx: 8192 }
`;

describe('T6: pinned contexts', () => {
  test('hold for warm models, by the name that the box has for them, and over what warm says', () => {
    const entries = ['qwen3-coder:30b', 'small', 'SMALL:latest', 'other', 'coder'].map((model) => `{ model: "${model}" }`);
    const plan = planOf(`${llm}${warm([...entries, '{ model: small, numCtx: 4096 }'].join(', '))}`);
    expect(plan.warm.map(({ model, numCtx }) => [model, numCtx])).toEqual([
      ['qwen3-coder:30b', 32_768],
      ['small', 2048],
      ['SMALL:latest', 2048],
      ['other', undefined],
      ['coder', undefined],
      ['small', 2048],
    ]);
    expect(plan.warnings).toEqual(['fleet.warm[5].numCtx: overrides pin num_ctx 2048 for this model: that holds']);
  });

  test('of a backend hold for all its models', () => {
    const yaml = `
binds:
- port: 3000
  listeners:
  - routes:
    - policies: { ai: { overrides: { num_ctx: 16384 } } }
      backends: [{ ai: { name: a, hostOverride: "a:11434", provider: { openAI: {} } } }]
${warm('{ model: any }')}`;
    expect(planOf(yaml).warm.map(({ numCtx }) => numCtx)).toEqual([16_384]);
  });

  test.each([
    [{ num_ctx: 8192 }, 8192],
    [{ NUM_CTX: 8192 }, 8192],
    [{ options: { num_ctx: 512 } }, 512],
    [{ num_ctx: 1, options: { num_ctx: 512 } }, 1],
    [{ num_ctx: '8192' }, undefined],
    [{ num_ctx: 0 }, undefined],
    [{ num_ctx: 1.5 }, undefined],
    [{ options: null }, undefined],
    [{}, undefined],
    [undefined, undefined],
  ])('%j pins %s', (overrides, numCtx) => {
    expect(pinnedNumCtxIn(overrides)).toBe(numCtx);
  });
});
