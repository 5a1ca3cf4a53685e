/**
 * Unit tests share processes (vitest.config.ts), so what a file leaves behind would be what the next one finds: a file that leaves a
 * global changed fails here, by name. One that has to change it, or imports what does, belongs to the project `alone`.
 */
import { afterAll } from 'vitest';

const owners: readonly (readonly [string, object, readonly string[]])[] = [
  [
    'globalThis',
    globalThis,
    [
      ...['Request', 'Response', 'Headers', 'fetch', 'AbortSignal', 'AbortController', 'ReadableStream', 'TransformStream'],
      ...[
        'Date',
        'setTimeout',
        'clearTimeout',
        'setInterval',
        'clearInterval',
        'setImmediate',
        'queueMicrotask',
        'structuredClone',
      ],
    ],
  ],
  ['JSON', JSON, ['parse', 'stringify']],
  ['performance', performance, ['now']],
  ['crypto', crypto, ['getRandomValues', 'randomUUID']],
  ['console', console, ['debug', 'log', 'info', 'warn', 'error']],
];

function found(): Map<string, unknown> {
  const values = owners.flatMap(([owner, object, names]) =>
    names.map((name): [string, unknown] => [`${owner}.${name}`, Reflect.get(object, name)]),
  );
  return new Map([...values, ...Object.entries(process.env).map(([name, value]): [string, unknown] => [`env ${name}`, value])]);
}

const before = found();
const { random } = Math;

afterAll(() => {
  // A simulated herd draws by its seed (herd/virtual.ts) to the end of its file.
  Math.random = random;
  const after = found();
  const changed = [...new Set([...before.keys(), ...after.keys()])].filter((name) => before.get(name) !== after.get(name));
  if (changed.length > 0) {
    throw new Error(`leaves ${changed.join(', ')} changed: put it back, or list this file in vitest.config.ts under \`alone\``);
  }
});
