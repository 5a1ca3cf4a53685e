import { describe, expect, it } from 'vitest';
import { shareOf, sharerOf } from '../../../src/answers/share.ts';
import type { Claims, Exchange, Identity } from '../../../src/exchange.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';

function exchangeOf(
  { name, metadata = {} }: { name?: string; metadata?: Identity['metadata'] } = {},
  claims?: Claims,
  headers: Record<string, string> = {},
): Exchange {
  const exchange = fakeExchange({ headers });
  exchange.identity = { name, isAdmin: false, allowedModels: undefined, metadata };
  exchange.claims = claims;
  return exchange;
}

describe('T11: who shares with whom', () => {
  it('is the person behind a key, where a trusted client names one', () => {
    expect(sharerOf(exchangeOf({ name: 'webui' }, { user: { id: 'ann' } }), 'user')).toBe('user:ann');
    expect(sharerOf(exchangeOf({ name: 'webui' }, { user: { id: 'ann' } }), 'key')).toBe('key:webui');
    expect(sharerOf(exchangeOf({ name: 'webui' }), 'user')).toBe('key:webui');
    expect(sharerOf(exchangeOf({ name: 'webui' }, { user: { id: '' } }), 'user')).toBe('key:webui');
  });

  it('never mistakes a key for a person of the same name', () => {
    const names = [
      sharerOf(exchangeOf({ name: 'x' }), 'user'),
      sharerOf(exchangeOf({}, { user: { id: 'x' } }), 'user'),
      sharerOf(exchangeOf({}, { jwt: { sub: 'x' } }), 'user'),
      sharerOf(exchangeOf({}, { basicAuth: { username: 'x' } }), 'user'),
    ];
    expect(names).toEqual(['key:x', 'user:x', 'jwt:x', 'basic:x']);
  });

  it('is one sharer for all who have no name', () => {
    expect(sharerOf(fakeExchange(), 'user')).toBe('');
    expect(sharerOf(exchangeOf({}, { jwt: { sub: 7 } }), 'user')).toBe('');
  });
});

describe('weight and class of a key', () => {
  it.each([
    [{}, 1, 'interactive'],
    [{ weight: 3, class: 'bulk' }, 3, 'bulk'],
    [{ weight: 0.01, class: 'interactive' }, 0.01, 'interactive'],
    [{ weight: 100 }, 100, 'interactive'],
    [{ weight: 101, class: 'slow' }, 1, 'interactive'],
    [{ weight: 0, class: true }, 1, 'interactive'],
    [{ weight: '3' }, 1, 'interactive'],
    [{ weight: Number.NaN }, 1, 'interactive'],
  ])('of %j are %d and %s', (metadata, weight, urgency) => {
    expect(shareOf(exchangeOf({ metadata }), 'user')).toMatchObject({ weight, urgency });
  });

  it('may be lowered by the client, and never raised', () => {
    const urgencyWith = (metadata: Identity['metadata'], header: string) =>
      shareOf(exchangeOf({ metadata }, undefined, { 'x-corral-class': header }), 'user').urgency;
    expect(urgencyWith({}, 'bulk')).toBe('bulk');
    expect(urgencyWith({ class: 'bulk' }, 'interactive')).toBe('bulk');
    expect(urgencyWith({}, 'urgent')).toBe('interactive');
  });

  it('of somebody without a key are 1 and interactive', () => {
    expect(shareOf(fakeExchange(), 'user')).toEqual({ sharer: '', weight: 1, urgency: 'interactive' });
  });
});
