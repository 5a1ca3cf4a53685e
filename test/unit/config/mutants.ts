/** Ways in which configurations go wrong: by slips of the hand, by other programs, and on purpose. */
import fc from 'fast-check';
import { parse, stringify } from 'yaml';

/** One thing done to a text. */
type Mutation = (text: string) => string;

const bits = [
  '- ',
  ': ',
  '\t',
  '"',
  "'",
  '[',
  ']',
  '{',
  '}',
  '#',
  '&a ',
  '*a',
  '!x ',
  '|',
  '>',
  '\n',
  '\r\n',
  '---\n',
  '$',
  '${',
  '${A:-',
  '$$',
  '~',
  '<<: ',
  '? ',
  '\u0000',
  '\uD800',
  '\uE000',
  '\uFEFF',
  '\u2028',
  'null',
  '5',
  'true',
  '__proto__: 1\n',
  'constructor: {}\n',
];

const place = fc.double({ min: 0, max: 1, noNaN: true });
const few = fc.integer({ min: 0, max: 12 });

function at(part: number, length: number): number {
  return Math.min(Math.floor(part * length), Math.max(0, length - 1));
}

/** Something is written in between, or instead of what stood there. */
const edit = fc
  .record({
    where: place,
    remove: few,
    insert: fc.oneof(fc.constantFrom(...bits), fc.constant(''), fc.string({ maxLength: 4, unit: 'binary' })),
  })
  .map(
    ({ where, remove, insert }): Mutation =>
      (text) => {
        const start = at(where, text.length);
        return text.slice(0, start) + insert + text.slice(start + remove);
      },
  );

/** One bit of one byte is another one. */
const flip = fc.record({ where: place, bit: fc.integer({ min: 0, max: 7 }) }).map(
  ({ where, bit }): Mutation =>
    (text) => {
      const bytes = new TextEncoder().encode(text);
      const index = at(where, bytes.length);
      bytes[index] = (bytes[index] ?? 0) ^ (1 << bit);
      return new TextDecoder().decode(bytes);
    },
);

/** Lines go missing, stand twice, stand elsewhere, or are indented otherwise. */
const lines = fc
  .record({
    one: place,
    other: place,
    what: fc.constantFrom('delete', 'duplicate', 'swap', 'indent', 'dedent', 'cut'),
    count: fc.integer({ min: 1, max: 3 }),
  })
  .map(
    ({ one, other, what, count }): Mutation =>
      (text) => {
        const all = text.split('\n');
        const [first, second] = [at(one, all.length), at(other, all.length)];
        const [line = '', instead = ''] = [all[first], all[second]];
        if (what === 'delete') all.splice(first, count);
        else if (what === 'duplicate') all.splice(second, 0, ...all.slice(first, first + count));
        else if (what === 'indent') all[first] = `${' '.repeat(count)}${line}`;
        else if (what === 'dedent') all[first] = line.replace(new RegExp(`^ {0,${count}}`), '');
        else if (what === 'cut') all.splice(first);
        else [all[first], all[second]] = [instead, line];
        return all.join('\n');
      },
  );

/** Deep, wide or long, and what JavaScript itself calls something. */
const strange = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    0,
    -1,
    1.5,
    65_536,
    1e308,
    -(2 ** 53),
    '',
    ' ',
    '*',
    '**',
    '$A',
    '0s',
    '999999999h',
    'localhost',
    'localhost:99999999',
    'http://[::1',
    '(?<a>',
    '(a+)+$',
    '__proto__',
    'toString',
    'a\u0000b',
    '\uD83D\uDE00',
    '\u202Eabc',
    'É'.repeat(300),
    'x'.repeat(20_000),
    [],
    {},
    [[]],
    [null],
    { '': 1 },
    { constructor: 1 },
    { file: '/nowhere' },
    Array.from({ length: 300 }, (_, index) => index),
  ),
  fc.integer({ min: 1, max: 400 }).map((depth) => nested(depth, 'list')),
  fc.integer({ min: 1, max: 400 }).map((depth) => nested(depth, 'map')),
  fc.jsonValue({ maxDepth: 3 }),
);

function nested(depth: number, kind: 'list' | 'map'): unknown {
  let value: unknown = 'core';
  for (let level = 0; level < depth; level++) value = kind === 'list' ? [value] : { policies: value };
  return value;
}

interface Holder {
  readonly holder: Record<string, unknown> | unknown[];
  readonly key: string | number;
}

function holdersIn(value: unknown): Holder[] {
  if (typeof value !== 'object' || value === null) return [];
  const holder = value as Record<string, unknown>;
  return Object.keys(value).flatMap((name) => {
    const key = Array.isArray(value) ? Number(name) : name;
    return [{ holder, key }, ...holdersIn(holder[name])];
  });
}

function get({ holder, key }: Holder): unknown {
  return (holder as Record<string | number, unknown>)[key];
}

function put({ holder, key }: Holder, value: unknown): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}

/** Something else that stands below a key of this name. */
function alikeIn(all: readonly Holder[], { key }: Holder, where: number): Holder {
  const alike = all.filter((holder) => holder.key === key);
  return alike[at(where, alike.length)] as Holder;
}

/** Changes values and not texts: what comes out is YAML, so that later stages see it, too. `keys`: names to choose from. */
function values(keys: readonly string[]): fc.Arbitrary<Mutation> {
  return fc
    .record({
      one: place,
      other: place,
      what: fc.constantFrom('replace', 'copy', 'match', 'match', 'rename', 'add', 'remove', 'wrap', 'repeat'),
      value: strange,
      key: fc.oneof({ arbitrary: fc.constantFrom(...keys), weight: 9 }, { arbitrary: fc.string({ maxLength: 5 }), weight: 1 }),
    })
    .map(
      ({ one, other, what, value, key }): Mutation =>
        (text) => {
          const whole = { it: read(text) };
          const all = holdersIn(whole);
          const [here, there] = [all[at(one, all.length)], all[at(other, all.length)]];
          if (here === undefined || there === undefined) return text;
          const inside = get(here);
          if (what === 'replace') put(here, value);
          else if (what === 'copy') put(here, structuredClone(get(there)));
          else if (what === 'match') put(here, structuredClone(get(alikeIn(all, here, other))));
          else if (what === 'wrap') put(here, [inside]);
          else if (what === 'repeat' && Array.isArray(inside)) inside.push(...structuredClone(inside));
          else if (what === 'remove') delete (here.holder as Record<string | number, unknown>)[here.key];
          else if (what === 'add' && typeof inside === 'object' && inside !== null)
            put({ holder: inside as Record<string, unknown>, key }, structuredClone(get(there)));
          else if (typeof here.key === 'string') {
            delete (here.holder as Record<string, unknown>)[here.key];
            put({ holder: here.holder, key }, inside);
          }
          return written(whole.it);
        },
    );
}

function read(text: string): unknown {
  try {
    return parse(text, { logLevel: 'silent' });
  } catch {
    return undefined;
  }
}

function written(value: unknown): string {
  try {
    return stringify(value, { aliasDuplicateObjects: false }) ?? '';
  } catch {
    return JSON.stringify(value) ?? '';
  }
}

/** One of the texts after several mutations. `keys`: names to put into them. */
export function mutants(texts: readonly string[], keys: readonly string[]): fc.Arbitrary<string> {
  const mutations = fc.array(fc.oneof(edit, flip, lines, { arbitrary: values(keys), weight: 4 }), { minLength: 1, maxLength: 3 });
  return fc
    .tuple(fc.constantFrom(...texts), mutations)
    .map(([text, all]) => all.reduce((current, mutate) => mutate(current), text));
}
