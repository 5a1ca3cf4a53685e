import { describe, expect, it } from 'vitest';
import type { Exchange } from '../../../src/exchange.ts';
import { createBodyReader } from '../../../src/protocols/body-reader.ts';
import { createBodyBudget } from '../../../src/protocols/read-body.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';

const limits = { maxBodyBytes: 100, bodyTimeoutMs: 1_000 };

function exchangeWith(body: string): Exchange {
  return fakeExchange({ body });
}

describe('the reader of bodies', () => {
  it('reads once, however often and by however many it is asked', async () => {
    const bodies = createBodyReader(limits, createBodyBudget(1_000));
    const exchange = exchangeWith('hello');
    const [first, second] = await Promise.all([bodies.read(exchange), bodies.read(exchange)]);
    expect(new TextDecoder().decode(first)).toBe('hello');
    expect(second).toBe(first);
    expect(await bodies.read(exchange)).toBe(first);
  });

  it('holds a body to the limit of whoever asks first, where that is less than the plan’s', async () => {
    const bodies = createBodyReader(limits, createBodyBudget(1_000));
    await expect(bodies.read(exchangeWith('12345678901'), 10)).rejects.toMatchObject({ code: 'body_too_large' });
    expect(await bodies.read(exchangeWith('1234567890'), 10)).toHaveLength(10);
    await expect(bodies.read(exchangeWith('x'.repeat(101)), 1_000)).rejects.toMatchObject({ code: 'body_too_large' });
    expect(await bodies.read(exchangeWith('x'.repeat(100)), 1_000)).toHaveLength(100);
  });

  it('gives its memory back when it is released, once', async () => {
    const budget = createBodyBudget(10);
    const bodies = createBodyReader(limits, budget);
    const exchange = exchangeWith('1234567890');
    await bodies.read(exchange);
    expect(budget.take(1)).toBe(false);
    bodies.release(exchange);
    bodies.release(exchange);
    expect(budget.take(10)).toBe(true);
    expect(budget.take(1)).toBe(false);
  });
});
