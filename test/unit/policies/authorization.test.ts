import { describe, expect, it } from 'vitest';
import { authorization } from '../../../src/policies/authorization.ts';
import { networkAuthorizationField, networkVerdictOf } from '../../../src/policies/authorization-rules.ts';
import { ask, type FakeRequest, fakeAttempt, fakeExchange, fakeScope } from './fake-exchange.ts';

function rulesOf(...rules: unknown[]) {
  return authorization.options.parse({ rules });
}

async function answerTo(rules: readonly unknown[], fake: FakeRequest = {}) {
  const middleware = authorization.onRequest?.(rulesOf(...rules), fakeScope());
  if (middleware === undefined) return 'not asked';
  const { response, message } = await ask(middleware, fake);
  return response.status === 200 ? 'passed' : `${response.status} ${message}`;
}

const get = { method: 'GET', path: '/a', headers: { 'x-team': 'blue' } };
const isTrue = 'request.headers["x-team"] == "blue"';
const isFalse = 'request.headers["x-team"] == "red"';
const fails = 'request.headers["x-none"] == "a"';
const refused = '403 authorization failed';

describe('rules', () => {
  it.each([
    [[], 'not asked'],
    [[isTrue], 'passed'],
    [[isFalse], refused],
    [[fails], refused],
    [[isFalse, { allow: isTrue }], 'passed'],
    [[{ deny: isTrue }], refused],
    [[{ deny: isFalse }], 'passed'],
    [[{ deny: fails }], 'passed'],
    [[{ require: isTrue }], 'passed'],
    [[{ require: isFalse }], refused],
    [[{ require: fails }], refused],
    [[{ require: isTrue }, { require: isFalse }], refused],
    [[isTrue, { deny: isTrue }], refused],
    [[isTrue, { require: isFalse }], refused],
    [[isFalse, { require: isTrue }], refused],
    [[{ deny: isFalse }, { require: isTrue }, { allow: isFalse }, isTrue], 'passed'],
    [['"yes"'], refused],
  ])('%j', async (rules, answer) => {
    expect(await answerTo(rules, get)).toBe(answer);
  });

  it('wait for the body where one reads it, and leave it to be read again', async () => {
    const rule = 'json(request.body).model == "small"';
    expect(await answerTo([rule], { body: '{"model":"small"}' })).toBe('passed');
    expect(await answerTo([rule], { body: '{"model":"large"}' })).toBe(refused);
    expect(await answerTo([rule], { body: 'no JSON' })).toBe(refused);
  });

  it('of an outer place count with those of an inner one', async () => {
    const { inherits } = authorization;
    if (typeof inherits !== 'function') throw new Error('rules add up');
    const both = inherits(rulesOf(isFalse), rulesOf({ require: 'true' }, isTrue));
    expect(both.rules.map(({ kind, condition }) => `${kind} ${condition.source}`)).toEqual([
      `allow ${isFalse}`,
      'require true',
      `allow ${isTrue}`,
    ]);
  });

  it('on a backend are asked for each try, and know the call', () => {
    const check = authorization.onBackendAttempt?.(rulesOf('llm.requestModel == "m"'), fakeScope());
    const attempt = fakeAttempt();
    expect(() => check?.(attempt)).toThrow('authorization failed');
    attempt.exchange.call = { model: 'm' } as never;
    expect(check?.(attempt)).toBeUndefined();
  });

  it.each([
    [[{ allow: 'true', deny: 'true' }], 'expected exactly one of: allow, deny, require'],
    [[{}], 'expected exactly one of: allow, deny, require'],
    [['1 +'], 'column 4: Unexpected token: EOF'],
  ])('must make sense: %j', (rules, message) => {
    const issues = JSON.stringify(authorization.options.safeParse({ rules }).error?.issues);
    expect(issues).toContain(message);
  });

  it('are 256 at most', () => {
    expect(authorization.options.safeParse({ rules: Array(256).fill('true') }).success).toBe(true);
    expect(authorization.options.safeParse({ rules: Array(257).fill('true') }).success).toBe(false);
  });
});

describe('rules that cannot work where they stand', () => {
  function warningsOf(where: 'onRequest' | 'onBackendAttempt', ...rules: unknown[]): string[] {
    const warnings: string[] = [];
    authorization[where]?.(rulesOf(...rules), fakeScope({ warn: (message) => warnings.push(message) }));
    return warnings;
  }

  it('are told, with what to read instead', () => {
    expect(warningsOf('onRequest', { deny: 'llm.requestModel == "large"' }, isTrue)).toEqual([
      'the rule "deny: llm.requestModel == "large"": "llm" is not there before an ai backend is reached: read the body, as in json(request.body).model, or put this on the backend or the model; a rule that fails denies nobody',
    ]);
    expect(warningsOf('onRequest', { require: 'response.code == 200' })[0]).toContain('"response" is not there before an answer');
    expect(warningsOf('onRequest', 'mcp.tool.name == "x"')[0]).toContain(
      'Corral serves no MCP; a rule that fails lets nobody pass',
    );
    expect(warningsOf('onRequest', { require: 'source.port > 1024' })[0]).toContain('"source.port" is never there');
  });

  it('are none on a backend, which knows the call', () => {
    expect(warningsOf('onBackendAttempt', 'llm.requestModel == "large"')).toEqual([]);
    expect(warningsOf('onRequest', isTrue, 'jwt.sub == "x"', { deny: 'json(request.body).model == "x"' })).toEqual([]);
  });
});

describe('networkAuthorization', () => {
  const verdictFor = (...rules: unknown[]) => networkVerdictOf(networkAuthorizationField.parse({ rules }), () => undefined);
  const from = (address: string | null) => fakeExchange({ address });

  it('judges by the address alone', () => {
    const mayConnect = verdictFor({ require: 'cidr("192.168.0.0/16").containsIP(source.address)' });
    expect(
      [from('192.168.7.1'), from('::ffff:192.168.7.1'), from('10.0.0.1'), from(null)].map((each) => mayConnect?.(each)),
    ).toEqual([true, true, false, false]);
    const denied = verdictFor({ deny: 'source.address == "10.0.0.1"' });
    expect([denied?.(from('10.0.0.1')), denied?.(from('10.0.0.2'))]).toEqual([false, true]);
  });

  it('is nothing without rules', () => {
    expect(networkVerdictOf(undefined, () => undefined)).toBeUndefined();
    expect(verdictFor()).toBeUndefined();
  });

  it('refuses rules that read anything else', () => {
    const { error } = networkAuthorizationField.safeParse({ rules: ['source.address == "::1"', 'request.path == "/"'] });
    expect(error?.issues.map(({ path, message }) => [path.join('.'), message])).toEqual([
      [
        'rules.1',
        '"request.path" is not known when a connection is judged: these rules read "source" only; use the policy authorization',
      ],
    ]);
  });
});
