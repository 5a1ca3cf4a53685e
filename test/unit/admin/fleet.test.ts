import { describe, expect, it } from 'vitest';
import { createAdmin } from '../../../src/admin/index.ts';
import type { DutyState, Keeper } from '../../../src/fleet/keeper.ts';
import { noKeeper } from '../fleet/no-keeper.ts';

interface Asked {
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Record<string, string>;
  readonly from?: string;
}

function open() {
  const done: string[] = [];
  const state = (box: string, inFlight = 0): DutyState | undefined =>
    box === 'desk' ? { box, isCordoned: true, hasChanged: true, inFlight, waiting: 0 } : undefined;
  const keeper: Keeper = {
    ...noKeeper,
    names: ['desk', 'attic'],
    refresh: async () => {
      done.push('refresh');
      return { answered: ['desk'], silent: ['attic'] };
    },
    cordon(name) {
      done.push(`cordon ${name}`);
      return state(name);
    },
    uncordon(name) {
      done.push(`uncordon ${name}`);
      return state(name);
    },
    async drain(name, waitMs) {
      done.push(`drain ${name} ${waitMs}`);
      return state(name, 2);
    },
  };
  const app = createAdmin({
    readiness: () => ({ isReady: true, detail: '' }),
    metricsText: () => '',
    configDump: () => '',
    keeper: () => keeper,
    adminToken: undefined,
    isLoopback: true,
  });
  const ask = async (path: string, { method = 'POST', body, headers = {}, from = '127.0.0.1' }: Asked = {}) => {
    const peer = { port: undefined, address: () => from, onGone: () => undefined, waitUntil: () => undefined };
    const response = await app.request(
      `http://localhost:15000${path}`,
      { method, headers: { host: 'localhost:15000', ...headers }, ...(body === undefined ? {} : { body }) },
      { peer },
    );
    const text = await response.text();
    return { status: response.status, json: text.startsWith('{') ? JSON.parse(text) : text };
  };
  return { ask, done };
}

describe('the herd at the admin address', () => {
  it('is told of', async () => {
    expect(await open().ask('/fleet', { method: 'GET' })).toEqual({
      status: 200,
      json: { boxes: [], models: [], drift: [], warm: [] },
    });
  });

  it('T18: is looked at again at once', async () => {
    const { ask, done } = open();
    expect(await ask('/refresh')).toEqual({ status: 200, json: { answered: ['desk'], silent: ['attic'] } });
    expect((await ask('/refresh', { method: 'GET' })).status).toBe(404);
    expect(done).toEqual(['refresh']);
  });

  it.each([
    ['/fleet/cordon', '{"box":"desk"}', 'cordon desk'],
    ['/fleet/uncordon', '{"box":"desk"}', 'uncordon desk'],
    ['/fleet/drain', '{"box":"desk"}', 'drain desk 0'],
    ['/fleet/drain', '{"box":"desk","wait":true}', 'drain desk 60000'],
    ['/fleet/drain', '{"box":"desk","wait":2.5}', 'drain desk 2500'],
    ['/fleet/drain', '{"box":"desk","wait":1e9}', 'drain desk 600000'],
  ])('%s %s', async (path, body, expected) => {
    const { ask, done } = open();
    const { status, json } = await ask(path, { body });
    expect(done).toEqual([expected]);
    const inFlight = expected.startsWith('drain') ? 2 : 0;
    const told = { box: 'desk', isCordoned: true, hasChanged: true, inFlight, waiting: 0, isIdle: inFlight === 0 };
    expect([status, json]).toEqual([200, told]);
  });

  it('says which boxes there are', async () => {
    const { status, json } = await open().ask('/fleet/cordon', { body: '{"box":"x"}' });
    expect([status, json]).toEqual([404, { error: 'no box is called "x"; there are: desk, attic' }]);
  });

  it.each(['', '[]', '{}', '{"box":5}', '{"box":""}', '{"box":"desk","wait":"long"}', `{"box":"${'x'.repeat(5_000)}"}`])(
    'refuses what it cannot read: %.40s',
    async (body) => {
      const { ask, done } = open();
      expect((await ask('/fleet/drain', { body })).status).toBe(400);
      expect(done).toEqual([]);
    },
  );

  it.each([
    { headers: { origin: 'https://evil.example' } },
    { headers: { origin: 'null' } },
    { headers: { 'sec-fetch-site': 'cross-site' } },
    { headers: { host: 'evil.example' } },
    { from: '10.0.0.7' },
  ])('lets nobody in who may not, be it by a page that this machine’s browser shows: %j', async (more) => {
    for (const path of ['/refresh', '/fleet/cordon', '/fleet/uncordon', '/fleet/drain']) {
      const { ask, done } = open();
      expect((await ask(path, { body: '{"box":"desk"}', ...more })).status).toBe(403);
      expect(done).toEqual([]);
    }
  });
});
