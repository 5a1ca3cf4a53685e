/**
 * What the parts of a plan were made from. A plan holds functions, in which options and their defaults cannot be seen; here
 * the factories of all policies are watched while a plan is compiled.
 */
import { policies } from '../../src/policies/index.ts';
import type { PolicyDefinition } from '../../src/policies/policy.ts';

/** The options of what a policy's factory made; undefined for anything else. */
export type OptionsOf = (made: object) => unknown;

const factories = ['onRequest', 'onAttempt', 'onBackendAttempt', 'onTranslated', 'onBackendAnswer'] as const;

/** Compiles with all factories watched. */
export function watchingOptions<Made>(compile: () => Made): { readonly made: Made; readonly optionsOf: OptionsOf } {
  const found = new WeakMap<object, unknown>();
  const originals = policies.map((policy) => ({ policy, own: { ...policy } }));
  for (const { policy, own } of originals) {
    for (const name of factories) {
      const make = own[name] as ((...given: readonly unknown[]) => unknown) | undefined;
      if (make === undefined) continue;
      const watched = (options: unknown, ...others: readonly unknown[]) => {
        const made = make(options, ...others);
        if (typeof made === 'function') found.set(made, options);
        return made;
      };
      (policy as { -readonly [Key in keyof PolicyDefinition]: unknown })[name] = watched;
    }
  }
  try {
    return { made: compile(), optionsOf: (made) => found.get(made) };
  } finally {
    for (const { policy, own } of originals) Object.assign(policy, own);
  }
}

/** Options as one line, as YAML would have them: expressions by their source, functions left out. */
export function optionsText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return typeof value === 'string' ? scalarText(value) : String(value);
  if (value instanceof RegExp) return String(value);
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (value instanceof Map) return optionsText(Object.fromEntries(value));
  if (Array.isArray(value) || value instanceof Set) return `[${[...value].map(optionsText).join(', ')}]`;
  // Expressions, and patterns of other engines.
  if ('source' in value && typeof value.source === 'string' && 'evaluate' in value) return `\`${value.source}\``;
  const members = Object.entries(value).filter(([, member]) => member !== undefined && typeof member !== 'function');
  return members.length === 0
    ? '{}'
    : `{ ${members.map(([name, member]) => `${scalarText(name)}: ${optionsText(member)}`).join(', ')} }`;
}

/** Quoted where YAML would take it for something else. What nobody could read is not shown: key sets, certificates. */
function scalarText(text: string): string {
  if (text.length > 100) return `a text of ${text.length} characters`;
  const isPlain = /^[^\s'"{}[\],:#*&!|>%@`?-](?:[^\n'"{}[\],]*[^\s'"{}[\],])?$/.test(text);
  return isPlain && !/^(?:[-+.\d]+|true|false|null|~)$/.test(text) ? text : JSON.stringify(text);
}
