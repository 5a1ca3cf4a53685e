import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { withConditions } from '../../../src/policies/conditional.ts';
import { definePolicy } from '../../../src/policies/policy.ts';
import { ask, type FakeRequest, fakeAttempt, fakeScope } from './fake-exchange.ts';

const shape = { say: z.string() };
const options = z.strictObject(shape);
type Options = z.output<typeof options>;

const plain = definePolicy<Options>({
  name: 'sayer',
  about: 'Says something.',
  places: ['route', 'backend'],
  options,
  example: '',
  onRequest: ({ say }, { stateKey }) => (say === 'nothing' ? undefined : async () => new Response(`${say} at ${stateKey}`)),
  onBackendAttempt:
    ({ say }) =>
    ({ outgoing }) => {
      outgoing.headers['x-say'] = say;
    },
  onBackendAnswer:
    ({ say }) =>
    (_, { headers }) =>
      headers.set('x-say', say),
  protects: ({ say }) => say === 'locked',
  refuses: ({ say }, runtime) => (say === runtime ? `not on ${runtime}` : undefined),
});

const sayer = withConditions(plain, (condition) =>
  z.strictObject({ ...shape, ...condition }).transform(({ condition: when, ...rest }) => ({ condition: when, options: rest })),
);

function conditional(...entries: unknown[]) {
  return sayer.options.parse({ conditional: entries });
}

async function said(given: unknown, fake: FakeRequest = {}): Promise<string> {
  const middleware = sayer.onRequest?.(sayer.options.parse(given), fakeScope());
  if (middleware === undefined) return 'no middleware';
  return (await ask(middleware, fake)).response.text();
}

const entries = [
  { condition: 'request.path.startsWith("/admin")', say: 'admin' },
  { condition: 'request.headers["x-none"] == "fails"', say: 'never' },
  { condition: 'request.method == "POST"', say: 'post' },
];

describe('the first entry whose condition is true', () => {
  it('applies, with a place of its own', async () => {
    expect(await said({ conditional: entries }, { path: '/admin', method: 'POST' })).toBe('admin at p/conditional[0]');
    expect(await said({ conditional: entries }, { path: '/x', method: 'POST' })).toBe('post at p/conditional[2]');
  });

  it('may be none: then the policy is passed over', async () => {
    expect(await said({ conditional: entries }, { path: '/x' })).toBe('ok');
  });

  it('is the last one without condition when no other is', async () => {
    expect(await said({ conditional: [...entries, { say: 'else' }] }, { path: '/x' })).toBe('else at p/conditional[3]');
    expect(await said({ conditional: [{ condition: 'true', say: 'nothing' }, { say: 'else' }] })).toBe('ok');
  });

  it('may read the body', async () => {
    const given = { conditional: [{ condition: 'json(request.body).model == "big"', say: 'big' }, { say: 'small' }] };
    expect(await said(given, { body: '{"model":"big"}' })).toBe('big at p/conditional[0]');
    expect(await said(given, { body: '{"model":"x"}' })).toBe('small at p/conditional[1]');
  });

  it('applies to tries and their answers, too', async () => {
    const given = conditional({ condition: 'json(request.body).model == "big"', say: 'big' }, { say: 'small' });
    const edit = sayer.onBackendAttempt?.(given, fakeScope());
    const attempt = fakeAttempt({ body: '{"model":"big"}' });
    await edit?.(attempt);
    expect(attempt.outgoing.headers).toEqual({ 'x-say': 'big' });
    const headers = new Headers();
    sayer.onBackendAnswer?.(given, fakeScope())?.(attempt.exchange, { status: 200, headers });
    expect(headers.get('x-say')).toBe('big');
  });
});

describe('the plain form', () => {
  it('is what it was', async () => {
    expect(await said({ say: 'hello' })).toBe('hello at p');
    expect(await said({ say: 'nothing' })).toBe('no middleware');
    expect(sayer.protects?.({ say: 'locked' })).toBe(true);
  });
});

describe('conditions', () => {
  it('lock only what they lock for every request', () => {
    const locked = { say: 'locked' };
    expect(sayer.protects?.(conditional({ ...locked, condition: 'true' }, locked))).toBe(true);
    expect(sayer.protects?.(conditional({ ...locked, condition: 'true' }))).toBe(false);
    expect(sayer.protects?.(conditional({ ...locked, condition: 'true' }, { say: 'open' }))).toBe(false);
  });

  it('cannot bring what a runtime cannot have', () => {
    expect(sayer.refuses?.(conditional({ condition: 'true', say: 'x' }, { say: 'workerd' }), 'workerd')).toBe('not on workerd');
    expect(sayer.refuses?.(conditional({ condition: 'true', say: 'x' }, { say: 'workerd' }), 'node')).toBeUndefined();
  });

  it('are warned of when they read what is not there', () => {
    const warnings: string[] = [];
    sayer.onRequest?.(
      conditional({ condition: 'llm.requestModel == "x"', say: 'x' }),
      fakeScope({ warn: (message) => warnings.push(message) }),
    );
    expect(warnings).toEqual([expect.stringMatching(/^conditional\[0\]\.condition: "llm" is not there before an ai backend/)]);
  });

  it.each([
    [{ conditional: [] }, 'Too small'],
    [
      { conditional: [{ say: 'a' }, { condition: 'true', say: 'b' }] },
      'an entry without condition always applies: only the last one may do without',
    ],
    [{ conditional: [{ condition: 'nope', say: 'b' }] }, 'column 1: there is no variable \\"nope\\"'],
    [{ conditional: Array(65).fill({ condition: 'true', say: 'b' }) }, 'Too big'],
  ])('must make sense: %#', (given, message) => {
    expect(JSON.stringify(sayer.options.safeParse(given).error?.issues)).toContain(message);
  });

  it('are 64 at most', () => {
    expect(sayer.options.safeParse({ conditional: Array(64).fill({ condition: 'true', say: 'b' }) }).success).toBe(true);
  });
});
