/** Loads as requests meet them: what fails is told, the next box is asked, who leaves ends only what is its own. */
import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import type { Upstream, Waiter } from '../../../src/exchange.ts';
import { LoadFailed } from '../../../src/fleet/loads/load-answer.ts';
import { client, type Stage } from './stage.ts';
import { boxes, chat, json, stageOf } from './words.ts';

const oom = '{"error":"model requires more system memory (5.3 GiB) than is available (3.9 GiB)"}';

function failing(stage: Stage, names: readonly string[], error: (upstream: Upstream) => GatewayError): void {
  const { admit } = stage.herd;
  const admitOrFail = (upstream: Upstream, ask: unknown, waiter: unknown) =>
    names.includes(upstream.name)
      ? Promise.reject(error(upstream))
      : (admit as (...all: unknown[]) => unknown)(upstream, ask, waiter);
  Object.assign(stage.herd, { admit: admitOrFail });
}

const failed = (status: number, text: string) => (upstream: Upstream) =>
  new LoadFailed(upstream, 'big', { status, headers: new Headers(), text });

describe('a load that fails', () => {
  test('alone: in the words of Ollama, with the mend, in the shape of the protocol; nothing was sent', async () => {
    const stage = stageOf(boxes(['a']), { a: json({}) });
    stage.herd.know('a', { models: ['big', 'big:1b'] });
    failing(stage, ['a'], failed(500, oom));
    const { status, text } = await stage.read('/v1/messages', { body: { model: 'big', max_tokens: 5, messages: [] } });
    expect(status).toBe(500);
    expect(JSON.parse(text).error.message).toMatch(/^a has not enough memory for big\. Ollama says: model requires more/);
    expect(stage.sent).toHaveLength(0);
    expect(stage.told[0]?.exchange.attempts).toMatchObject([{ upstream: { name: 'a' }, error: { code: 'load_failed' } }]);
    expect(stage.herd.noted).toContain('failure a load_failed');
  });

  test('words that nobody has a mend for are passed on', async () => {
    const stage = stageOf(boxes(['a']), { a: json({}) });
    failing(stage, ['a'], failed(500, '{"error":"the disk is on fire"}'));
    const { status, text } = await stage.read('/api/chat', chat('big'));
    expect([status, JSON.parse(text)]).toEqual([500, { error: 'a could not load big: the disk is on fire.' }]);
  });

  test('the next box is asked in the same request', async () => {
    const stage = stageOf(boxes(['a', 'b']), { a: json({}), b: json({ ok: true }) });
    failing(stage, ['a'], failed(500, oom));
    const { status, text } = await stage.read('/v1/chat/completions', chat('big'));
    expect([status, text]).toEqual([200, '{"ok":true}']);
    expect(stage.told[0]?.exchange.attempts.map(({ upstream, status: got }) => [upstream.name, got])).toEqual([
      ['a', undefined],
      ['b', 200],
    ]);
  });

  test('both fail: both are told of', async () => {
    const stage = stageOf(boxes(['a', 'b']), {});
    failing(stage, ['a', 'b'], failed(500, '{"error":"no"}'));
    const { text } = await stage.read('/v1/chat/completions', chat('big'));
    const { message } = JSON.parse(text).error;
    expect(message.match(/could not load big/g)).toHaveLength(2);
  });

  test('a box that was gone all along is told of in the usual words', async () => {
    const stage = stageOf(boxes(['a']), {});
    failing(stage, ['a'], () => new GatewayError('upstream_refused', 'refused'));
    const { status, text } = await stage.read('/v1/chat/completions', chat('big'));
    expect(status).toBe(503);
    expect(JSON.parse(text).error.message).toContain('a refused the connection: Ollama is not running there');
  });

  test('a full queue is no try, and keeps its Retry-After', async () => {
    const stage = stageOf(boxes(['a']), {});
    failing(stage, ['a'], () => new GatewayError('queue_full', 'full', { headers: { 'retry-after': '7' } }));
    const { status, headers } = await stage.read('/v1/chat/completions', chat('big'));
    expect([status, headers.get('retry-after')]).toEqual([503, '7']);
    expect(stage.told[0]?.exchange.attempts).toEqual([]);
  });
});

test('T7: a client that leaves while it waits for a load ends its exchange, and sends nothing when the load is over', async () => {
  const stage = stageOf(boxes(['a']), { a: json({}) });
  const { admit } = stage.herd;
  const slowly = async (upstream: Upstream, _: unknown, waiter: Waiter) => {
    waiter.onWait?.({ for: 'load', boxName: 'a', position: 0 });
    await new Promise<void>((resolve) => stage.clock.after(60_000, resolve));
    return admit(upstream);
  };
  Object.assign(stage.herd, { admit: slowly });
  const leaving = client();
  const asking = stage.ask('/v1/chat/completions', { ...chat('big'), client: leaving });
  await stage.clock.advance(5_000);
  expect(stage.gateway.inFlight).toBe(1);
  leaving.leave();
  expect((await asking).status).toBe(499);
  expect(stage.told.map(({ exchange: { outcome } }) => outcome)).toEqual(['abandoned']);
  await stage.clock.advance(60_000);
  expect(stage.sent).toHaveLength(0);
  expect([stage.gateway.inFlight, stage.herd.inFlight(stage.plan.upstreams[0] as never)]).toEqual([0, 0]);
});

test('/api/show and calls that only unload ask for no slot and no load', async () => {
  const stage = stageOf(boxes(['a']), { a: json({}) });
  failing(stage, ['a'], () => new GatewayError('load_failed', 'must not be asked'));
  expect((await stage.read('/api/show', { body: { model: 'big' } })).status).toBe(200);
  const { text } = await stage.read('/api/generate', { body: { model: 'big', keep_alive: 0 } });
  expect(text).not.toContain('must not be asked');
});
