/**
 * Environment variables in the YAML, written as in agentgateway (Rust shellexpand): `$VAR`, `${VAR}`, `${VAR:-default}`, and
 * `$$` for a dollar sign. agentgateway expands the text and then parses it; here each variable is marked first, the text is
 * parsed, and the marks are replaced in the values. What differs, all of it for the better: comments are left alone; a
 * variable is always one value and can never break or change the structure around it; positions in messages are exact.
 * `~` is not touched (it is YAML's null); paths of files that start with `~/` are understood where files are read.
 */

/** Marks are characters of Unicode's private use area: the first says which reference, the others keep the length. */
const firstMark = 0xe000;
const filler = '\uf8ff';
const maxReferences = 0xf8fe - firstMark;
const referencePattern = /\$\$|\$\{([^}\n]*)\}|\$([A-Za-z0-9_]+)|[\uE000-\uF8FF]/g;
const markPattern = /([\uE000-\uF8FE])\uF8FF*/g;

type Reference =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'variable'; readonly name: string; readonly fallback: string | undefined; readonly offset: number };

export interface MarkedText {
  /** As long as the original, line by line. */
  readonly text: string;
  /** The value with its marks replaced. `missing` is called for each variable that is not set and has no default. */
  expand(value: string, missing: (message: string, offset: number) => void): string;
  hasMarks(value: string): boolean;
}

/** Undefined when the text has more references than can be marked (some 6000). */
export function markReferences(text: string, env: (name: string) => string | undefined): MarkedText | undefined {
  const references: Reference[] = [];
  const marked = text.replace(
    referencePattern,
    (found, braced: string | undefined, plain: string | undefined, offset: number) => {
      references.push(referenceOf(found, braced ?? plain, offset));
      return String.fromCharCode(Math.min(firstMark + references.length - 1, 0xf8fe)) + filler.repeat(found.length - 1);
    },
  );
  if (references.length > maxReferences) return undefined;
  return {
    text: marked,
    hasMarks: (value) => /[\uE000-\uF8FE]/.test(value),
    expand: (value, missing) =>
      value.replace(markPattern, (_, mark: string) => {
        const reference = references[mark.charCodeAt(0) - firstMark];
        return reference === undefined ? '' : textOfReference(reference, env, missing);
      }),
  };
}

function referenceOf(found: string, inner: string | undefined, offset: number): Reference {
  if (found === '$$') return { kind: 'text', text: '$' };
  // A private character that stands in the file stands for itself.
  if (inner === undefined) return { kind: 'text', text: found };
  const at = inner.indexOf(':-');
  const hasFallback = at > 0 && found.startsWith('${');
  return {
    kind: 'variable',
    name: hasFallback ? inner.slice(0, at) : inner,
    fallback: hasFallback ? inner.slice(at + 2) : undefined,
    offset,
  };
}

function textOfReference(
  reference: Reference,
  env: (name: string) => string | undefined,
  missing: (message: string, offset: number) => void,
): string {
  if (reference.kind === 'text') return reference.text;
  const { name, fallback, offset } = reference;
  const value = /^[A-Za-z0-9_]+$/.test(name) ? env(name) : undefined;
  if (value !== undefined) return value;
  // As in agentgateway the default is for a variable that is not set; one that is set and empty stays empty.
  if (fallback !== undefined) return fallback;
  missing(
    `the environment variable "${name}" is not set; set it, give a default as \${${name}:-value}, or write "$$" for a dollar sign`,
    offset,
  );
  return '';
}
