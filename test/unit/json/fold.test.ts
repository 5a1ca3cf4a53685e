import { expect, test } from 'vitest';
import { foldName } from '../../../src/json/fold.ts';

test.each([
  ['model', 'model'],
  ['MODEL', 'model'],
  ['Stream_Options', 'stream_options'],
  ['meſſages', 'messages'],
  ['\u212aeep_alive', 'keep_alive'],
  ['ma\u017f\u212a', 'mask'],
  ['', ''],
  ['modèle', 'modèle'],
  ['\u0130nput', '\u0130nput'], // İ has no simple folding.
  ['ｍodel', 'ｍodel'], // Full-width letters fold among themselves.
  ['mode\ud800', 'mode\ud800'],
])('%j folds to %j', (name, folded) => {
  expect(foldName(name)).toBe(folded);
});

test('of all runes just those fold to ASCII that a regular expression under simple folding takes for ASCII letters', () => {
  const found: string[] = [];
  for (let code = 0; code <= 0x10ffff; code++) {
    const rune = String.fromCodePoint(code);
    const folded = foldName(rune);
    const isLetter = /^[a-z]$/.test(folded);
    if (isLetter !== /^[a-z]$/iu.test(rune)) expect.fail(`U+${code.toString(16)}`);
    if (isLetter && !new RegExp(`^${folded}$`, 'iu').test(rune)) expect.fail(`U+${code.toString(16)}`);
    if (isLetter && code > 127) found.push(rune);
  }
  expect(found).toEqual(['\u017f', '\u212a']);
});
