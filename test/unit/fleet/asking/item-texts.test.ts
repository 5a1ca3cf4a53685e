import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { itemTexts } from '../../../../src/fleet/asking/item-texts.ts';

describe('the items of a list in a JSON text', () => {
  it.each([
    ['{"models":[]}', []],
    [' { "models" : [ 1 , "a,]" , {"b":[1,2]} , [ ] , null ] } ', ['1', '"a,]"', '{"b":[1,2]}', '[ ]', 'null']],
    ['{"x":{"models":[1]},"models":["\\"]"]}', ['"\\"]"']],
    ['{"models":[1],"models":[2]}', ['2']],
    ['{"m\\u006fdels":[3.0e+1]}', ['3.0e+1']],
    ['{"models":"[1]"}', undefined],
    ['{}', undefined],
    ['[1]', undefined],
  ])('%s', (json, expected) => {
    expect(itemTexts(json, 'models')).toEqual(expected);
  });

  it('are what was written, for any list', () => {
    fc.assert(
      fc.property(
        fc.array(fc.jsonValue()),
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.constantFrom(undefined, 1, '\t'),
        (items, rest, indent) => {
          const { models: _, ...others } = rest;
          const texts = itemTexts(JSON.stringify({ ...others, models: items }, undefined, indent), 'models');
          expect(texts?.map((text) => JSON.parse(text))).toEqual(JSON.parse(JSON.stringify(items)));
          expect(texts?.every((text) => text === text.trim())).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });
});
