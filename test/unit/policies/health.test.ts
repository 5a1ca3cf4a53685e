import { describe, expect, it } from 'vitest';
import { health, healthRuleOf } from '../../../src/policies/health.ts';
import { affinityOf, sessionAffinity } from '../../../src/policies/sessionAffinity.ts';
import { fakeExchange } from './fake-exchange.ts';

const ruleOf = (options: object | undefined) => healthRuleOf(options === undefined ? undefined : health.options.parse(options));

function isUnhealthy(options: object | undefined, status: number, headers: Record<string, string> = {}): boolean {
  return ruleOf(options).rule.isUnhealthy(fakeExchange(), { status, headers: new Headers(headers) });
}

describe('health', () => {
  it.each([
    [200, false],
    [404, false],
    [429, false],
    [499, false],
    [500, true],
    [599, true],
  ])('unless told otherwise %s is unhealthy: %s', (status, expected) => {
    expect(isUnhealthy({}, status)).toBe(expected);
    expect(isUnhealthy(undefined, status)).toBe(expected);
  });

  it('asks the expression instead, and takes what it cannot evaluate for healthy', () => {
    const options = { unhealthyExpression: 'response.code == 429 || response.headers["x-sick"] == "1"' };
    expect([isUnhealthy(options, 429), isUnhealthy(options, 500, { 'x-sick': '1' }), isUnhealthy(options, 500)]).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('evicts nobody without the policy, and only for a time of its own without an eviction block', () => {
    expect(ruleOf(undefined).rule.eviction).toBeUndefined();
    expect(ruleOf({}).rule.eviction).toMatchObject({ durationMs: undefined, hasDefault: false });
    expect(ruleOf({ eviction: {} }).rule.eviction).toEqual({
      durationMs: undefined,
      restoreHealth: undefined,
      consecutiveFailures: undefined,
      healthThreshold: undefined,
      hasDefault: true,
    });
    const eviction = { duration: '1m30s', restoreHealth: 0.5, consecutiveFailures: 3, healthThreshold: 0.2 };
    expect(ruleOf({ eviction }).rule.eviction).toEqual({
      durationMs: 90_000,
      restoreHealth: 0.5,
      consecutiveFailures: 3,
      healthThreshold: 0.2,
      hasDefault: true,
    });
  });

  it('tells rules that judge differently apart, not those that evict differently', () => {
    const keys = [{}, { eviction: { duration: '1s' } }, { unhealthyExpression: 'response.code > 400' }].map(
      (one) => ruleOf(one).key,
    );
    expect(keys[0]).toBe(keys[1]);
    expect(keys[0]).not.toBe(keys[2]);
  });

  it.each([
    ['a share above 1', { eviction: { restoreHealth: 1.1 } }, 'from 0 to 1'],
    ['a share below 0', { eviction: { healthThreshold: -0.1 } }, 'from 0 to 1'],
    ['half a failure', { eviction: { consecutiveFailures: 1.5 } }, 'int'],
    ['the body of the answer', { unhealthyExpression: 'response.body == b""' }, 'response.code'],
    ['what a model said', { unhealthyExpression: 'llm.completion[0] == ""' }, 'response.code'],
    ['active checks, which this version of agentgateway has not', { active: {} }, 'active'],
  ])('refuses %s', (_, options, message) => {
    const result = health.options.safeParse(options);
    expect(result.success).toBe(false);
    expect(JSON.stringify(result.error?.issues)).toContain(message);
  });
});

describe('sessionAffinity', () => {
  it('gives what tells sessions apart', () => {
    const affinity = affinityOf(sessionAffinity.options.parse({ source: 'request.headers["x-session"]' }));
    expect(affinity?.textOf(fakeExchange({ headers: { 'x-session': 's1' } }))).toBe('s1');
    expect(affinity?.textOf(fakeExchange())).toBeUndefined();
    expect(affinityOf(undefined)).toBeUndefined();
  });

  it('refuses what an answer would have to tell', () => {
    const result = sessionAffinity.options.safeParse({ source: 'response.headers["x"]' });
    expect(result.error?.issues[0]?.message).toBe('the upstream is chosen before there is an answer');
  });
});
