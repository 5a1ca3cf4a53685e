/**
 * Model names, compared as Ollama compares them (Ollama types/model/name.go): without regard to case, `:latest` understood,
 * the default registry and namespace left out.
 */
import { FieldError } from './text-field.ts';

let lastName: string | undefined;
let lastCanonical = '';

/**
 * The form in which two names of one model are equal: `LLAMA3.2` → `llama3.2:latest`, `library/x:local` → `x:latest`. The last
 * answer is kept: a request asks about its one name a dozen times, and so does the next request.
 */
export function canonicalModel(name: string): string {
  if (name !== lastName) {
    lastCanonical = canonicalOf(name);
    lastName = name;
  }
  return lastCanonical;
}

function canonicalOf(name: string): string {
  let model = name.trim().toLowerCase();
  if (model.endsWith(':local')) model = model.slice(0, -':local'.length);
  if (!model.slice(model.lastIndexOf('/') + 1).includes(':')) model += ':latest';
  return withoutDefaults(model);
}

function withoutDefaults(name: string): string {
  const local = name.startsWith('registry.ollama.ai/') ? name.slice('registry.ollama.ai/'.length) : name;
  return local.startsWith('library/') ? local.slice('library/'.length) : local;
}

/** Whether Ollama's cloud would serve this name: `x:cloud`, or a tag that ends in `-cloud`. */
export function isCloudModel(name: string): boolean {
  const model = name.trim().toLowerCase();
  const tag = model.slice(model.lastIndexOf(':') + 1);
  return model.includes(':') && !tag.includes('/') && (tag.trim() === 'cloud' || tag.trim().endsWith('-cloud'));
}

/** A name, or a pattern with one `*` at its start or its end. */
export interface ModelPattern {
  readonly text: string;
  readonly hasStar: boolean;
  /** How many characters are fixed: the more, the earlier the pattern is asked (agentgateway's order of llm.models). */
  readonly fixedLength: number;
  matches(model: string): boolean;
}

/** Compiles `x`, `x*`, `*x` or `*`. Throws FieldError for an empty pattern, several `*`, or one in the middle. */
export function compileModelPattern(pattern: string): ModelPattern {
  const text = pattern.trim();
  if (text === '') throw new FieldError('a model name must not be empty');
  const star = text.indexOf('*');
  if (star !== text.lastIndexOf('*'))
    throw new FieldError(`"${text}" has more than one "*"; one is allowed, at the start or the end`);
  if (star > 0 && star < text.length - 1)
    throw new FieldError(`"${text}" has its "*" in the middle; it may stand at the start or the end`);
  const matches = star < 0 ? exactly(text) : star === 0 ? endingIn(text.slice(1)) : startingWith(text.slice(0, -1));
  return { text, hasStar: star >= 0, fixedLength: star < 0 ? text.length : text.length - 1, matches };
}

function exactly(name: string): (model: string) => boolean {
  const wanted = canonicalModel(name);
  return (model) => canonicalModel(model) === wanted;
}

/** `*3.2` means `llama3.2` and so also `llama3.2:latest`. */
function endingIn(tail: string): (model: string) => boolean {
  const wanted = tail.trim().toLowerCase();
  if (wanted === '') return () => true;
  return (model) => {
    const canonical = canonicalModel(model);
    return (
      canonical.endsWith(wanted) || (canonical.endsWith(':latest') && canonical.slice(0, -':latest'.length).endsWith(wanted))
    );
  };
}

/** `library/*` means Ollama's own models, which have no namespace; cutting the prefix off alone would allow everything. */
function startingWith(head: string): (model: string) => boolean {
  const lower = head.trimStart().toLowerCase();
  const local = lower.startsWith('registry.ollama.ai/') ? lower.slice('registry.ollama.ai/'.length) : lower;
  const onlyLibrary = local.startsWith('library/');
  const wanted = withoutDefaults(local);
  return (model) => {
    const canonical = canonicalModel(model);
    return canonical.startsWith(wanted) && !(onlyLibrary && canonical.includes('/'));
  };
}

/** Whether a key with these patterns may use the model. Undefined allows all, an empty list none. Patterns must compile. */
export function isModelAllowed(patterns: readonly string[] | undefined, model: string): boolean {
  return patterns === undefined || patterns.some((pattern) => patternOf(pattern).matches(model));
}

const compiled = new Map<string, ModelPattern>();
const maxCompiled = 1_000;

/** Keys are checked per request, so their few patterns are compiled once. */
function patternOf(pattern: string): ModelPattern {
  const known = compiled.get(pattern);
  if (known !== undefined) return known;
  const fresh = compileModelPattern(pattern);
  if (compiled.size >= maxCompiled) compiled.clear();
  compiled.set(pattern, fresh);
  return fresh;
}
