/** A Corral in front, a tunnel with a 100 s rule, a relay beside the box: T1 and T2. */
import { describe, expect, it } from 'vitest';
import { type LegSetting, type LegStage, openLeg } from '../../support/herd/leg.ts';

const gigabyte = 1_000_000_000;

/** Loads for 201 s: a second to start, 200 GB at 1 GB a second. */
const slowBox = { models: [{ name: 'big:latest', sizeBytes: 200 * gigabyte, outputTokens: 4 }], vramBytes: 400 * gigabyte };

const calls = [
  ['/v1/chat/completions', { messages: [{ role: 'user', content: 'hi' }] }],
  ['/v1/completions', { prompt: 'hi' }],
  ['/v1/responses', { input: 'hi' }],
  ['/v1/messages', { max_tokens: 50, messages: [{ role: 'user', content: 'hi' }] }],
  ['/api/chat', { messages: [{ role: 'user', content: 'hi' }] }],
  ['/api/generate', { prompt: 'hi' }],
] as const;

const quickBox = { models: [{ name: 'big:latest', sizeBytes: gigabyte, outputTokens: 4 }] };
const chat = ['/api/chat', { model: 'big', stream: false, messages: [{ role: 'user', content: 'hi' }] }] as const;

function open(more: Partial<LegSetting> = {}): Promise<LegStage> {
  return openLeg({ boxes: [slowBox], ...more });
}

interface Read {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

async function textOf(stage: LegStage, asked: Promise<Response>): Promise<Read> {
  return await stage.until(readOf(asked), 1_000_000);
}

/** Moves no time: of all who do, one at a time may. */
async function readOf(asked: Promise<Response>): Promise<Read> {
  const response = await asked;
  return { status: response.status, headers: response.headers, text: await response.text() };
}

describe('a relay behind a tunnel', () => {
  it.each(calls)('T1 T2: 200 s of loading come through on %s, whole and streamed', async (path, body) => {
    for (const stream of [false, true]) {
      const stage = await open();
      const { status, headers, text } = await textOf(stage, stage.ask(path, { model: 'big', stream, ...body }));
      expect(stage.clock.now()).toBeGreaterThan(200_000);
      expect({ status, stream, text }).toEqual({ status: 200, stream, text: expect.stringContaining('clever') });
      expect(headers.get('x-corral-early')).toBeNull();
      if (stream) continue;
      expect(headers.get('content-type')).toContain('application/json');
      expect(JSON.parse(text)).toMatchObject({ model: expect.stringContaining('big') });
      expect(text[0]).toBe('{');
    }
  });

  it('T7: has one queue and one load for all, in the names of the callers in front', async () => {
    const box = { ...slowBox, models: [{ name: 'big:latest', sizeBytes: 5 * gigabyte, outputTokens: 500 }] };
    const stage = await open({ boxes: [box], relayYaml: '    slots: 1' });
    const asked = [1, 2, 3].map(() => readOf(stage.ask(...chat)));
    await stage.advance(3_000);
    const [relay] = stage.relays;
    expect(relay?.herd.describe()[0]).toMatchObject({ waiting: 2 });
    expect(stage.front.herd.describe()[0]).toMatchObject({ waiting: 0 });
    for (const one of asked) expect(await stage.until(one)).toMatchObject({ status: 200 });
    expect(stage.herd.boxes[0]?.scheduler.loads).toMatchObject({ started: 1, aborted: 0 });
  });

  it('keeps the load of a client that leaves the Corral in front', async () => {
    const stage = await open();
    const leaving = new AbortController();
    const asked = stage.ask(...chat, { leaving: leaving.signal });
    await stage.advance(30_000);
    leaving.abort();
    await stage.until(asked);
    await stage.advance(200_000);
    expect(stage.herd.boxes[0]?.scheduler.loads).toMatchObject({ started: 1, completed: 1, aborted: 0 });
    expect([stage.front.gateway.inFlight, stage.relays[0]?.gateway.inFlight]).toEqual([0, 0]);
  });

  it('tells the true status of what goes wrong late, whole and streamed', async () => {
    for (const stream of [false, true]) {
      const stage = await open({ frontYaml: '  loads: { headersAfter: 1h }' });
      const asked = readOf(stage.ask('/v1/chat/completions', { ...chat[1], stream }));
      await stage.advance(20_000);
      const [box] = stage.herd.boxes;
      if (box !== undefined) box.die('refusing');
      const { status, headers, text } = await stage.until(asked);
      expect([status, headers.get('content-type')]).toEqual([502, 'application/json']);
      expect(JSON.parse(text)).toMatchObject({ error: { message: expect.stringContaining('box-1.herd broke off') } });
    }
  });

  it('T11: lets the Corral in front go on to the next box, also after headers have left the relay', async () => {
    for (const stream of [false, true]) {
      // The second one is asked when the first has failed: it is down at first.
      const stage = await open({ boxes: [slowBox, quickBox] });
      const [first, second] = stage.herd.boxes;
      second?.die('refusing');
      await stage.advance(15_000);
      const asked = readOf(stage.ask('/api/chat', { ...chat[1], stream }));
      await stage.advance(3_000);
      expect(first?.scheduler.loads.started).toBe(1);
      second?.comeBack();
      await stage.advance(90_000);
      first?.die('refusing');
      expect(await stage.until(asked)).toMatchObject({ status: 200, text: expect.stringContaining('clever') });
      expect(second?.completed).toBe(1);
    }
  });

  describe('tells Corrals in front how busy it is', () => {
    const wordy = { models: [{ name: 'big:latest', sizeBytes: gigabyte, outputTokens: 2_000 }] };
    /** Both boxes have the model in memory; then another front begins four answers of 40 s at the first of them. */
    async function openBusy() {
      const stage = await open({ boxes: [wordy, wordy], relayYaml: '    slots: 1' });
      const first = await stage.openFront([0]);
      const second = await stage.openFront([1]);
      const short = { ...chat[1], options: { num_predict: 1 } };
      for (const { ask } of [first, second]) await textOf(stage, ask('/api/chat', short));
      await stage.advance(15_000);
      const begun = [1, 2, 3, 4].map(() => readOf(first.ask(...chat)));
      await stage.advance(2_000);
      const answers = () => stage.until(Promise.all(begun), 1_000_000);
      return { stage, first, answers, short };
    }
    const hostsOf = (requests: readonly Request[]) =>
      requests.filter(({ method }) => method === 'POST').map(({ url }) => new URL(url).host);

    it('T5: a relay that is busy for another front is avoided', async () => {
      const { stage, answers, short } = await openBusy();
      await stage.advance(12_000);
      for (let call = 0; call < 6; call++) {
        const before = stage.passed.length;
        await textOf(stage, stage.ask('/api/chat', { ...short, messages: [{ role: 'user', content: `talk ${call}` }] }));
        expect(hostsOf(stage.passed.slice(before))).toEqual(['relay-2.leg']);
      }
      expect((await answers()).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      // Two fronts send what they have where there is room.
      expect(stage.herd.boxes.map(({ completed }) => completed)).toEqual([5, 7]);
    });

    it('forgets it where the relay says that all is done, and does not count its own calls twice', async () => {
      const { stage, answers } = await openBusy();
      await answers();
      await stage.advance(12_000);
      const own = [1, 2].map((call) =>
        readOf(stage.ask('/api/chat', { ...chat[1], messages: [{ role: 'user', content: `own ${call}` }] })),
      );
      await stage.advance(12_000);
      // One at each: what it has sent there itself it knows already.
      expect(hostsOf(stage.passed).slice(-2).sort()).toEqual(['relay-1.leg', 'relay-2.leg']);
      const counted = () => stage.front.herd.explain('big', 10).map(({ view }) => [view?.busy, view?.waiting]);
      expect(counted().flat()).toEqual([1, 0, 1, 0]);
      await stage.until(Promise.all(own));
      expect(counted().flat()).toEqual([0, 0, 0, 0]);
    });

    it('nobody hears of it who has not proved the secret, and no client of a front', async () => {
      const { stage, first, answers } = await openBusy();
      const seen = await textOf(stage, first.ask('/api/show', { model: 'big' }));
      expect([...seen.headers.keys()].filter((name) => name.startsWith('x-corral-load'))).toEqual([]);
      for (const { headers: told } of await answers()) expect(told.has('x-corral-load')).toBe(false);
      const peer = { port: 3000, address: () => '127.0.0.1', onGone: () => undefined, waitUntil: () => undefined };
      const headers = { host: 'localhost:3000', 'x-corral-challenge': 'a-number-of-16-letters' };
      for (const more of [{}, { 'x-corral-caller': 'eyJ0IjowfQ.AAAA' }]) {
        const request = new Request('http://localhost:3000/api/version', { headers: { ...headers, ...more } });
        const response = await stage.relays[0]?.gateway.fetch(request, peer);
        expect([response?.status, response?.headers.has('x-corral-load')]).toEqual([401, false]);
      }
      const open = await openLeg({ boxes: [quickBox], relay: { apiKey: 'sk-key' } });
      const request = new Request('http://localhost:3000/api/version', {
        headers: { ...headers, authorization: 'Bearer sk-key' },
      });
      const response = await open.relays[0]?.gateway.fetch(request, peer);
      expect([response?.status, response?.headers.has('x-corral-load')]).toEqual([200, false]);
    });
  });

  it('knows nobody without the secret', async () => {
    const stage = await open();
    const [relay] = stage.relays;
    const peer = { port: 3000, address: () => '127.0.0.1', onGone: () => undefined, waitUntil: () => undefined };
    for (const headers of [{}, { 'x-corral-caller': 'eyJ0IjowfQ.AAAA' }, { authorization: 'Bearer x' }]) {
      const request = new Request('http://localhost:3000/api/tags', { headers: { host: 'localhost:3000', ...headers } });
      const response = await relay?.gateway.fetch(request, peer);
      expect([response?.status, response?.headers.get('x-corral-relay')]).toEqual([401, '1']);
      expect(await response?.text()).toMatch(/^\{"error":"this Corral relay .*CORRAL_RELAY_SECRET/);
    }
  });

  it('lets other clients in where keys are configured, and Corrals in front without one', async () => {
    const stage = await open({ boxes: [quickBox], relay: { apiKey: 'sk-key' } });
    expect(await textOf(stage, stage.ask(...chat))).toMatchObject({ status: 200 });
    const peer = { port: 3000, address: () => '192.168.1.9', onGone: () => undefined, waitUntil: () => undefined };
    const statusWith = async (key: string) => {
      const headers = { host: 'localhost:3000', authorization: `Bearer ${key}` };
      return (await stage.relays[0]?.gateway.fetch(new Request('http://localhost:3000/api/version', { headers }), peer))?.status;
    };
    expect([await stage.until(statusWith('sk-key')), await statusWith('sk-other')]).toEqual([200, 401]);
  });

  it('is told of callers, signed, and of nothing that a client says itself', async () => {
    const stage = await open({ boxes: [quickBox] });
    const said = { 'x-corral-caller': 'mine', 'x-corral-class': 'bulk', 'x-corral-relay': '1', 'cf-access-client-id': 'mine' };
    expect(await textOf(stage, stage.ask(...chat, { headers: said }))).toMatchObject({ status: 200 });
    const sent = stage.passed.at(-1);
    expect(sent?.headers.get('x-corral-caller')).toMatch(/^[\w-]+\.[\w-]{43}$/);
    expect([sent?.headers.get('x-corral-class'), sent?.headers.get('cf-access-client-id')]).toEqual([null, null]);
    expect(stage.herd.lines.join('\n')).not.toContain(sent?.headers.get('x-corral-caller'));
    // The first look was that of a stranger; whoever is no relay is never shown a signature.
    expect(stage.passed[0]?.headers.get('x-corral-caller')).toBeNull();
  });

  it('is found out by the first request, too, where no probe has been there yet', async () => {
    const stage = await open({ boxes: [quickBox], frontProbes: false });
    const { status, headers: told } = await textOf(stage, stage.ask(...chat));
    expect([status, told.get('x-corral-relay')]).toEqual([200, null]);
    expect((await textOf(stage, stage.ask(...chat))).headers.get('x-corral-relay')).toBeNull();
    const posts = stage.passed.filter(({ method }) => method === 'POST').slice(0, 2);
    expect(posts.map(({ headers }) => headers.has('x-corral-caller'))).toEqual([false, true]);
  });

  it.each([
    ['1', 401],
    ['1', 200],
    [`abcdef01.${'A'.repeat(43)}`, 401],
    [`abcdef01.${'A'.repeat(43)}`, 200],
  ])('is shown no caller where it only says that it is one: %s with %s', async (said, status) => {
    const stage = await open({
      boxes: [quickBox],
      intercept: ({ url }) =>
        new Response(url.endsWith('/api/version') ? '{"version":"0.12.0"}' : '{}', {
          status,
          headers: { 'x-corral-relay': said },
        }),
    });
    await textOf(stage, stage.ask(...chat));
    await stage.advance(60_000);
    await textOf(stage, stage.ask(...chat));
    expect(stage.passed.length).toBeGreaterThan(5);
    expect(stage.passed.some(({ headers }) => headers.has('x-corral-caller'))).toBe(false);
    // Each probe asks anew.
    const challenges = stage.passed.flatMap(({ headers }) => headers.get('x-corral-challenge') ?? []);
    expect(challenges.length).toBeGreaterThan(2);
    expect(new Set(challenges).size).toBe(challenges.length);
  });

  it('T13: has its early answers opened only where it has proved to be one', async () => {
    const early = `data: {"status":418,"headers":[["x-mine","1"]]}\n\nI am a teapot`;
    const pretend = ({ url, method }: Request) =>
      new Response(method === 'POST' ? early : url.endsWith('/api/version') ? '{"version":"0.12.0"}' : '{}', {
        headers: { 'x-corral-early': '1', 'x-corral-relay': '1', 'content-type': 'application/json' },
      });
    const frontYaml = '  relay: { accessClientId: id.access, accessClientSecret: of-the-service-token }';
    const stage = await open({
      boxes: [quickBox],
      frontYaml,
      frontScheme: 'https',
      frontBoxes: ['access: true'],
      intercept: pretend,
    });
    const { status, headers, text } = await textOf(stage, stage.ask(...chat));
    expect(stage.passed.some(({ headers: sent }) => sent.has('cf-access-client-id'))).toBe(true);
    expect([status, headers.get('x-mine')]).not.toEqual([418, '1']);
    expect(text).toBe(early);
  });

  it('is a relay no longer where a probe brings no proof', async () => {
    let isTaken = false;
    const stage = await open({ boxes: [quickBox], intercept: () => (isTaken ? new Response('no', { status: 404 }) : undefined) });
    expect(stage.passed.at(-1)?.headers.has('x-corral-caller')).toBe(true);
    isTaken = true;
    await stage.advance(15_000);
    const before = stage.passed.length;
    await textOf(stage, stage.ask(...chat));
    await stage.advance(30_000);
    const later = stage.passed.slice(before);
    expect(later.length).toBeGreaterThan(0);
    expect(later.some(({ headers }) => headers.has('x-corral-caller'))).toBe(false);
  });

  it('takes no token that was meant for another relay with the same secret, and probes have no admin scope', async () => {
    const stage = await open({ boxes: [quickBox, quickBox] });
    const signed = stage.passed.filter(({ headers }) => headers.has('x-corral-caller'));
    expect(new Set(signed.map(({ url }) => new URL(url).host)).size).toBe(2);
    for (const { headers } of signed) {
      const [payload = ''] = headers.get('x-corral-caller')?.split('.') ?? [];
      expect(JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')))).not.toHaveProperty('admin');
    }
    const peer = { port: 3000, address: () => '203.0.113.7', onGone: () => undefined, waitUntil: () => undefined };
    const request = new Request('http://localhost:3000/api/version', { headers: { host: 'localhost:3000' } });
    const first = signed.find(({ url }) => url === 'http://relay-1.leg/api/version');
    request.headers.set('x-corral-caller', first?.headers.get('x-corral-caller') ?? '');
    const response = await stage.relays[1]?.gateway.fetch(request, peer);
    expect([response?.status, await response?.text()]).toEqual([401, expect.stringContaining('meant for another relay')]);
  });

  it.each([
    ['another secret', { front: { relaySecret: 'not what the other end knows' } }, /same CORRAL_RELAY_SECRET/],
    ['no secret', { front: { relaySecret: undefined } }, /same CORRAL_RELAY_SECRET/],
    ['a clock that is wrong', { frontAheadMs: 61_000 }, /NTP/],
  ])('says what is wrong with %s', async (_, setting, mend) => {
    const stage = await open({ boxes: [quickBox], ...setting });
    const [box] = stage.front.herd.describe();
    expect(box).toMatchObject({ isAlive: false, why: 'relay-1.leg is a Corral relay and does not let this gateway in.' });
    expect(box?.mend).toMatch(mend);
    const { status, text } = await textOf(stage, stage.ask(...chat));
    expect(status).toBe(502);
    expect(text).toMatch(mend);
  });

  describe('a service token of Cloudflare Access', () => {
    const frontYaml = '  relay: { accessClientId: id.access, accessClientSecret: of-the-service-token }';
    const shows = ({ headers }: Request) => headers.has('cf-access-client-id') || headers.has('cf-access-client-secret');
    const pages = [
      { status: 302, headers: { location: 'https://team.cloudflareaccess.com/cdn-cgi/access/login/x' } },
      { status: 403, headers: { 'www-authenticate': 'Cloudflare-Access resource_metadata="x"' } },
    ];
    const turnAway = (page: ResponseInit) => (request: Request) =>
      request.headers.get('cf-access-client-secret') === 'of-the-service-token' ? undefined : new Response(null, page);

    it.each(pages)('is shown from the first request on to a box that says so: %o', async (page) => {
      const setting = { frontYaml, frontScheme: 'https', intercept: turnAway(page) } as const;
      const stage = await open({ ...setting, boxes: [quickBox], frontBoxes: ['access: true'] });
      expect(stage.passed.length).toBeGreaterThan(0);
      expect(await textOf(stage, stage.ask(...chat))).toMatchObject({ status: 200 });
      expect(stage.passed.every(shows)).toBe(true);
      const unseen = await open({ ...setting, boxes: [quickBox], frontBoxes: ['access: true'], frontProbes: false });
      expect(await textOf(unseen, unseen.ask(...chat))).toMatchObject({ status: 200 });
      expect(unseen.passed.every(shows)).toBe(true);
    });

    it.each(pages)('is shown to no box that asks for it in the words of Access: %o', async (page) => {
      const stage = await open({ boxes: [quickBox], frontYaml, frontScheme: 'https', intercept: turnAway(page) });
      const [box] = stage.front.herd.describe();
      await textOf(stage, stage.ask(...chat));
      expect(stage.passed.length).toBeGreaterThan(1);
      expect(stage.passed.some(shows)).toBe(false);
      expect(box?.why).toContain('Cloudflare Access');
      expect(box?.mend).toContain('access: true');
    });

    it('is shown to the one of two boxes that says so', async () => {
      const stage = await open({
        boxes: [quickBox, quickBox],
        frontYaml,
        frontScheme: 'https',
        frontBoxes: ['', 'access: true'],
      });
      for (let times = 0; times < 4; times++) await textOf(stage, stage.ask(...chat));
      const hosts = new Set(stage.passed.filter(shows).map(({ url }) => new URL(url).host));
      expect([...hosts]).toEqual(['relay-2.leg']);
      expect(stage.passed.some(({ url }) => new URL(url).host === 'relay-1.leg')).toBe(true);
    });
  });

  it('T2: says what a tunnel means that gives up or is not connected, in the words of the protocol', async () => {
    for (const [page, status, mend] of [
      [524, 504, /corral --relay/],
      [530, 503, /cloudflared tunnel run/],
    ] as const) {
      const stage = await open({
        boxes: [quickBox],
        intercept: ({ method }) => (method === 'POST' ? new Response('error code: 1033', { status: page }) : undefined),
      });
      const { status: told, text } = await textOf(stage, stage.ask('/v1/messages', { ...chat[1], max_tokens: 5 }));
      expect(told).toBe(status);
      expect(JSON.parse(text)).toMatchObject({ type: 'error', error: { message: expect.stringMatching(mend) } });
    }
  });
});
