import { describe, expect, it } from 'vitest';
import { createSideCalls, type SideServer } from '../../../src/http/side-calls.ts';
import type { UpstreamRequest, UpstreamResponse } from '../../../src/platform.ts';
import { createFakeClock } from '../../support/fake-clock.ts';

const server: SideServer = {
  name: 'guard',
  baseUrl: 'http://guard:9000',
  tls: undefined,
  headers: { authorization: 'Bearer s', 'x-a': '1' },
};

function world(text = 'answer') {
  const sent: UpstreamRequest[] = [];
  const state = { isCancelled: false, readUpTo: undefined as number | undefined };
  const clock = createFakeClock();
  const sideCalls = createSideCalls({
    clock,
    async send(request): Promise<UpstreamResponse> {
      sent.push(request);
      return {
        status: 201,
        headers: new Headers({ 'x-b': '2' }),
        body: {
          async read(maxBytes) {
            state.readUpTo = maxBytes;
            return new TextEncoder().encode(text);
          },
          stream: () => new ReadableStream(),
          cancel() {
            state.isCancelled = true;
          },
        },
      };
    },
  });
  return { sent, state, clock, sideCalls };
}

describe('a side call', () => {
  it('sends the headers of the server and its own, which win, and reads the answer', async () => {
    const { sent, state, clock, sideCalls } = world();
    const answer = await sideCalls.call({ server, method: 'POST', path: '/x?y=1', headers: { 'x-a': '9' }, timeoutMs: 100 });
    expect(sent[0]).toMatchObject({ method: 'POST', url: 'http://guard:9000/x?y=1' });
    expect(sent[0]?.headers).toEqual({ authorization: 'Bearer s', 'x-a': '9' });
    expect([answer.status, answer.headers.get('x-b'), new TextDecoder().decode(answer.bytes)]).toEqual([201, '2', 'answer']);
    expect(state).toEqual({ isCancelled: false, readUpTo: 1024 * 1024 });
    expect(clock.pending).toBe(0);
  });

  it('lets the answer go unread where nobody reads it', async () => {
    const { state, sideCalls } = world();
    const answer = await sideCalls.call({ server, method: 'GET', path: '/', timeoutMs: 100, ignoresBody: true });
    expect([answer.status, answer.bytes.length]).toEqual([201, 0]);
    expect(state).toEqual({ isCancelled: true, readUpTo: undefined });
  });

  it('ends at its time limit, and names the server', async () => {
    const clock = createFakeClock();
    const sideCalls = createSideCalls({
      clock,
      send: ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    });
    const calling = sideCalls.call({ server, method: 'GET', path: '/', timeoutMs: 100 });
    const failure = expect(calling).rejects.toMatchObject({
      code: 'upstream_timeout',
      message: 'guard did not answer within 100 ms',
    });
    await clock.advance(100);
    await failure;
  });
});
