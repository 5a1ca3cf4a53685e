import { createServer } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { listen } from '../../support/fake-ollama/closed-port.ts';
import { parseNdjson } from '../../support/ndjson.ts';
import { openRawClient, requestBytes } from '../../support/raw-client.ts';
import { parseSse, sseComments } from '../../support/sse.ts';

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** A server that sends these pieces, 20 ms apart, and ends. */
async function serve(...pieces: string[]): Promise<{ port: number; received: () => string }> {
  let received = '';
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('data', (bytes) => {
      received += bytes.toString();
    });
    socket.on('error', () => {});
    const next = (at: number) => {
      const piece = pieces[at];
      if (piece === undefined) return socket.end();
      socket.write(piece);
      setTimeout(next, 20, at + 1);
    };
    next(0);
  });
  const port = await listen(server, 0);
  stops.push(() => server.close());
  return { port, received: () => received };
}

it('keeps chunk boundaries and times, whatever the segments', async () => {
  const { port } = await serve(
    'HTTP/1.1 200 OK\r\nX-One: 1\r\nx-one: 2\r\nTransfer-Encoding: chu',
    'nked\r\n\r\n3\r\nab',
    'c\r\n2\r\nde\r\n',
    '0\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
  );
  const client = await openRawClient(port);
  const reply = await client.reply();
  expect(reply.headers).toEqual([
    ['X-One', '1'],
    ['x-one', '2'],
    ['Transfer-Encoding', 'chunked'],
  ]);
  expect(reply.chunks.map(({ text }) => text)).toEqual(['abc', 'de']);
  expect(reply.chunks[1]?.atMs).toBe(reply.chunks[0]?.atMs);
  expect(reply.chunks[0]?.atMs).toBeGreaterThan(reply.headAtMs);
  expect(reply.raw.toString()).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*0\r\n\r\n$/);
  expect(await client.reply()).toMatchObject({ status: 204, complete: true, text: '' });
  expect(await client.closed).toBe('end');
});

it('tells half an answer from a whole one', async () => {
  const half = await openRawClient(
    (await serve('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\nde')).port,
  );
  expect(await half.reply()).toMatchObject({ complete: false, text: 'abc' });
  const short = await openRawClient((await serve('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc')).port);
  expect(await short.reply()).toMatchObject({ complete: false, text: 'abc' });
  const toTheEnd = await openRawClient((await serve('HTTP/1.0 200 OK\r\n\r\nabc', 'def')).port);
  expect(await toTheEnd.reply()).toMatchObject({ complete: true, text: 'abcdef' });
  const nothing = await openRawClient((await serve('')).port);
  await expect(nothing.reply()).rejects.toThrow('ended without an answer');
});

it('waits for text and no longer than told', async () => {
  const { port } = await serve('one ', 'two ', 'three');
  const client = await openRawClient(port);
  expect(await client.until(/two/)).toBe('one two ');
  await expect(client.until('four', 5)).rejects.toThrow('waited 5 ms for four; received: one two');
  await expect(client.until('four')).rejects.toThrow('ended before four came');
});

it('closes its half, and goes on reading', async () => {
  const { port, received } = await serve('one ', 'two ', 'three');
  const client = await openRawClient(port);
  await client.send('bytes\u0001');
  client.halfClose();
  expect(await client.until('three')).toBe('one two three');
  expect(received()).toBe('bytes\u0001');
});

it('writes requests', () => {
  expect(requestBytes({ path: '/x' }).toString()).toBe('GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
  expect(requestBytes({ path: '/x', body: 'ü', headers: [['hOST', 'a']] }).toString()).toBe(
    'POST /x HTTP/1.1\r\nhOST: a\r\nContent-Length: 2\r\n\r\nü',
  );
});

it('reads event streams strictly', () => {
  const text = ': beat\n\nevent: a\ndata: {"x":1}\n\ndata: one\ndata:two\n\ndata: [DONE]\n\n';
  expect(parseSse(text)).toEqual([
    { event: 'a', data: '{"x":1}', json: { x: 1 } },
    { event: undefined, data: 'one\ntwo', json: undefined },
    { event: undefined, data: '[DONE]', json: undefined },
  ]);
  expect(sseComments(text)).toEqual([': beat']);
  expect(() => parseSse('data: x\n\ndata: y')).toThrow('half an event');
});

it('reads NDJSON strictly', () => {
  expect(parseNdjson('{"a":1}\n{"b":2}\n')).toEqual([{ a: 1 }, { b: 2 }]);
  expect(parseNdjson('')).toEqual([]);
  expect(() => parseNdjson('{"a":1}\n{"b"')).toThrow('half a line');
  expect(() => parseNdjson('{"a":1}\n\n')).toThrow('a blank line');
});
