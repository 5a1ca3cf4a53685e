import { describe, expect, it } from 'vitest';
import { readObject } from '../../../src/json/read-object.ts';
import { anthropicMessages } from '../../../src/protocols/anthropic-messages.ts';
import { openaiResponses } from '../../../src/protocols/openai-responses.ts';

/** What a box would get for `tools`, as text; and the warnings. */
function sent(tools: string, protocol = openaiResponses, allowed = {}, rest = '') {
  const body = readObject(new TextEncoder().encode(`{"tools":${tools}${rest}}`));
  const reading = protocol.readCall(body, allowed);
  const draft = body.draft();
  for (const [name, value] of reading.boxChanges) {
    if (value === undefined) draft.delete(name);
    else draft.set(name, value);
  }
  return { tools: draft.textOf('tools'), warnings: reading.warnings };
}

const warning = 'web_search was left out of tools: it would run through ollama.com';

describe('web_search tools', () => {
  it.each([
    ['[{"type":"web_search"}]'],
    ['[{"type":"web_search_preview"}]'],
    ['[{"type":"web_search_20250305","name":"web_search","max_uses":5}]'],
    ['[{"TYPE":"web_search"}]'],
    ['[{"type":"function","Type":"web_search"}]'],
    ['[{"type":"web\\u005fsearch"}]'],
    ['[{"\\u0074ype":"WEB_SEARCH"}]'],
  ])('%s does not leave the house', (tools) => {
    expect(sent(tools)).toEqual({ tools: undefined, warnings: [warning] });
    expect(sent(tools, anthropicMessages)).toEqual({ tools: undefined, warnings: [warning] });
  });

  it('leaves the other tools exact', () => {
    const kept = '{"type":"function","name":"f","parameters":{"maximum":9007199254740993,"a":1.0,"A":1e400}}';
    expect(sent(`[${kept},{"type":"web_search"}]`)).toEqual({ tools: `[${kept}]`, warnings: [warning] });
  });

  it.each([
    '[{"type":"function","name":"web_search"}]',
    '[{"type":"function","name":"f","description":"not \\"web_search\\""}]',
    '[]',
    '"web_search"',
    '{"type":"web_search"}',
    'null',
  ])('%s stays as it is', (tools) => {
    expect(sent(tools)).toEqual({ tools, warnings: [] });
  });

  it('stay where they are allowed', () => {
    expect(sent('[{"type":"web_search"}]', openaiResponses, { webSearch: true })).toEqual({
      tools: '[{"type":"web_search"}]',
      warnings: [],
    });
  });

  it('are gone with all the others when tool_choice is none', () => {
    expect(sent('[{"type":"web_search"}]', openaiResponses, {}, ',"tool_choice":"none"')).toEqual({
      tools: undefined,
      warnings: [],
    });
  });

  it('a tool nested as deep as JSON allows is no crash', () => {
    const deep = `${'['.repeat(9_000)}${']'.repeat(9_000)}`;
    const body = readObject(new TextEncoder().encode(`{"tools":[{"type":"web_search"},{"x":${deep}}]}`));
    let code = 'none';
    try {
      openaiResponses.readCall(body);
    } catch (thrown) {
      code = (thrown as { code?: string }).code ?? String(thrown);
    }
    expect(['none', 'invalid_body']).toContain(code);
  });
});
