/** Random objects with random spellings, read and edited, against a model of what Go does. */
import * as fc from 'fast-check';
import { parse } from 'lossless-json';
import { describe, expect, test } from 'vitest';
import type { ObjectText } from '../../../src/json/object-text.ts';
import { readObject } from '../../../src/json/read-object.ts';

const names = ['model', 'messages', 'stream', 'tools', 'keep_alive', 'k', 'options', 'x'] as const;

/** Go's field for a member name: strings.EqualFold, here as a regular expression under Unicode simple folding. */
function fieldOf(spelled: string): string {
  return names.find((name) => new RegExp(`^${name}$`, 'iu').test(spelled)) ?? spelled;
}

const spelling = (letter: string) => {
  const forms = [letter, letter.toUpperCase(), `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`];
  if (letter === 's') forms.push('\u017f', '\\u017F');
  if (letter === 'k') forms.push('\u212a');
  return fc.oneof({ weight: 5, arbitrary: fc.constant(letter) }, fc.constantFrom(...forms));
};
const knownKey = fc
  .constantFrom(...names)
  .chain((name) => fc.tuple(...[...name].map(spelling)).map((parts) => `"${parts.join('')}"`));
const strangeKey = fc.constantFrom(
  '"Ünknown"',
  '"a\\"b"',
  '""',
  '"\\\\"',
  '"{"',
  '"🦊"',
  '"\\ud800"',
  '"__proto__"',
  '"1"',
  '"\\u2028,"',
);
const key = fc.oneof({ weight: 4, arbitrary: knownKey }, strangeKey);

const value = fc.oneof(
  fc.constantFrom('1.0', '12345678901234567890', '-0', '1e400', 'true', 'null', '""', '[]', '{}', '"\\u0041\\/"', '"\\udc00x"'),
  fc.constantFrom('{"a":1, "A" : [ {"}":"]"} ] }', '[ 1 ,"," , {"x":1,"x":2}]', '"\\\\"', '"\\\\\\""', '"日本語 🦊"'),
  { weight: 1, arbitrary: fc.constantFrom('A', 'é', '🦊').map((letter) => `"${letter.repeat(5_000)}"`) },
  fc.nat(80).map((count) => `"${'\\\\'.repeat(count)}\\"${'y'.repeat(count)}"`),
  fc.json(),
  fc.string({ unit: 'binary' }).map((text) => JSON.stringify(text)),
);
const space = fc.constantFrom('', '', '', ' ', '\n', '\t\r\n ');

interface Member {
  readonly text: string;
  readonly name: string;
  readonly value: string;
}
const member: fc.Arbitrary<Member> = fc
  .tuple(space, key, space, space, value, space)
  .map(([before, keyText, afterKey, beforeValue, valueText, after]) => ({
    text: `${before}${keyText}${afterKey}:${beforeValue}${valueText}${after}`,
    name: JSON.parse(keyText) as string,
    // fc.json may write spaces at its ends; a member's text has none.
    value: valueText.trim(),
  }));
const members = fc.array(member, { maxLength: 12 });
const textOf = (list: readonly Member[]) => ` {${list.map(({ text }) => text).join(',')}}\n`;

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder('utf-8', { fatal: true }).decode(bytes);

/** Field → value text, the last one winning. */
function modelOf(list: readonly Member[]): Map<string, string> {
  return new Map(list.map((one) => [fieldOf(one.name), one.value]));
}

function expectToHold(object: ObjectText, model: ReadonlyMap<string, string>): void {
  for (const name of [...names, ...model.keys()]) {
    expect(object.has(name)).toBe(model.has(name));
    expect(object.textOf(name)).toBe(model.get(name));
    const json = model.get(name);
    expect(object.get(name)).toEqual(json === undefined ? undefined : parsed(json));
  }
}

/** Not JSON.parse: V8 misreads escaped names now and then (nodejs/node issue 63785), and these properties found it out. */
function parsed(json: string): unknown {
  return parse(json, undefined, { parseNumber: Number, onDuplicateKey: ({ newValue }) => newValue });
}

/** The names of the members as they stand in the text, each spelling once. */
function spellingsIn(text: string): string[] {
  return Object.keys(parsed(text) as object);
}

test('reading: the last spelling wins, texts are exact', () => {
  fc.assert(
    fc.property(members, (list) => expectToHold(readObject(encode(textOf(list))), modelOf(list))),
    { numRuns: 400 },
  );
});

test('forwarding: the same object when nothing loses, else the same members without a losing spelling', () => {
  fc.assert(
    fc.property(members, (list) => {
      const model = modelOf(list);
      const bytes = encode(textOf(list));
      const sent = readObject(bytes).draft().bytes();
      if (model.size === list.length) expect(sent).toBe(bytes);
      expect(spellingsIn(decode(sent)).map(fieldOf).sort()).toEqual([...model.keys()].sort());
      // JSON.parse keeps the last of equal names, so a left-over loser would have to come before; counting finds it.
      const winners = list.filter((one, at) => !list.slice(at + 1).some((later) => fieldOf(later.name) === fieldOf(one.name)));
      const tokens = winners
        .map(({ text }) => text.trim())
        .join('')
        .replace(/\s/g, '');
      expect(decode(sent).replace(/\s/g, '').length).toBe(tokens.length + 2 + Math.max(0, winners.length - 1));
      for (const { text } of winners) expect(decode(sent)).toContain(text.trim());
      expectToHold(readObject(sent), model);
    }),
    { numRuns: 400 },
  );
});

describe('editing', () => {
  const edit = fc.record({
    name: fc.constantFrom(...names, 'added', 'Other'),
    json: fc.option(fc.constantFrom('"é"', '1.0', '[{"a":98765432109876543210}]', '"\\ud800"'), { nil: undefined }),
  });

  test('edited members change, all others stay as they are, byte by byte', () => {
    fc.assert(
      fc.property(members, fc.array(edit, { maxLength: 6 }), (list, edits) => {
        const model = modelOf(list);
        const draft = readObject(encode(textOf(list))).draft();
        for (const { name, json } of edits) {
          if (json === undefined) {
            draft.delete(name);
            model.delete(name);
          } else {
            draft.setText(name, json);
            model.set(name, json);
          }
          expect([draft.has(name), draft.textOf(name)]).toEqual([model.has(name), model.get(name)]);
        }
        const sent = draft.bytes();
        expectToHold(readObject(sent), model);
        expect(spellingsIn(decode(sent))).toHaveLength(model.size);
        const touched = new Set(edits.map(({ name }) => fieldOf(name)));
        for (const [at, one] of list.entries()) {
          const isWinner = !list.slice(at + 1).some((later) => fieldOf(later.name) === fieldOf(one.name));
          if (isWinner && !touched.has(fieldOf(one.name))) expect(decode(sent)).toContain(one.text.trim());
        }
      }),
      { numRuns: 400 },
    );
  });
});

test('any text at all either reads as an object or is refused, as JSON.parse decides', () => {
  const scrap = fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '\\', '"a"', '1', 'null', ' ', '\n', '\u0000', 'é');
  fc.assert(
    fc.property(fc.array(scrap, { maxLength: 14 }), (pieces) => {
      const text = `{${pieces.join('')}`;
      let object: ObjectText | undefined;
      try {
        object = readObject(encode(text));
      } catch (error) {
        expect(error).toMatchObject({ code: 'invalid_body', status: 400 });
      }
      // Go reads the first value and leaves the rest: some beginning of the text must be an object.
      const ends = [...text.matchAll(/\}/g)].map(({ index }) => text.slice(0, index + 1));
      expect(object !== undefined).toBe(ends.some(isJson));
    }),
    { numRuns: 3000 },
  );
});

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
