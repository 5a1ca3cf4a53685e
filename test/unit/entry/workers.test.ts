import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

vi.mock('../../../config/gateway.yaml', () => ({ default: 'binds: []\n' }));

const minuteMs = 60_000;

function config(answer: string, more = ''): string {
  return `binds:\n- port: 3000\n  listeners:\n  - routes:\n    - policies:\n        directResponse: { status: 200, body: ${answer} }\n${more}`;
}

/** A fresh isolate over a KV entry that a test writes. */
async function openIsolate(first: string | undefined) {
  vi.resetModules();
  const { default: worker } = await import('../../../src/entry/workers.ts');
  const store = { text: first as string | undefined, reads: 0, fault: undefined as Error | undefined };
  const env = {
    CORRAL_KV: {
      async get() {
        store.reads++;
        if (store.fault !== undefined) throw store.fault;
        return store.text ?? null;
      },
    },
    CORRAL_ALLOW_ANONYMOUS: '1',
    CORRAL_ALLOW_HOST: 'w.example',
    CORRAL_ADMIN_TOKEN: 'token',
  };
  const ask = async (path = '/', headers: Record<string, string> = {}) => {
    const waited: Promise<unknown>[] = [];
    const request = new Request(`https://w.example${path}`, { headers: { host: 'w.example', ...headers } });
    const response = await worker.fetch(request, env, { waitUntil: (work) => waited.push(work) });
    const text = await response.text();
    await Promise.all(waited);
    return `${response.status} ${text}`;
  };
  const cron = async () => {
    const waited: Promise<unknown>[] = [];
    await worker.scheduled({}, env, { waitUntil: (work) => waited.push(work) });
    await Promise.all(waited);
  };
  return { store, ask, cron, ready: () => ask('/_corral/healthz/ready', { authorization: 'Bearer token' }) };
}

const said: string[] = [];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
  for (const level of ['log', 'info', 'warn', 'error'] as const)
    vi.spyOn(console, level).mockImplementation((line: unknown) => said.push(`${level} ${String(line)}`));
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  said.length = 0;
});

function later(ms: number): void {
  vi.setSystemTime(Date.now() + ms);
}

describe('the cron trigger', () => {
  const herd = (more: string) => `fleet: { boxes: [{ url: "https://box.example.com", name: box }], ${more} }\n`;
  const answers: Readonly<Record<string, unknown>> = {
    '/api/version': { version: '0.12.3' },
    '/api/tags': { models: [{ name: 'llama3.2:latest', digest: 'd1', size: 1 }] },
    '/api/ps': { models: [] },
    '/api/show': { capabilities: ['completion'], model_info: {} },
    '/api/generate': { done: true },
  };
  const asked: string[] = [];

  beforeEach(() => {
    asked.length = 0;
    vi.stubGlobal('fetch', async (input: unknown, init?: { body?: Uint8Array }) => {
      const { pathname } = new URL(String(input instanceof Request ? input.url : input));
      asked.push(`${pathname} ${init?.body instanceof Uint8Array ? new TextDecoder().decode(init.body) : ''}`.trim());
      return Response.json(answers[pathname] ?? {});
    });
  });

  afterEach(() => vi.unstubAllGlobals());

  it('looks at the boxes, and loads and keeps what is to be warm', async () => {
    const { cron } = await openIsolate(herd('warm: [{ model: llama3.2 }]'));
    await cron();
    expect(asked.filter((one) => !one.startsWith('/api/generate')).toSorted()).toEqual(
      ['/api/ps', '/api/ps', '/api/show {"model":"llama3.2:latest"}', '/api/tags', '/api/version', '/api/ps'].toSorted(),
    );
    expect(asked.filter((one) => one.startsWith('/api/generate'))).toEqual([
      '/api/generate {"model":"llama3.2","stream":false}',
      '/api/generate {"model":"llama3.2","stream":false,"keep_alive":"360s"}',
    ]);
  });

  it('takes a changed entry over, too', async () => {
    const { store, cron } = await openIsolate(herd('probeInterval: 5s'));
    await cron();
    store.text = herd('probeInterval: 6s');
    later(minuteMs + 1);
    await cron();
    expect(said).toContain('info reloaded CORRAL_KV/config: routes and boxes as before');
  });

  it('does nothing where the configuration cannot be used', async () => {
    const { cron } = await openIsolate('bindz: []\n');
    await cron();
    expect(asked).toEqual([]);
  });
});

describe('a changed KV entry', () => {
  it('takes over within a minute, behind the answer to a request', async () => {
    const { store, ask } = await openIsolate(config('one'));
    expect(await ask()).toBe('200 one');
    store.text = config('two');
    later(minuteMs - 1);
    expect([await ask(), store.reads]).toEqual(['200 one', 1]);
    later(2);
    expect([await ask(), store.reads]).toEqual(['200 one', 2]);
    expect(await ask()).toBe('200 two');
    expect(said).toContain('info reloaded CORRAL_KV/config: routes and boxes as before');
  });

  it('is refused when it is wrong: what ran goes on, and readiness says why', async () => {
    const { store, ask, ready } = await openIsolate(config('one'));
    await ask();
    store.text = 'bindz: []\n';
    later(minuteMs + 1);
    await ask();
    expect(await ask()).toBe('200 one');
    expect(said.some((line) => /^error CORRAL_KV\/config:1:1 bindz/.test(line))).toBe(true);
    expect(await ready()).toMatch(
      /^200 ready\nconfiguration: the last change was refused at .*\n {2}CORRAL_KV\/config:1:1 bindz/,
    );
    // Not again until it changes.
    said.length = 0;
    later(minuteMs + 1);
    await ask();
    expect(said.filter((line) => line.startsWith('error'))).toEqual([]);
    store.text = config('three');
    later(minuteMs + 1);
    await ask();
    expect([await ask(), await ready()]).toEqual(['200 three', '200 ready\n']);
  });

  it('is refused when it has several binds and none is named', async () => {
    const { store, ask } = await openIsolate(config('one'));
    await ask();
    store.text = config('two', '- port: 4000\n  listeners: [{ routes: [] }]\n');
    later(minuteMs + 1);
    await ask();
    expect(await ask()).toBe('200 one');
    expect(said.some((line) => /^error a Worker serves one bind/.test(line))).toBe(true);
  });

  it('leaves limits as they were', async () => {
    const limited = (answer: string) =>
      config(answer).replace(
        'policies:\n',
        'policies:\n        localRateLimit: [{ maxTokens: 2, tokensPerFill: 2, fillInterval: 1h, type: requests }]\n',
      );
    const { store, ask } = await openIsolate(limited('one'));
    expect(await ask()).toBe('200 one');
    store.text = limited('two');
    later(minuteMs + 1);
    expect(await ask()).toBe('200 one');
    expect(await ask()).toMatch(/^429/);
  });

  it('mends an isolate that could not open', async () => {
    const { store, ask } = await openIsolate('bindz: []\n');
    expect(await ask()).toMatch(/^503 .*configuration has 1 error/);
    store.text = config('one');
    later(minuteMs + 1);
    await ask();
    expect(await ask()).toBe('200 one');
  });

  it('is looked for again when KV does not answer', async () => {
    const { store, ask } = await openIsolate(config('one'));
    await ask();
    store.fault = new Error('KV is down');
    later(minuteMs + 1);
    expect(await ask()).toBe('200 one');
    expect(said).toContain('warn the configuration in KV could not be looked at: KV is down');
    store.fault = undefined;
    store.text = config('two');
    later(minuteMs + 1);
    await ask();
    expect(await ask()).toBe('200 two');
  });
});
