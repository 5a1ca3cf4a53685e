import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../../src/errors.ts';
import { builtinNames, builtinRule } from '../../../../src/policies/guards/builtins.ts';
import { drive, Lane, maxHeldCharacters } from '../../../../src/policies/guards/lane.ts';
import { type GuardRule, masked, patternRule } from '../../../../src/policies/guards/rule.ts';
import { RuleStage } from '../../../../src/policies/guards/stage.ts';
import { WebhookStage } from '../../../../src/policies/guards/webhook-stage.ts';

const laneOf = (rules: readonly GuardRule[]) => new Lane(() => rules.map((rule) => new RuleStage(rule, () => rule.mask)), false);

/** What left, piece by piece, and the most that was held. */
function run(rules: readonly GuardRule[], pieces: readonly string[]): { left: string[]; mostHeld: number } {
  const lane = laneOf(rules);
  const left: string[] = [];
  let mostHeld = 0;
  for (const piece of pieces) {
    left.push(drive(lane.push(piece)) as string);
    mostHeld = Math.max(mostHeld, lane.held);
  }
  left.push(drive(lane.end()) as string);
  return { left, mostHeld };
}

function cut(text: string, places: readonly number[]): string[] {
  const sorted = [0, ...places.map((place) => place % (text.length + 1)).sort((a, b) => a - b), text.length];
  return sorted.slice(1).map((to, index) => text.slice(sorted[index], to));
}

const patterns = [
  'sk-[A-Za-z0-9]{20,40}',
  '(?i)password\\s*[:=]\\s*\\S{1,40}',
  '\\b(?:alpha|beta)\\b',
  '^start',
  'end$',
  'a.{0,5}b|ab{2}',
  '(?m)^-+$',
  'é[à-ü]*x',
  '<[A-Z_]+>',
  '(?:ab)+',
];
const ruleSets: readonly (readonly GuardRule[])[] = [
  ...builtinNames.map((name) => [builtinRule(name)]),
  ...patterns.map((pattern) => [patternRule(pattern)]),
  builtinNames.map(builtinRule),
  [builtinRule('ssn'), patternRule('<SSN> and \\w+'), builtinRule('phoneNumber'), builtinRule('email')],
];

const words = fc.constantFrom(
  ...['078-05-1120', '123456789', '12345-6789', '4111 1111 1111 1111', '+1 415 555 2671', '415-555-2671', '12:30', '2024-01-15'],
  ...['a@b.com', 'x.y+z@sub.example.co.uk', '@', 'a@b', 'end.', 'start', 'end', '-', '---', '\n', ' ', '  ', '.', '(', 'and'],
  ...['sk-abcdefghijklmnopqrstuv', 'sk-abc', 'password: hunter2', 'PassWord=x', 'alpha', 'beta', 'alphabet', 'ab', 'abb', 'a..b'],
  ...['é', 'éàx', '😀', 'ü', '<masked>', '<', '1', '23', '456', 'x', 'Zürich', '046 454 286'],
);
const texts = fc
  .array(fc.tuple(words, fc.constantFrom('', '', ' ', ', ')), { maxLength: 14 })
  .map((parts) => parts.flat().join(''));

describe('a text that comes bit by bit', () => {
  test.each(ruleSets.map((rules) => [rules.map(({ name }) => name).join(', '), rules] as const))(
    '%s: what leaves is what the whole text would have become',
    (_, rules) => {
      fc.assert(
        fc.property(texts, fc.array(fc.nat(500), { maxLength: 60 }), (text, places) => {
          const expected = rules.reduce((left, rule) => masked(rule, left), text);
          expect(run(rules, cut(text, places)).left.join('')).toBe(expected);
        }),
        { numRuns: 400 },
      );
    },
  );

  test('cut within a pair, again and again: engines compile what runs often', () => {
    const text = 'a text that is long enough 😀12345-6789, and so on';
    const rules = [builtinRule('ssn')];
    const place = text.indexOf('😀') + 1;
    for (let round = 0; round < 3_000; round++) {
      const left = run(rules, [text.slice(0, place), text.slice(place, place + 2), text.slice(place + 2)]).left.join('');
      if (left !== 'a text that is long enough 😀<SSN>, and so on') expect([round, left]).toEqual([]);
    }
  });

  test('character by character, too', () => {
    const text = 'Call 415-555-2671 or mail a.b@c.de, ssn 078-05-1120; card 4111-1111-1111-1111 (sin 046 454 286).';
    const rules = (['creditCard', 'ssn', 'phoneNumber', 'email'] as const).map(builtinRule);
    expect(run(rules, [...text]).left.join('')).toBe(
      'Call <PHONE_NUMBER> or mail <EMAIL_ADDRESS>, ssn <SSN>; card <CREDIT_CARD> (sin <PHONE_NUMBER>).',
    );
  });

  test('nothing is held that cannot become a match', () => {
    const { left } = run([patternRule('sk-[a-z]{3,9}'), builtinRule('ssn')], ['Good', ' morning, s', 'un', '. sk-ab', 'c', 'd!']);
    expect(left).toEqual(['Good', ' morning, ', 'sun', '. ', '', '<masked>!', '']);
  });

  test('an address is held no longer than its word', () => {
    expect(run([builtinRule('email')], ['Hello wor', 'ld and a@', 'b.de bye']).left).toEqual([
      'Hello ',
      'world and ',
      '<EMAIL_ADDRESS> ',
      'bye',
    ]);
  });
});

describe('the limit of what is held', () => {
  test('is kept, whatever the pattern wants', () => {
    for (const pattern of ['x[^y]*y', '(?s)x.+z', '(?:x[a-i]+)*!']) {
      const { left, mostHeld } = run(
        [patternRule(pattern)],
        Array.from({ length: 300 }, () => 'xabcdefghi'),
      );
      expect(mostHeld).toBe(maxHeldCharacters);
      expect(left.join('')).toBe('xabcdefghi'.repeat(300));
      expect(left.slice(0, -1).join('').length).toBe(3_000 - maxHeldCharacters);
    }
  });

  test('a match that is no longer is still found at the limit', () => {
    const rule = patternRule('(?s)x.*y');
    const secret = `x${'-'.repeat(maxHeldCharacters - 2)}y`;
    const { left } = run([rule], ['a', ...(secret.match(/.{1,7}/gs) ?? []), 'b']);
    expect(left.join('')).toBe('a<masked>b');
  });

  test('one that is longer leaves in part: that is what the warning says', () => {
    const rule = patternRule('x-{900}-{900}-{900}y');
    const { left, mostHeld } = run([rule], (`x${'-'.repeat(2_700)}y`.match(/.{1,50}/gs) ?? []) as string[]);
    expect(left.join('')).toContain('-'.repeat(1_000));
    expect(mostHeld).toBe(maxHeldCharacters);
  });

  test('rules share it', () => {
    const rules = ['x[^1]*1', 'x[^2]*2', 'x[^3]*3'].map(patternRule);
    const { left, mostHeld } = run(
      rules,
      Array.from({ length: 100 }, () => `x${'-'.repeat(40)}`),
    );
    expect(mostHeld).toBeLessThanOrEqual(maxHeldCharacters);
    expect(left.join('')).toBe(`x${'-'.repeat(40)}`.repeat(100));
  });
});

describe('a text that goes on after it had ended', () => {
  test('does not get a secret through in two halves', () => {
    const lane = laneOf([builtinRule('ssn')]);
    const left = [drive(lane.push('ssn 078-05-')), drive(lane.end()), drive(lane.push('1120 ok')), drive(lane.end())];
    expect(left).toEqual(['ssn ', '078-05-', '<SSN> ok', '']);
  });

  test('loses nothing when it was no secret', () => {
    const lane = laneOf([builtinRule('email'), builtinRule('ssn')]);
    const left = [drive(lane.push('one two')), drive(lane.end()), drive(lane.push(' three')), drive(lane.end())];
    expect(left.join('')).toBe('one two three');
  });
});

describe('a rejection', () => {
  test('comes before anything of the match has left', () => {
    const rule = patternRule('forbidden');
    const lane = new Lane(
      () => [
        new RuleStage(rule, () => {
          throw new GatewayError('guard_rejected', 'no');
        }),
      ],
      false,
    );
    expect(drive(lane.push('this is forb'))).toBe('this is ');
    expect(() => drive(lane.push('idden fruit'))).toThrow('no');
  });
});

describe('a webhook', () => {
  const stageOf = (judge: (window: string) => string) => {
    const windows: string[] = [];
    const stage = new WebhookStage(async (window) => {
      windows.push(window);
      return judge(window);
    });
    return { lane: new Lane(() => [stage], false), windows };
  };

  test('sees windows of 1024 that overlap by 256, and what it passes leaves unchanged', async () => {
    const text = Array.from({ length: 300 }, (_, index) => `word${index} `).join('');
    const { lane, windows } = stageOf((window) => window);
    let left = '';
    for (const piece of text.match(/.{1,100}/gs) ?? []) {
      left += await drive(lane.push(piece));
      expect(lane.held).toBeLessThan(1_024);
    }
    left += await drive(lane.end());
    expect(left).toBe(text);
    for (const window of windows.slice(0, -1)) expect(window.length).toBeGreaterThanOrEqual(1_024);
    for (const [index, window] of windows.slice(1).entries())
      expect(window.startsWith((windows[index] ?? '').slice(-256))).toBe(true);
  });

  test('masks what lies across two windows', async () => {
    const { lane } = stageOf((window) => window.replaceAll('TOPSECRET', '***'));
    let left = '';
    for (const piece of [`${'a'.repeat(1_015)} TOPS`, 'a'.repeat(4), 'x', `${'b'.repeat(900)}TOPSE`, `CRET${'c'.repeat(200)}`]) {
      left += await drive(lane.push(piece));
    }
    left += await drive(lane.end());
    expect(left).toBe(`${'a'.repeat(1_015)} TOPSaaaax${'b'.repeat(900)}***${'c'.repeat(200)}`);
  });

  test('is not asked again for what it has seen', async () => {
    const { lane, windows } = stageOf((window) => window);
    await drive(lane.push('a'.repeat(1_024)));
    expect(await drive(lane.end())).toBe('a'.repeat(256));
    expect(windows).toHaveLength(1);
  });
});
