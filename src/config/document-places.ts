/** Where the parts of a YAML document stand: from a path to its place, and from a node to its path. */
import { type Document, isAlias, isMap, isScalar, isSeq, type Pair, type Scalar, type YAMLMap } from 'yaml';
import type { YamlPath } from './diagnostic.ts';

/** The path of a node, from the nodes above it as `visit` hands them over. */
export function pathOf(ancestors: readonly unknown[], node: unknown): YamlPath {
  const path: (string | number)[] = [];
  for (const [index, parent] of ancestors.entries()) {
    const child = ancestors[index + 1] ?? node;
    if (isSeq(parent)) path.push(parent.items.indexOf(child));
    else if (isMap(parent)) path.push(keyNameOf(parent.items.find((pair) => pair === child)?.key));
  }
  return path;
}

export function keyNameOf(key: unknown): string {
  return isScalar(key) ? String(key.value) : String(key);
}

export function offsetOfNode(node: unknown): number | undefined {
  return typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range)
    ? Number(node.range[0])
    : undefined;
}

interface Location {
  /** Whether the whole path exists. */
  readonly found: boolean;
  /** Offsets of the deepest part that does. */
  readonly key: number | undefined;
  readonly node: number | undefined;
  readonly isEmpty: boolean;
  readonly scalar: Scalar | undefined;
}

export function locateIn(document: Document, path: YamlPath): Location {
  let node: unknown = document.contents;
  let key: number | undefined;
  let found = true;
  for (const step of path) {
    const holder = resolved(document, node);
    const pair = isMap(holder) ? pairsOf(holder).get(String(step)) : undefined;
    const item = isSeq(holder) && typeof step === 'number' ? holder.items[step] : undefined;
    if (pair === undefined && item === undefined) {
      found = false;
      break;
    }
    key = pair === undefined ? undefined : offsetOfNode(pair.key);
    node = pair === undefined ? item : pair.value;
  }
  const scalar = isScalar(node) ? node : undefined;
  return { found, key, node: offsetOfNode(node), isEmpty: scalar?.value === null || node === null, scalar };
}

/** By name; of a key that stands there twice, the first. Looked up often: a file may have as many errors as keys. */
function pairsOf(map: YAMLMap): ReadonlyMap<string, Pair> {
  const known = pairsByMap.get(map);
  if (known !== undefined) return known;
  const pairs = new Map<string, Pair>();
  for (const pair of map.items) {
    const name = keyNameOf(pair.key);
    if (!pairs.has(name)) pairs.set(name, pair);
  }
  pairsByMap.set(map, pairs);
  return pairs;
}

const pairsByMap = new WeakMap<YAMLMap, ReadonlyMap<string, Pair>>();

function resolved(document: Document, node: unknown): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}
