import { describe, expect, it } from 'vitest';
import { readObject } from '../../../src/json/read-object.ts';
import { anthropicMessages } from '../../../src/protocols/anthropic-messages.ts';

const read = (body: object) => anthropicMessages.readCall(readObject(new TextEncoder().encode(JSON.stringify(body))));
const tools = [{ name: 'f', input_schema: { type: 'object' } }];

describe('tool_choice', () => {
  it('none removes the tools', () => {
    expect([...read({ tools, tool_choice: { type: 'none' } }).boxChanges]).toEqual([
      ['tools', undefined],
      ['tool_choice', undefined],
    ]);
  });

  it.each([{ type: 'any' }, { type: 'tool', name: 'f' }, { TYPE: 'any' }])('%j cannot be forced, and that is said', (choice) => {
    expect(read({ tools, tool_choice: choice }).warnings).toHaveLength(1);
  });

  it.each([{ type: 'auto' }, null, undefined, 'none'])('%j changes nothing', (choice) => {
    const reading = read({ tools, tool_choice: choice });
    expect(reading.boxChanges.size).toBe(0);
    expect(reading.warnings).toEqual([]);
  });
});

it('reads stream', () => {
  expect(read({ stream: true }).isStream).toBe(true);
  expect(read({}).isStream).toBe(false);
});
