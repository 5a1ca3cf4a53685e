import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { GatewayError } from '../../../src/errors.ts';
import { createBodyBudget, readBody, readInflatedBody } from '../../../src/protocols/read-body.ts';
import { createFakeClock } from '../../support/fake-clock.ts';

const limits = { maxBodyBytes: 100, bodyTimeoutMs: 5_000 };

interface Sent {
  readonly chunks?: readonly (string | Uint8Array)[];
  readonly headers?: Record<string, string>;
  /** Never ends. */
  readonly hangs?: boolean;
}

/** A request whose body arrives in chunks; says whether the body was given up. */
function sourceOf({ chunks = [], headers = {}, hangs = false }: Sent) {
  const clock = createFakeClock();
  const fate = { cancelled: false, pulled: 0 };
  const waiting = [...chunks];
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = waiting.shift();
        fate.pulled++;
        if (chunk !== undefined) controller.enqueue(typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk);
        else if (!hangs) controller.close();
        else return new Promise(() => undefined);
      },
      cancel() {
        fate.cancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  const init = { method: 'POST', body, headers, duplex: 'half' };
  return { source: { request: new Request('http://corral.test/', init), clock }, clock, fate };
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (thrown) {
    return (thrown as GatewayError).code;
  }
}

/** What is left of a budget, found by taking. */
function leftIn(budget: { take(bytes: number): boolean }): number {
  let left = 0;
  while (budget.take(1)) left++;
  return left;
}

describe('readBody', () => {
  it.each([
    ['in pieces', undefined],
    ['at once, when the length is known', { 'content-length': '10' }],
  ])('gives the bytes, %s, and keeps their length taken', async (_, headers) => {
    const budget = createBodyBudget(1000);
    const { source, clock } = sourceOf({ chunks: ['hello', 'world'], ...(headers && { headers }) });
    expect(new TextDecoder().decode(await readBody(source, limits, budget))).toBe('helloworld');
    expect(clock.pending).toBe(0);
    expect(leftIn(budget)).toBe(990);
  });

  it('reads a request without a body as empty', async () => {
    const source = { request: new Request('http://corral.test/'), clock: createFakeClock() };
    expect(await readBody(source, limits, createBodyBudget(0))).toEqual(new Uint8Array(0));
  });

  it('takes exactly the limit, and not one byte more', async () => {
    const budget = createBodyBudget(1000);
    const exact = await readBody(sourceOf({ chunks: ['x'.repeat(60), 'x'.repeat(40)] }).source, limits, budget);
    expect(exact.length).toBe(100);
    budget.give(100);
    const { source, fate } = sourceOf({ chunks: ['x'.repeat(60), 'x'.repeat(41), 'never read'] });
    await expect(readBody(source, limits, budget)).rejects.toMatchObject({ code: 'body_too_large', status: 413 });
    expect(fate).toEqual({ cancelled: true, pulled: 2 });
    expect(leftIn(budget)).toBe(1000);
  });

  it('refuses by the announced length, without reading, and says the limit and its setting', async () => {
    const { source, fate } = sourceOf({ chunks: ['x'], headers: { 'content-length': '101' } });
    await expect(readBody(source, limits, createBodyBudget(1000))).rejects.toThrow(
      'the request body is larger than 100 bytes; fleet.maxBodyBytes sets this limit',
    );
    expect(fate.pulled).toBe(0);
  });

  it.each([
    ['pieces', undefined],
    ['one', { 'content-length': '3' }],
  ])('gives up a slow body in %s when its time is over', async (_, headers) => {
    const budget = createBodyBudget(1000);
    const { source, clock } = sourceOf({ chunks: ['x'], hangs: true, ...(headers && { headers }) });
    const code = codeOf(readBody(source, limits, budget));
    await clock.advance(4_999);
    expect(clock.pending).toBe(1);
    await clock.advance(1);
    expect(await code).toBe('body_timeout');
    expect(leftIn(budget)).toBe(1000);
  });

  it.each([
    ['pieces', undefined],
    ['one', { 'content-length': '60' }],
  ])('answers 503 when all bodies together would be too much, in %s', async (_, headers) => {
    const budget = createBodyBudget(100);
    expect(budget.take(50)).toBe(true);
    const { source } = sourceOf({ chunks: ['x'.repeat(60)], ...(headers && { headers }) });
    await expect(readBody(source, limits, budget)).rejects.toMatchObject({ code: 'overloaded', status: 503 });
    expect(leftIn(budget)).toBe(50);
  });

  it('calls a body that broke off invalid, not internal', async () => {
    const body = new ReadableStream({ pull: (controller) => controller.error(new Error('reset')) });
    const request = new Request('http://corral.test/', { method: 'POST', body, duplex: 'half' } as RequestInit);
    expect(await codeOf(readBody({ request, clock: createFakeClock() }, limits, createBodyBudget(9)))).toBe('invalid_body');
  });
});

describe('readInflatedBody', () => {
  it('inflates and keeps the inflated length taken', async () => {
    const budget = createBodyBudget(100_000);
    const packed = gzipSync('y'.repeat(90));
    const { source } = sourceOf({ chunks: [packed], headers: { 'content-encoding': 'gzip' } });
    expect(new TextDecoder().decode(await readInflatedBody(source, limits, budget))).toBe('y'.repeat(90));
    expect(leftIn(budget)).toBe(100_000 - 90);
  });

  it.each([
    ['a bomb', gzipSync('y'.repeat(5_000)), 'gzip', 'body_too_large'],
    ['nonsense', new Uint8Array(20), 'gzip', 'invalid_body'],
    ['brotli', new Uint8Array(20), 'br', 'unsupported_encoding'],
  ])('gives everything back after %s', async (_, bytes, encoding, code) => {
    const budget = createBodyBudget(100_000);
    const { source } = sourceOf({ chunks: [bytes], headers: { 'content-encoding': encoding } });
    expect(await codeOf(readInflatedBody(source, limits, budget))).toBe(code);
    expect(leftIn(budget)).toBe(100_000);
  });

  it('reserves before it inflates', async () => {
    const budget = createBodyBudget(90);
    const { source } = sourceOf({ chunks: [gzipSync('y')], headers: { 'content-encoding': 'gzip' } });
    expect(await codeOf(readInflatedBody(source, limits, budget))).toBe('overloaded');
    expect(leftIn(budget)).toBe(90);
  });

  it.each([undefined, 'identity'])('leaves content-encoding %s alone', async (encoding) => {
    const budget = createBodyBudget(1000);
    const { source } = sourceOf({ chunks: ['plain'], ...(encoding && { headers: { 'content-encoding': encoding } }) });
    expect(new TextDecoder().decode(await readInflatedBody(source, limits, budget))).toBe('plain');
    expect(leftIn(budget)).toBe(995);
  });
});

it('a budget never gives out more than it had', () => {
  const budget = createBodyBudget(10);
  budget.give(5);
  expect(budget.take(11)).toBe(false);
  expect(budget.take(10)).toBe(true);
  expect(budget.take(1)).toBe(false);
});
