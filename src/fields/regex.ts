/**
 * Regular expressions that must cover a whole value, as matches of agentgateway do. They are held against what clients send:
 * paths, headers, queries. So they run in linear time; JavaScript's own could be made to run for ever.
 */
import { rustRegexOf } from './rust-regex.ts';

export interface TextPattern {
  /** As written. */
  readonly source: string;
  /** Whether it covers the whole text. */
  test(text: string): boolean;
}

/** Throws FieldError, which names the column. */
export function fullRegexOf(pattern: string): TextPattern {
  const regex = rustRegexOf(pattern);
  return { source: pattern, test: (text) => regex.testExact(text) };
}
