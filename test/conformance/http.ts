/** Raw HTTP (issue: "How it is proved"): framing, HTTP/1.0, Expect, HEAD, keep-alive, pipelining. What differs by runtime is in docs/differences.md. */
import { beforeAll, describe, expect } from 'vitest';
import type { FakeOllama } from '../support/fake-ollama/index.ts';
import { requestBytes } from '../support/raw-client.ts';
import type { RunningCorral } from '../support/runtimes/index.ts';
import { hello, herdOf, isPath, type Stage, untilListed } from './stage.ts';

const chatPath = '/v1/chat/completions';
const body = JSON.stringify({ model: 'llama3.2', messages: hello });

export function http(stage: Stage): void {
  describe('http', () => {
    let box: FakeOllama;
    let corral: RunningCorral;
    let host: string;
    beforeAll(async () => {
      box = await stage.box();
      corral = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }]) });
      host = new URL(corral.url).host;
      await untilListed(corral.url, ['llama3.2:latest']);
    });

    stage.it('a whole answer has a Content-Length or is chunked to its end; nothing of the box’s framing leaks', async () => {
      const client = await stage.raw(corral.url);
      await client.send(requestBytes({ path: chatPath, host, body }));
      const reply = await client.reply();
      expect(reply).toMatchObject({ status: 200, complete: true });
      expect(reply.headers.filter(([name]) => /^(content-length|transfer-encoding)$/i.test(name))).toHaveLength(1);
      expect(JSON.parse(reply.text)).toMatchObject({ object: 'chat.completion' });
      client.close();
    });

    stage.it('a stream is chunked and ends with the last chunk; the connection can be used again', async () => {
      const client = await stage.raw(corral.url);
      // Slow enough to be a stream: what is whole at once may have a Content-Length.
      box.set({ tokensPerSecond: 100 });
      for (let each = 0; each < 3; each++) {
        await client.send(requestBytes({ path: chatPath, host, body: body.replace('{', '{"stream":true,') }));
        const reply = await client.reply();
        expect(reply).toMatchObject({ status: 200, complete: true });
        expect(reply.header('transfer-encoding')).toBe('chunked');
        expect(reply.header('content-type')).toBe('text/event-stream');
        expect(reply.text.endsWith('data: [DONE]\n\n')).toBe(true);
      }
      box.clear();
      client.close();
    });

    stage.it('keep-alive: many requests on one connection, errors among them', async () => {
      const client = await stage.raw(corral.url);
      for (const [path, status] of [
        ['/api/tags', 200],
        ['/nope', 404],
        [chatPath, 400],
        ['/v1/models', 200],
      ] as const) {
        await client.send(requestBytes({ path, host, ...(path === chatPath ? { body: 'no json' } : {}) }));
        expect([path, (await client.reply()).status]).toEqual([path, status]);
      }
      client.close();
    });

    stage.it('connections to the box are used again', async () => {
      const ports = new Set<number | undefined>();
      for (let each = 0; each < 6; each++) {
        const client = await stage.raw(corral.url);
        await client.send(requestBytes({ path: chatPath, host, body }));
        await client.reply();
        client.close();
        ports.add(box.requests.findLast(isPath(chatPath))?.remotePort);
      }
      expect(ports.size).toBeLessThan(6);
    });

    stage.it('HEAD: headers of a GET, no body, the connection lives', async () => {
      const client = await stage.raw(corral.url);
      for (const path of ['/', '/api/version', '/api/tags']) {
        await client.send(requestBytes({ method: 'HEAD', path, host }));
        const reply = await client.reply({ head: true });
        expect([path, reply.status]).toEqual([path, 200]);
      }
      await client.send(requestBytes({ path: '/api/version', host }));
      expect((await client.reply()).text).toBe('{"version":"0.99.0-src"}');
      client.close();
    });

    stage.it('HTTP/1.0: an answer without chunks, the connection closes', async () => {
      const client = await stage.raw(corral.url);
      await client.send(`POST ${chatPath} HTTP/1.0\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      const reply = await client.reply();
      expect(reply.status).toBe(200);
      expect(reply.header('transfer-encoding')).toBeUndefined();
      expect(JSON.parse(reply.text)).toMatchObject({ object: 'chat.completion' });
    });

    stage.it('HTTP/1.0 streams: bytes until the close', async () => {
      const streamed = body.replace('{', '{"stream":true,');
      const client = await stage.raw(corral.url);
      await client.send(`POST ${chatPath} HTTP/1.0\r\nHost: ${host}\r\nContent-Length: ${streamed.length}\r\n\r\n${streamed}`);
      await client.closed;
      const text = client.received().toString();
      expect(text).toMatch(/^HTTP\/1\.[01] 200/);
      expect(text).not.toMatch(/transfer-encoding/i);
      expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    });

    stage.it('Expect: 100-continue is answered, then the request', async () => {
      const client = await stage.raw(corral.url);
      await client.send(
        `POST ${chatPath} HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`,
      );
      await client.until('100 Continue');
      await client.send(body);
      expect((await client.reply()).status).toBe(100);
      expect((await client.reply()).status).toBe(200);
      client.close();
    });

    stage.it('chunked request bodies', async () => {
      const client = await stage.raw(corral.url);
      const half = Math.floor(body.length / 2);
      await client.send(`POST ${chatPath} HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n`);
      for (const piece of [body.slice(0, half), body.slice(half)])
        await client.send(`${piece.length.toString(16)}\r\n${piece}\r\n`);
      await client.send('0\r\n\r\n');
      expect((await client.reply()).status).toBe(200);
      expect(box.requests.findLast(isPath(chatPath))?.body).toBe(body);
      client.close();
    });

    stage.it(
      'pipelined requests are answered in order',
      async () => {
        const client = await stage.raw(corral.url);
        await client.send(
          Buffer.concat([
            requestBytes({ path: '/api/version', host }),
            requestBytes({ path: chatPath, host, body }),
            requestBytes({ path: '/', host }),
          ]),
        );
        expect((await client.reply()).text).toContain('version');
        expect((await client.reply()).text).toContain('chat.completion');
        expect((await client.reply()).text).toBe('Ollama is running');
        client.close();
      },
      { bun: 'its server closes the connection when it gets a second request before it has answered the first' },
    );

    stage.it('a body with both lengths is never read as two requests (smuggling)', async () => {
      const client = await stage.raw(corral.url);
      const before = box.requests.length;
      await client.send(
        `POST ${chatPath} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPOST /api/pull HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 2\r\n\r\n{}`,
      );
      await client.until(/HTTP\/1\.1 \d\d\d/).catch(() => undefined);
      client.close();
      expect(box.requests.slice(before).filter(isPath('/api/pull'))).toEqual([]);
    });

    stage.it(
      'a half-closed client (FIN after the request) is answered or taken for gone, as Go does; the next one is served',
      async () => {
        const client = await stage.raw(corral.url);
        await client.send(requestBytes({ path: chatPath, host, body }));
        client.halfClose();
        const reply = await client.reply().catch(() => undefined);
        expect(reply?.status ?? 200).toBe(200);
        const next = await stage.raw(corral.url);
        await next.send(requestBytes({ path: chatPath, host, body }));
        expect((await next.reply()).status).toBe(200);
        next.close();
      },
    );

    stage.it('no compression and no headers of the runtime that a client might trip over', async () => {
      const client = await stage.raw(corral.url);
      await client.send(requestBytes({ path: chatPath, host, body, headers: [['Accept-Encoding', 'gzip, br, zstd']] }));
      const reply = await client.reply();
      expect(reply.header('content-encoding')).toBeUndefined();
      expect(reply.header('x-powered-by')).toBeUndefined();
      expect(reply.headers.filter(([name]) => name.toLowerCase() === 'content-type')).toHaveLength(1);
      expect(reply.headers.filter(([name]) => name.toLowerCase() === 'date').length).toBeLessThanOrEqual(1);
      client.close();
    });
  });
}
