/** Regular expressions in CEL: RE2's, so that no pattern and no text takes more than linear time. */
import { RE2JS } from 're2js';
import { spendWork } from './evaluation.ts';
import { CelFailure } from './expression.ts';

/** As many as are kept compiled. Patterns of the configuration come back to the front with every use. */
const maxKept = 256;
const maxPatternLength = 4_096;
/** A megabyte takes some 40 ms on a case-insensitive pattern. */
const maxTextLength = 4 * 1_024 * 1_024;

const kept = new Map<string, RE2JS>();

/** Throws CelFailure for what is no pattern. */
export function patternOf(source: string): RE2JS {
  const known = kept.get(source);
  if (known !== undefined) {
    kept.delete(source);
    kept.set(source, known);
    return known;
  }
  if (source.length > maxPatternLength) throw new CelFailure(`a pattern may have ${maxPatternLength} characters at most`);
  let pattern: RE2JS;
  try {
    pattern = RE2JS.compile(source);
  } catch (thrown) {
    throw new CelFailure(
      `the pattern is not valid${thrown instanceof Error ? `: ${thrown.message.replaceAll(/\s+/g, ' ')}` : ''}`,
    );
  }
  if (kept.size >= maxKept) kept.delete(kept.keys().next().value ?? '');
  kept.set(source, pattern);
  return pattern;
}

/** Whether the pattern matches anywhere in the text. */
export function isMatch(text: string, source: string): boolean {
  checkText(text);
  return patternOf(source).test(text);
}

/** The first match replaced, as agentgateway does (Rust's `Regex::replace`): `$1`, `$name`, `${name}` and `$$` in the replacement. */
export function replaceMatch(text: string, source: string, replacement: string): string {
  checkText(text);
  const matcher = patternOf(source).matcher(text);
  if (!matcher.find()) return text;
  const groups = patternOf(source).namedGroups();
  const groupOf = (name: string): string => {
    const index = /^\d+$/.test(name) ? Number(name) : groups[name];
    return index === undefined || index > matcher.groupCount() ? '' : (matcher.group(index) ?? '');
  };
  const inserted = replacement.replace(/\$(?:(\$)|\{(\w+)\}|(\w+))/g, (_, dollar?: string, braced?: string, bare?: string) =>
    dollar === undefined ? groupOf(braced ?? bare ?? '') : '$',
  );
  const made = text.slice(0, matcher.start()) + inserted + text.slice(matcher.end());
  spendWork(made.length);
  return made;
}

function checkText(text: string): void {
  if (text.length > maxTextLength)
    throw new CelFailure('a text that is matched against a pattern may have 4 Mi characters at most');
  spendWork(text.length);
}
