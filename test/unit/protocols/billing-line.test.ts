import { describe, expect, it } from 'vitest';
import { withoutBillingLine } from '../../../src/protocols/billing-line.ts';

const line = (cch: string) => `x-anthropic-billing-header: cc_version=2.1.37.0d9; cc_entrypoint=cli; cch=${cch};`;

describe("Claude Code's changing line", () => {
  it('goes with its block, and what follows stays to the letter', () => {
    const rest = '{"type":"text", "text":"You are Claude Code, \\u0041nthropic\'s", "cache_control":{"type":"ephemeral"}}';
    const system = `[ {"type":"text","text":"${line('fa690')}"},${rest} , {"n":12345678901234567890,"text":"x"}]`;
    expect(withoutBillingLine(system)).toBe(`[${rest},{"n":12345678901234567890,"text":"x"}]`);
  });

  it('goes from the start of a text, and of a block with more in it', () => {
    expect(withoutBillingLine(JSON.stringify(`${line('1')}\nYou are Claude Code`))).toBe('"You are Claude Code"');
    expect(withoutBillingLine(JSON.stringify(`${line('1')}You are Claude Code`))).toBe('"You are Claude Code"');
    expect(withoutBillingLine(`[{"a":1e400,"text":${JSON.stringify(`${line('1')}\nYou are`)}}]`)).toBe(
      '[{"a":1e400,"text":"You are"}]',
    );
    expect(withoutBillingLine(JSON.stringify(line('1').slice(0, -1)))).toBe('""');
    expect(withoutBillingLine(`[{"type":"text","text":"${line('1')}"}]`)).toBe('[]');
  });

  it('is left where it is not the beginning, and where there is none', () => {
    for (const system of [
      '"You are Claude Code"',
      JSON.stringify(`You are asked about ${line('1')}`),
      `[{"type":"text","text":"You are"},{"type":"text","text":"${line('1')}"}]`,
      `["${line('1')}"]`,
      '[]',
      'null',
      '',
    ])
      expect(withoutBillingLine(system)).toBeUndefined();
  });
});
