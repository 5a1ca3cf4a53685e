import { describe, expect, test } from 'vitest';
import { createExchange, createExchanges } from '../../../src/answers/open-exchange.ts';
import { type Exchange, noTelemetry } from '../../../src/exchange.ts';
import { createBodyReader } from '../../../src/protocols/body-reader.ts';
import { createBodyBudget } from '../../../src/protocols/decode.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { client } from './stage.ts';

const bodies = createBodyReader({ maxBodyBytes: 1_000, bodyTimeoutMs: 1_000 }, createBodyBudget(1_000));

function open(url: string, method = 'GET'): Exchange {
  const clock = createFakeClock({ nowMs: 7 });
  return createExchange(new Request(url, { method }), client(), {
    clock,
    exchanges: createExchanges('id', clock, () => undefined),
    bodies,
    telemetry: noTelemetry,
  });
}

describe('an exchange as it begins', () => {
  test.each([
    ['http://llm.test/v1/x', 'llm.test', '/v1/x', ''],
    ['http://LLM.Test:3000/v1/x?a=1&b', 'llm.test', '/v1/x', '?a=1&b'],
    ['http://llm.test', 'llm.test', '/', ''],
    ['http://llm.test?x=/y', 'llm.test', '/', '?x=/y'],
    ['http://llm.test/a%2Fb%20c', 'llm.test', '/a%2Fb%20c', ''],
    ['http://llm.test/a?b?c', 'llm.test', '/a', '?b?c'],
    ['http://llm.test/a#b?c', 'llm.test', '/a', ''],
    ['http://llm.test/a?b#c', 'llm.test', '/a', '?b'],
    ['http://[::1]:3000/a', '[::1]', '/a', ''],
    ['http://[::1]/a', '[::1]', '/a', ''],
    ['https://127.0.0.1:8443/a//b', '127.0.0.1', '/a//b', ''],
  ])('%s', (url, host, path, query) => {
    expect(open(url)).toMatchObject({ host, path, query, method: 'GET', startedMs: 7, status: 0, outcome: undefined });
  });

  test('has an id of its own', () => {
    const clock = createFakeClock();
    const exchanges = createExchanges('abc', clock, () => undefined);
    const ids = Array.from(
      { length: 40 },
      () => createExchange(new Request('http://a'), client(), { clock, exchanges, bodies, telemetry: noTelemetry }).id,
    );
    expect(ids[0]).toBe('abc-0');
    expect(ids[39]).toBe('abc-13');
    expect(new Set(ids).size).toBe(40);
  });
});

describe('how an exchange ends', () => {
  test('once, however often it is told', () => {
    const clock = createFakeClock();
    let told = 0;
    const exchanges = createExchanges('id', clock, () => told++);
    const [first, second] = [1, 2].map(() =>
      createExchange(new Request('http://a'), client(), { clock, exchanges, bodies, telemetry: noTelemetry }),
    ) as [Exchange, Exchange];
    first.isRelayed = true;
    exchanges.close(first, new Response('x'));
    exchanges.end(first);
    exchanges.end(first);
    exchanges.close(first, new Response('x'));
    expect([exchanges.open, told]).toEqual([1, 1]);
    exchanges.close(second, new Response(null));
    expect([exchanges.open, told]).toEqual([0, 2]);
  });

  test.each([
    [200, 'completed'],
    [304, 'completed'],
    [400, 'refused'],
    [499, 'refused'],
    [500, 'failed'],
    [504, 'failed'],
  ])('status %s: %s', async (status, outcome) => {
    const clock = createFakeClock();
    const told: [string | undefined, number][] = [];
    const exchanges = createExchanges('id', clock, (one, endedMs) => told.push([one.outcome, endedMs]));
    const exchange = createExchange(new Request('http://a'), client(), { clock, exchanges, bodies, telemetry: noTelemetry });
    expect(exchanges.open).toBe(1);
    await clock.advance(3);
    const response = new Response(null, { status });
    expect(exchanges.close(exchange, response)).toBe(response);
    expect(told).toEqual([[outcome, 3]]);
    expect(exchanges.open).toBe(0);
  });

  test('what is known already stays', () => {
    const clock = createFakeClock();
    const exchanges = createExchanges('id', clock, () => undefined);
    const exchange = createExchange(new Request('http://a'), client(), { clock, exchanges, bodies, telemetry: noTelemetry });
    exchange.outcome = 'abandoned';
    exchanges.close(exchange, new Response(null, { status: 499 }));
    expect(exchange.outcome).toBe('abandoned');
  });
});
