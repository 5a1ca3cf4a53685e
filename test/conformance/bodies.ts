/** Bad input (issue: "Bad input"; D10, D14): every body that a client may send, and what is forwarded is what was decided on. */
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { beforeAll, describe, expect } from 'vitest';
import type { FakeOllama } from '../support/fake-ollama/index.ts';
import { requestBytes } from '../support/raw-client.ts';
import type { RunningCorral } from '../support/runtimes/index.ts';
import { ask, chat, errorOf, hello, herdOf, inferencesOf, isPath, type Stage } from './stage.ts';

const mebibyte = 1024 * 1024;
const chatPath = '/v1/chat/completions';

export function bodies(stage: Stage): void {
  describe('bodies', () => {
    const limit = stage.runtime === 'workerd' ? 8 * mebibyte : 32 * mebibyte;
    let box: FakeOllama;
    let corral: RunningCorral;
    beforeAll(async () => {
      box = await stage.box({ models: ['llama3.2', 'other'] });
      // Some of these bodies are longer than any context: here they are bytes that must pass.
      const yaml = herdOf([{ name: 'desk', at: box.port, model: 'llama3.2' }], { fleet: { truncation: { refuse: 'never' } } });
      corral = await stage.corral({ yaml });
    });
    const post = (body: string | Uint8Array, headers: Record<string, string> = {}) =>
      ask(corral.url + chatPath, { body, headers });
    const last = () => box.requests.findLast(isPath(chatPath));

    const malformed: [string, string | Uint8Array][] = [
      ['text that is no JSON', 'hello'],
      ['a form', 'model=llama3.2&x=1'],
      ['nothing', ''],
      ['white space', ' \n'],
      ['an array', '[]'],
      ['a string', '"x"'],
      ['null', 'null'],
      ['a number', '1'],
      ['a truncated object', '{"model":"llama3.2","messages":[{"role"'],
      ['a key without quotes', '{model:"llama3.2"}'],
      ['a trailing comma', '{"model":"llama3.2",}'],
      ['a byte order mark', '\ufeff{"model":"llama3.2"}'],
      ['bytes that are no UTF-8', Uint8Array.from([0x7b, 0x22, 0x6d, 0x22, 0x3a, 0x22, 0xff, 0xfe, 0x22, 0x7d])],
      ['a lone control character', '{"model":"a\u0001b"}'],
      ['an unpaired bracket', '{"a":]}'],
      ['UTF-16', new Uint8Array(Buffer.from('{"model":"llama3.2"}', 'utf16le'))],
    ];
    for (const [name, body] of malformed) {
      stage.it(`${name}: 400 in the protocol's shape, nothing reaches the box`, async () => {
        const before = inferencesOf(box).length;
        const openai = await post(body);
        expect(openai.status).toBe(400);
        expect(openai.json()).toMatchObject({ error: { message: expect.stringMatching(/./), type: 'invalid_request_error' } });
        const native = await ask(`${corral.url}/api/chat`, { body });
        expect([native.status, typeof native.json().error]).toEqual([400, 'string']);
        const anthropic = await ask(`${corral.url}/v1/messages`, { body });
        expect([anthropic.status, anthropic.json().type]).toEqual([400, 'error']);
        expect(inferencesOf(box)).toHaveLength(before);
      });
    }

    stage.it('wrong types in fields that Corral reads: 400 or the box’s own 400, never 500', async () => {
      for (const field of [
        { model: 1 },
        { model: ['llama3.2'] },
        { model: {} },
        { stream: 'yes' },
        { stream_options: 'x', stream: true },
        { messages: 'x' },
        { tools: 'x' },
        { tool_choice: 7 },
        { n: 'two' },
        { logit_bias: 'x' },
        { max_completion_tokens: 'x' },
      ]) {
        const reply = await chat(corral.url, field);
        expect([field, reply.status]).toEqual([field, expect.toBeOneOf([200, 400])]);
        expect([field, reply.status === 400 || !('model' in field)]).toEqual([field, true]);
      }
      for (const [path, body] of [
        ['/v1/responses', { model: 'llama3.2', input: 5, previous_response_id: 7 }],
        ['/v1/messages', { model: 'llama3.2', max_tokens: 'x', messages: hello, tool_choice: 'x', tools: 3 }],
        ['/v1/embeddings', { model: 'llama3.2', input: { a: 1 } }],
        ['/api/generate', { model: 'llama3.2', prompt: 3, options: 'x' }],
        ['/api/show', { model: 5 }],
        ['/v1/messages/count_tokens', { model: 5, messages: 'x' }],
      ] as [string, object][]) {
        const { status } = await ask(corral.url + path, { body });
        expect([path, status]).toEqual([path, expect.toBeOneOf([200, 400, 404, 501])]);
      }
    });

    stage.it('40 MB: 413, the connection does not hang', async () => {
      const before = inferencesOf(box).length;
      const client = await stage.raw(corral.url);
      const head = `POST ${chatPath} HTTP/1.1\r\nHost: ${new URL(corral.url).host}\r\nContent-Type: application/json\r\nContent-Length: ${40 * mebibyte}\r\n\r\n`;
      await client.send(head);
      client.send('{"model":"llama3.2","messages":[{"role":"user","content":"').catch(() => undefined);
      const reply = await client.reply();
      expect(reply.status).toBe(413);
      expect(JSON.parse(reply.text)).toMatchObject({
        error: { message: expect.stringMatching(new RegExp(`larger than ${limit} bytes`)) },
      });
      client.close();
      expect(inferencesOf(box)).toHaveLength(before);
    });

    stage.it(
      '40 MB without a length (chunked): 413',
      async () => {
        const client = await stage.raw(corral.url);
        await client.send(`POST ${chatPath} HTTP/1.1\r\nHost: ${new URL(corral.url).host}\r\nTransfer-Encoding: chunked\r\n\r\n`);
        const piece = Buffer.from('x'.repeat(mebibyte));
        const sending = (async () => {
          for (let sent = 0; sent < 40; sent++)
            await client.send(Buffer.concat([Buffer.from(`${mebibyte.toString(16)}\r\n`), piece, Buffer.from('\r\n')]));
        })().catch(() => undefined);
        const reply = await client.reply({ timeoutMs: 20_000 });
        expect(reply.status).toBe(413);
        client.close();
        await sending;
      },
      { workerd: 'it closes the connection when a body is refused while it arrives' },
    );

    stage.it('just under the limit passes whole', async () => {
      const content = 'x'.repeat((stage.runtime === 'workerd' ? 7 : 12) * mebibyte);
      const reply = await chat(corral.url, { messages: [{ role: 'user', content }] });
      expect(reply.status).toBe(200);
      expect(last()?.body).toContain(content);
    });

    stage.it('fleet.maxBodyBytes sets the limit', async () => {
      const small = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }], { fleet: { maxBodyBytes: 1000 } }) });
      expect((await chat(small.url, { messages: [{ role: 'user', content: 'x'.repeat(2000) }] })).status).toBe(413);
      expect((await chat(small.url)).status).toBe(200);
    });

    stage.it('gzip and zstd bodies are inflated on the way', async () => {
      const plain = JSON.stringify({ model: 'llama3.2', messages: [{ role: 'user', content: 'zipped' }] });
      for (const [encoding, bytes] of [
        ['gzip', gzipSync(plain)],
        ['zstd', zstdCompressSync(Buffer.from(plain))],
        ['GZIP', gzipSync(plain)],
        ['identity', Buffer.from(plain)],
      ] as const) {
        const reply = await post(new Uint8Array(bytes), { 'content-encoding': encoding });
        expect([encoding, reply.status]).toEqual([encoding, 200]);
        expect([last()?.body, last()?.header('content-encoding')]).toEqual([plain, undefined]);
      }
    });

    stage.it('other encodings: 415; what is not what it says: 400', async () => {
      const before = inferencesOf(box).length;
      for (const encoding of ['br', 'deflate', 'gzip, gzip', 'snappy']) {
        expect([encoding, (await post('{}', { 'content-encoding': encoding })).status]).toEqual([encoding, 415]);
      }
      for (const encoding of ['gzip', 'zstd'])
        expect((await post('{"model":"llama3.2"}', { 'content-encoding': encoding })).status).toBe(400);
      const cut = gzipSync(JSON.stringify({ model: 'llama3.2', messages: hello })).subarray(0, 40);
      expect((await post(new Uint8Array(cut), { 'content-encoding': 'gzip' })).status).toBe(400);
      expect(inferencesOf(box)).toHaveLength(before);
    });

    stage.it('a compression bomb: 413, for gzip and zstd', async () => {
      const zeros = Buffer.alloc(200 * mebibyte, ' ');
      for (const [encoding, bytes] of [
        ['gzip', gzipSync(zeros)],
        ['zstd', zstdCompressSync(zeros)],
      ] as const) {
        const reply = await post(new Uint8Array(bytes), { 'content-encoding': encoding });
        expect([encoding, reply.status]).toEqual([encoding, expect.toBeOneOf([413, 503])]);
      }
      expect((await chat(corral.url)).status).toBe(200);
    });

    stage.it('deep nesting is no danger', async () => {
      for (const depth of [500, 100_000]) {
        for (const [open, close] of [
          ['[', ']'],
          ['{"a":', '}'],
        ] as const) {
          const nested = `{"model":"llama3.2","messages":${open.repeat(depth)}1${close.repeat(depth)}}`;
          const { status } = await post(nested);
          // What Go would take is the box's to judge; what it would not take is refused here.
          expect([depth, status]).toEqual([depth, depth > 10_000 ? 400 : expect.toBeOneOf([200, 400])]);
        }
      }
      expect((await chat(corral.url)).status).toBe(200);
    });

    stage.it('keys that Ollama folds: the last one wins, and only it is forwarded (D14)', async () => {
      const cases: [string, string][] = [
        ['{"model":"nope","MODEL":"llama3.2","messages":[{"role":"user","content":"x"}]}', 'llama3.2'],
        ['{"MODEL":"nope","model":"llama3.2","messages":[{"role":"user","content":"x"}]}', 'llama3.2'],
        ['{"model":"nope","model":"llama3.2","messages":[{"role":"user","content":"x"}]}', 'llama3.2'],
        ['{"Model":"llama3.2","messages":[{"role":"user","content":"x"}]}', 'llama3.2'],
        ['{"model":"nope","\\u004dodel":"llama3.2","messages":[{"role":"user","content":"x"}]}', 'llama3.2'],
      ];
      for (const [body, model] of cases) {
        const reply = await post(body);
        expect([body, reply.status]).toEqual([body, 200]);
        const sent = JSON.parse(last()?.body ?? '{}') as Record<string, unknown>;
        const keys = Object.keys(sent).filter((key) => key.toLowerCase() === 'model');
        expect([keys.length, sent[keys[0] ?? '']]).toEqual([1, model]);
        expect(last()?.body).not.toContain('nope');
      }
    });

    stage.it('`meſſages` and other letters that fold to ASCII are the same key', async () => {
      const reply = await post(
        '{"model":"llama3.2","messages":[{"role":"user","content":"first"}],"meſſages":[{"role":"user","content":"second"}]}',
      );
      expect(reply.status).toBe(200);
      expect(last()?.body).toContain('second');
      expect(last()?.body).not.toContain('first');
    });

    stage.it('what is not touched is exact on the wire: big integers, floats, escapes, order, unknown fields', async () => {
      const body =
        '{ "zeta":1, "model" : "llama3.2","seed":9007199254740993, "x":1e400,"temperature": 1.0,"top_p":0.30000000000000001,\n"messages":[{"role":"user","content":"\\u00e9\\ud83d\\ude00 \\/"}],"unknown":{"b":1,"a":[12345678901234567890]},"nothing":null}';
      await post(body);
      expect(last()?.body).toBe(body);
      // Also where Corral edits: a stream gets `stream_options`, the default model is filled in.
      await post(body.replace('"model" : "llama3.2",', '').replace('"zeta":1', '"zeta":1,"stream":true'));
      const edited = last()?.body ?? '';
      for (const exact of [
        '9007199254740993',
        '1e400',
        '"temperature": 1.0',
        '0.30000000000000001',
        '\\u00e9\\ud83d\\ude00 \\/',
        '12345678901234567890',
        '"nothing":null',
      ])
        expect(edited).toContain(exact);
      expect(JSON.parse(edited)).toMatchObject({ model: 'llama3.2', stream_options: { include_usage: true } });
    });

    stage.it('what follows the object is neither read nor forwarded', async () => {
      const reply = await post('{"model":"llama3.2","messages":[{"role":"user","content":"x"}]}{"model":"other"}');
      expect(reply.status).toBe(200);
      expect(last()?.body).not.toContain('other');
    });

    stage.it('text/plain, no content type and odd ones are read as JSON, as Ollama does', async () => {
      for (const type of [
        'text/plain',
        'application/octet-stream',
        'application/json; charset=utf-8',
        'application/x-www-form-urlencoded',
      ]) {
        const reply = await post(JSON.stringify({ model: 'llama3.2', messages: hello }), { 'content-type': type });
        expect([type, reply.status]).toEqual([type, 200]);
      }
    });

    stage.it('one byte a second: 408 after fleet.bodyTimeout, not held for ever', async () => {
      const strict = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }], { fleet: { bodyTimeout: '1s' } }) });
      const client = await stage.raw(strict.url);
      await client.send(
        `POST ${chatPath} HTTP/1.1\r\nHost: ${new URL(strict.url).host}\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n`,
      );
      let isOver = false;
      const dripping = (async () => {
        while (!isOver) {
          await client.send('{').catch(() => undefined);
          await new Promise<void>((resolve) => setTimeout(resolve, 200));
        }
      })();
      const reply = await client.reply({ timeoutMs: 15_000 }).finally(() => {
        isOver = true;
      });
      await dripping;
      expect([reply.status, reply.text]).toEqual([408, expect.stringMatching(/did not arrive within 1 seconds?/)]);
    });

    stage.it('a client that breaks off in the middle of its body leaves nothing behind', async () => {
      const before = inferencesOf(box).length;
      const client = await stage.raw(corral.url);
      await client.send(
        `POST ${chatPath} HTTP/1.1\r\nHost: ${new URL(corral.url).host}\r\nContent-Length: 5000\r\n\r\n{"model":"llama3.2"`,
      );
      client.reset();
      expect((await chat(corral.url)).status).toBe(200);
      expect(inferencesOf(box)).toHaveLength(before + 1);
    });

    stage.it('absurd URLs: an answer below 500, or a closed connection, and Corral lives', async () => {
      const host = new URL(corral.url).host;
      const paths = [
        `/${'a'.repeat(6000)}`,
        '/%',
        '/%zz',
        '/%ff%fe',
        '/v1/models/%',
        '/v1/models/%E0%A4%A',
        '/..',
        '/../../../etc/passwd',
        '//',
        '///',
        '/?',
        '/?%',
        '/#x',
        '/v1/models/..%2f..%2f..%2fetc',
        `/${'../'.repeat(500)}`,
        `/v1/models/${'%25'.repeat(500)}41`,
        '/v1/chat/completions?a=%00',
        '*',
        'http://evil.example/api/tags',
        'evil.example:443',
        '/v1/models/\u00e9'.replace('\u00e9', '%C3%A9'),
      ];
      for (const path of paths) {
        const client = await stage.raw(corral.url);
        await client.send(requestBytes({ path, host, headers: [['Connection', 'close']] }));
        const outcome = await client.reply().then(
          (reply) => reply.status,
          () => 'closed' as const,
        );
        client.close();
        expect([path.slice(0, 60), outcome === 'closed' || outcome < 500]).toEqual([path.slice(0, 60), true]);
      }
      expect((await chat(corral.url)).status).toBe(200);
    });

    stage.it('many large bodies at once: some get 503 with Retry-After, none is lost, memory is bounded', async () => {
      const tight = await stage.corral({
        yaml: herdOf([{ name: 'desk', at: box.port }], {
          fleet: { maxBodyBytes: '4MiB', maxBufferedBytes: '8MiB', truncation: { refuse: 'never' } },
        }),
      });
      box.set({ startDelayMs: 500 });
      const content = 'x'.repeat(3 * mebibyte);
      const replies = await Promise.all(
        Array.from({ length: 6 }, () => chat(tight.url, { messages: [{ role: 'user', content }] })),
      );
      box.clear();
      const statuses = replies.map(({ status }) => status);
      expect(new Set(statuses)).toEqual(new Set([200, 503]));
      const refused = replies.find(({ status }) => status === 503);
      expect(refused?.headers.get('retry-after')).toBe('1');
      expect(refused === undefined ? '' : errorOf(refused)).toMatch(/memory/);
      expect((await chat(tight.url, { messages: [{ role: 'user', content }] })).status).toBe(200);
    });
  });
}
