/** Prompt guards (issue 4: promptGuard): requests and answers, masked and refused, whole and streamed, in every protocol. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect } from 'vitest';
import type { FakeOllama } from '../support/fake-ollama/index.ts';
import type { RunningCorral } from '../support/runtimes/index.ts';
import { ask, chat, errorOf, herdOf, isPath, type Json, type Reply, type Stage, untilListed } from './stage.ts';

interface Surface {
  readonly path: string;
  body(text: string): object;
  /** The text of a whole answer. */
  wholeOf(json: Json): string;
  /** The text in one event. */
  pieceOf(json: Json): string | undefined;
  readonly end: RegExp;
}

const messages = (text: string) => ({ messages: [{ role: 'user', content: text }] });

const surfaces: readonly Surface[] = [
  {
    path: '/v1/chat/completions',
    body: messages,
    wholeOf: (json) => json.choices[0].message.content,
    pieceOf: (json) => json.choices?.[0]?.delta.content,
    end: /data: \[DONE\]\n\n$/,
  },
  {
    path: '/v1/completions',
    body: (text) => ({ prompt: text }),
    wholeOf: (json) => json.choices[0].text,
    pieceOf: (json) => json.choices?.[0]?.text,
    end: /data: \[DONE\]\n\n$/,
  },
  {
    path: '/v1/responses',
    body: (text) => ({ input: text }),
    wholeOf: (json) => json.output[0].content[0].text,
    pieceOf: (json) => (json.type === 'response.output_text.delta' ? json.delta : undefined),
    end: /event: response\.completed\n.*\n\n$/,
  },
  {
    path: '/v1/messages',
    body: (text) => ({ ...messages(text), max_tokens: 100 }),
    wholeOf: (json) => json.content[0].text,
    pieceOf: (json) => json.delta?.text,
    end: /event: message_stop\n.*\n\n$/,
  },
  {
    path: '/api/chat',
    body: messages,
    wholeOf: (json) => json.message.content,
    pieceOf: (json) => json.message?.content,
    end: /"done":true.*\n$/,
  },
  {
    path: '/api/generate',
    body: (text) => ({ prompt: text }),
    wholeOf: (json) => json.response,
    pieceOf: (json) => json.response,
    end: /"done":true.*\n$/,
  },
];

const models = [
  { name: 'telling', tokens: ['Write', ' to ja', 'ne@exam', 'ple.org', ' today', '; ssn 078', '-05', '-1120'] },
  { name: 'bad', tokens: ['How to', ' make a', ' bo', 'mb', ' at home'] },
  { name: 'good', tokens: ['All', ' is', ' well', '.'] },
];
const masked = 'Write to <EMAIL_ADDRESS> today; ssn <SSN>';

const promptGuard = {
  request: [
    { regex: { rules: [{ builtin: 'creditCard' }, { pattern: '(?i)secret-[0-9]{1,9}' }] } },
    { regex: { action: 'reject', rules: [{ pattern: 'forbidden' }] } },
    { regex: { action: 'reject', rules: [{ pattern: 'own words' }] }, rejection: { body: 'my own words', status: 451 } },
  ],
  response: [
    { regex: { rules: [{ builtin: 'email' }, { builtin: 'ssn' }] } },
    { regex: { action: 'reject', rules: [{ pattern: 'bomb' }] } },
  ],
};

export function guards(stage: Stage): void {
  let box: FakeOllama;
  let corral: RunningCorral;
  let hooked: RunningCorral;
  const hook = openHook();
  afterAll(() => hook.close());

  beforeAll(async () => {
    box = await stage.box({ models });
    const port = await hook.listen();
    corral = await stage.corral({ yaml: herdOf([{ name: 'box', at: box.port }], { policies: { ai: { promptGuard } } }) });
    const webhook = (more = {}) => ({ webhook: { target: { host: `127.0.0.1:${port}` }, ...more } });
    hooked = await stage.corral({
      yaml: herdOf([{ name: 'box', at: box.port }], {
        policies: {
          ai: {
            promptGuard: {
              request: [
                webhook({ headers: { 'x-model': 'llmRequest.model' } }),
                webhook({ headers: { ':path': '"/broken"' }, failureMode: 'failOpen' }),
              ],
              response: [webhook()],
            },
          },
        },
      }),
    });
    await Promise.all([corral, hooked].map(({ url }) => untilListed(url, ['telling:latest', 'bad:latest', 'good:latest'])));
  }, 60_000);

  const post = (surface: Surface, model: string, text = 'Hello', stream = false, { url } = corral): Promise<Reply> =>
    ask(url + surface.path, { body: { model, stream, ...surface.body(text) } });

  for (const surface of surfaces) {
    const { path } = surface;

    stage.it(`${path}: what a request must not hold is masked before the box sees it`, async () => {
      const reply = await post(surface, 'good', 'card 4111 1111 1111 1111, Secret-42');
      const received = box.requests.filter(isPath(path)).at(-1)?.body;
      expect(received).toContain('card <CREDIT_CARD>, <masked>');
      expect(received).not.toMatch(/4111|ecret-/);
      expect([reply.status, surface.wholeOf(reply.json())]).toEqual([200, 'All is well.']);
    });

    stage.it(`${path}: a request that is refused reaches no box, and is told in the protocol's own shape`, async () => {
      const before = box.requests.length;
      const reply = await post(surface, 'good', 'something forbidden', true);
      expect(reply.status).toBe(403);
      expect(errorOf(reply)).toBe('The request was rejected due to inappropriate content');
      const own = await post(surface, 'good', 'my own words, please');
      expect([own.status, own.text, own.headers.get('content-type')]).toEqual([451, 'my own words', null]);
      expect(box.requests.slice(before).filter(isPath(path))).toEqual([]);
    });

    stage.it(`${path}: an answer is masked, whole and streamed alike`, async () => {
      const whole = await post(surface, 'telling');
      expect(surface.wholeOf(whole.json())).toBe(masked);
      expect(whole.headers.get('content-length') ?? String(whole.text.length)).toBe(String(whole.text.length));
      const stream = await post(surface, 'telling', 'Hello', true);
      expect(streamed(surface, stream.text)).toBe(masked);
      expect(stream.text).not.toMatch(/jane|example\.org|078|1120/);
      expect(stream.text).toMatch(surface.end);
    });

    stage.it(`${path}: an answer is refused, whole and in the middle of its stream`, async () => {
      const whole = await post(surface, 'bad');
      expect([whole.status, errorOf(whole)]).toEqual([403, 'The request was rejected due to inappropriate content']);
      const stream = await post(surface, 'bad', 'Hello', true);
      expect(stream.status).toBe(200);
      expect(stream.text).toContain('The request was rejected due to inappropriate content');
      expect(streamed(surface, stream.text)).toBe('How to make a ');
      expect(stream.text).not.toMatch(/" bo"|"mb"|home/);
      expect(stream.text).not.toMatch(surface.end);
    });

    stage.it(`${path}: a webhook lets pass, masks, refuses; one that is broken and open does not matter`, async () => {
      hook.asked.length = 0;
      hook.verdict = () => ({ action: { reason: 'fine' } });
      const passed = await post(surface, 'good', 'Hello', false, hooked);
      expect(surface.wholeOf(passed.json())).toBe('All is well.');
      expect(hook.asked[0]).toMatchObject({ path: '/request', model: 'good' });
      expect(hook.asked[1]?.path).toBe('/broken');
      expect(hook.asked[2]).toMatchObject({
        path: '/response',
        body: { body: { choices: [{ message: { role: 'assistant', content: 'All is well.' } }] } },
      });
      hook.verdict = ({ path: at, body }) =>
        at === '/request'
          ? { action: { body: { messages: body.body.messages.map(replaced) } } }
          : { action: { body: { choices: body.body.choices.map(({ message }: Json) => ({ message: replaced(message) })) } } };
      const changed = await post(surface, 'good', 'Hello Jane', true, hooked);
      expect(box.requests.filter(isPath(path)).at(-1)?.body).toContain('Hello ***');
      expect(streamed(surface, changed.text)).toBe('All is ***.');
      hook.verdict = () => ({ action: { body: 'the hook says no', status_code: 418 } });
      const refused = await post(surface, 'good', 'Hello', false, hooked);
      expect([refused.status, refused.text]).toEqual([418, 'the hook says no']);
      hook.verdict = () => 'no JSON';
      expect((await post(surface, 'good', 'Hello', false, hooked)).status).toBe(503);
    });
  }

  stage.it('a client that leaves a guarded stream ends the generation', async () => {
    const slow = await stage.box({ models: [{ name: 'slow', tokens: Array.from({ length: 400 }, () => 'word ') }] });
    slow.set({ tokensPerSecond: 50 });
    const own = await stage.corral({ yaml: herdOf([{ name: 'slow', at: slow.port }], { policies: { ai: { promptGuard } } }) });
    await untilListed(own.url, ['slow:latest']);
    const leaving = new AbortController();
    const response = await fetch(`${own.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'slow', stream: true, ...messages('Hello') }),
      signal: leaving.signal,
    });
    await response.body?.getReader().read();
    leaving.abort();
    const received = await slow.nextRequest(isPath('/v1/chat/completions'));
    expect(await received.over).toBe('client left');
  });

  stage.it('usage of a guarded stream is known, and passes only where it was asked for', async () => {
    const plain = await chat(corral.url, { model: 'telling', stream: true });
    expect(plain.text).not.toContain('"usage":{');
    const asked = await chat(corral.url, { model: 'telling', stream: true, stream_options: { include_usage: true } });
    expect(asked.text).toContain('"completion_tokens":8');
  });
}

function streamed(surface: Surface, text: string): string {
  const events = text.split('\n').filter((line) => line.startsWith('data: {') || line.startsWith('{'));
  return events.map((line) => surface.pieceOf(JSON.parse(line.replace(/^data: /, ''))) ?? '').join('');
}

function replaced({ role, content }: { role: string; content: string }) {
  return { role, content: content.replace(/Jane|well/, '***') };
}

interface HookAsked {
  readonly path: string;
  readonly model: string | undefined;
  readonly body: Json;
}

/** A server that decides. */
function openHook() {
  const asked: HookAsked[] = [];
  const hook = {
    asked,
    verdict: (_: HookAsked): object | string => ({ action: {} }),
    listen: () =>
      new Promise<number>((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))),
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const piece of request) text += String(piece);
    const one = { path: request.url ?? '', model: request.headers['x-model']?.toString(), body: JSON.parse(text) as Json };
    asked.push(one);
    const answer = one.path === '/broken' ? 'broken' : hook.verdict(one);
    response.writeHead(one.path === '/broken' ? 500 : 200, { 'content-type': 'application/json' });
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
  });
  server.unref();
  return hook;
}
