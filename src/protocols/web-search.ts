/** Tools that a box would run itself, through ollama.com and with its account's key: they do not leave the house unasked. */
import { parse } from 'lossless-json';
import { GatewayError } from '../errors.ts';
import type { CallAllowances } from '../exchange.ts';
import { memberObjects } from '../json/nested.ts';
import type { ObjectText } from '../json/object-text.ts';
import type { OpenReading } from './reading.ts';

/**
 * Drops `web_search` tools (Responses: type `web_search`; Messages: `web_search_20250305` and the like) on the way to a box,
 * with a warning, unless they are allowed. The other tools stay exact.
 */
export function readWebSearch(body: ObjectText, reading: OpenReading, allowed: CallAllowances | undefined): void {
  if (allowed?.webSearch === true || (reading.boxChanges.has('tools') && reading.boxChanges.get('tools') === undefined)) return;
  const text = body.textOf('tools');
  // An escape may hide the name; without one and without the name there is nothing to parse for.
  if (text === undefined || !(/web_search/i.test(text) || text.includes('\\'))) return;
  const found = memberObjects(body, 'tools')?.map((tool) => tool !== undefined && isWebSearch(tool));
  if (found === undefined || !found.includes(true)) return;
  const tools = losslessArray(body.textOf('tools') ?? '[]').filter((_, index) => found[index] !== true);
  reading.boxChanges.set('tools', tools.length === 0 ? undefined : tools);
  reading.warnings.push('web_search was left out of tools: it would run through ollama.com');
}

function isWebSearch(tool: ObjectText): boolean {
  const type = tool.get('type');
  return typeof type === 'string' && type.trim().toLowerCase().startsWith('web_search');
}

/** Numbers stay as they were written: a tool's schema may hold integers that JavaScript cannot. */
function losslessArray(text: string): unknown[] {
  try {
    const value = parse(text, undefined, { onDuplicateKey: ({ newValue }) => newValue });
    return Array.isArray(value) ? value : [];
  } catch (thrown) {
    // The text is valid JSON; only a parser that recurses can fail on it.
    throw new GatewayError('invalid_body', '"tools" is nested too deeply', { cause: thrown });
  }
}
