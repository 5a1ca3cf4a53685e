/** Where secrets stand in the text itself, and not behind a variable or the path of a file. */

import { type YamlPath, yamlPathOf } from './diagnostic.ts';
import { openDocument } from './document.ts';
import { mask, maskedWhereKnown } from './masked.ts';

/** Stands for every variable, so that a value that has one can be told. */
const variable = '\uFDD0variable';
/** What is stored so is no secret in clear: hashes of passwords and keys, and what only names a key. */
const hashed = /^(?:sha256:|\{SHA\}|\$(?:2[abxy]?|apr1|5|6)\$|[^\n:]*:(?:\{SHA\}|\$(?:2[abxy]?|apr1|5|6)\$))/;

/** Paths of the YAML, in its order. Never throws: of a text that cannot be read there are none. */
export function clearSecretsIn(text: string): readonly string[] {
  const { value } = openDocument(text, () => variable);
  if (typeof value !== 'object' || value === null) return [];
  const found: string[] = [];
  compare(value, maskedWhereKnown(value), [], found);
  return found;
}

function compare(value: unknown, masked: unknown, path: YamlPath, found: string[]): void {
  if (typeof value === 'string') {
    if (masked === mask && isClear(value)) found.push(yamlPathOf(path));
    return;
  }
  if (typeof value !== 'object' || value === null || typeof masked !== 'object' || masked === null) return;
  for (const [key, member] of Object.entries(value)) {
    const step = Array.isArray(value) ? Number(key) : key;
    compare(member, (masked as Record<string, unknown>)[key], [...path, step], found);
  }
}

function isClear(value: string): boolean {
  if (value.trim() === '' || value.includes(variable) || hashed.test(value.trim())) return false;
  // Keys of certificates are given by the paths of their files; key sets (JWKS) hold public keys.
  return !/^[^\n]*\.(?:pem|key|crt|json)$/.test(value) && !value.trim().startsWith('{');
}
