import examples from 'libphonenumber-js/examples.mobile.json' with { type: 'json' };
import { describe, expect, test } from 'vitest';
import { type BuiltinName, builtinNames, builtinRule } from '../../../../src/policies/guards/builtins.ts';
import { phonePlansJson } from '../../../../src/policies/guards/phone-plans.ts';
import { masked } from '../../../../src/policies/guards/rule.ts';

/** What agentgateway's recognisers do, and where a comment says so, what this one does on purpose. */
const cases: readonly [BuiltinName, string, string][] = [
  ['ssn', 'ssn 078-05-1120.', 'ssn <SSN>.'],
  ['ssn', '078.05.1120 078 05 1120', '<SSN> <SSN>'],
  ['ssn', '07805-1120 and 078-051120 and 078051120', '<SSN> and <SSN> and <SSN>'],
  ['ssn', '0780511201 x07805112 078-05-11200', '0780511201 x07805112 078-05-11200'],
  ['ssn', 'order 123456789', 'order <SSN>'],
  // Two patterns that overlap are one mask.
  ['ssn', '12345-6789-12-3456', '<SSN>-12-3456'],
  ['creditCard', '4111 1111 1111 1111', '<CREDIT_CARD>'],
  ['creditCard', '5500-0000-0000-0004, 378282246310005', '<CREDIT_CARD>, <CREDIT_CARD>'],
  ['creditCard', '6011111111111117 and 1234567890123456', '<CREDIT_CARD> and <CREDIT_CARD>'],
  ['creditCard', '2111 1111 1111 1111', '2111 1111 1111 1111'],
  ['creditCard', '5600 0000 0000 0000', '5600 0000 0000 0000'],
  ['phoneNumber', 'call +1 415 555 2671, now', 'call <PHONE_NUMBER>, now'],
  ['phoneNumber', '415-555-2671', '<PHONE_NUMBER>'],
  ['phoneNumber', '(415) 555-2671', '<PHONE_NUMBER>'],
  ['phoneNumber', '+44 20 7946 0958 / +33 1 42 68 53 00', '<PHONE_NUMBER> / <PHONE_NUMBER>'],
  ['phoneNumber', '+91 98765 43210', '<PHONE_NUMBER>'],
  ['phoneNumber', '192.168.1.1 and 1 000 000 and 12:30', '192.168.1.1 and 1 000 000 and 12:30'],
  // agentgateway takes the blank behind a number for a part of it, and misses a number with a count behind it.
  ['phoneNumber', 'call 415-555-2671 twice', 'call <PHONE_NUMBER> twice'],
  ['phoneNumber', '415-555-2671 12345678', '<PHONE_NUMBER> 12345678'],
  ['email', 'mail a@b.com, x.y+z@sub.example.co.uk!', 'mail <EMAIL_ADDRESS>, <EMAIL_ADDRESS>!'],
  ['email', 'a@b c@d. @x.y a@b@c.de', 'a@b c@d. @x.y a@<EMAIL_ADDRESS>'],
  ['email', 'end a@b.com.', 'end <EMAIL_ADDRESS>'],
  ['email', 'a@b.c@d.e', '<EMAIL_ADDRESS>@d.e'],
  ['caSin', '046 454 286, 046-454-286, 046454286', '<CA_SIN>, <CA_SIN>, <CA_SIN>'],
  ['caSin', '046.454.286', '046.454.286'],
];

describe('builtins', () => {
  test.each(cases)('%s: %s', (name, text, expected) => {
    expect(masked(builtinRule(name), text)).toBe(expected);
  });

  test('no country of the world has got lost from the numbering plans', () => {
    const { country_calling_codes: codes } = JSON.parse(phonePlansJson) as { country_calling_codes: Record<string, string[]> };
    const missed = Object.entries(codes).flatMap(([code, countries]) =>
      countries.flatMap((country) => {
        const example = (examples as Record<string, string>)[country];
        const text = `call +${code} ${example}, now`;
        return example === undefined || masked(builtinRule('phoneNumber'), text) !== 'call <PHONE_NUMBER>, now' ? [text] : [];
      }),
    );
    expect(missed).toEqual([]);
    expect(Object.values(codes).flat().length).toBeGreaterThan(240);
  });

  test('all are here, each made once', () => {
    expect([...builtinNames].sort()).toEqual(['caSin', 'creditCard', 'email', 'phoneNumber', 'ssn']);
    for (const name of builtinNames) expect(builtinRule(name)).toBe(builtinRule(name));
  });

  test('the longest match of each is known, so that a stream knows what to hold', () => {
    const lengths = Object.fromEntries(builtinNames.map((name) => [name, builtinRule(name).program.maxLength]));
    expect(lengths).toEqual({
      ssn: 11,
      creditCard: 20,
      phoneNumber: Number.POSITIVE_INFINITY,
      email: Number.POSITIVE_INFINITY,
      caSin: 11,
    });
  });

  test('a search from a place sees what stands before it', () => {
    expect(builtinRule('ssn').find('x078051120', 1)).toEqual([]);
    expect(builtinRule('email').find('a@b.cd', 1)).toEqual([]);
    expect(builtinRule('phoneNumber').find('14155552671', 1)).toEqual([]);
  });

  test('texts full of what looks like a match do not take for ever', () => {
    const startedMs = performance.now();
    for (const text of [
      'a@'.repeat(50_000),
      '1 '.repeat(50_000),
      '@'.repeat(100_000),
      '4111-'.repeat(20_000),
      '1234567 x '.repeat(20_000),
    ]) {
      for (const name of builtinNames) builtinRule(name).find(text, 0);
    }
    expect(performance.now() - startedMs).toBeLessThan(6_000);
  });
});
