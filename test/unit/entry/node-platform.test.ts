import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { Door } from '../../../src/entry/door.ts';
import { nodeDoors } from '../../../src/entry/node-door.ts';
import { createNodePlatform, type NodePlatform } from '../../../src/entry/node-platform.ts';
import type { Inject, Peer, Relay, UpstreamRequest } from '../../../src/platform.ts';
import { decoder, encoder, type RecordingTap, recordingTap, type TapScript } from './recording-tap.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** An HTTP box on any free port. */
async function box(answer: (incoming: IncomingMessage, outgoing: ServerResponse) => void): Promise<string> {
  return listening(createServer(answer));
}

/** A box that speaks raw bytes: `answer` is called with the first bytes of each connection. */
async function rawBox(answer: (socket: Socket, head: string) => void): Promise<string> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (bytes) => answer(socket, bytes.toString('latin1')));
  });
  return listening(server as unknown as Server);
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections?.();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function newPlatform(): NodePlatform {
  const platform = createNodePlatform();
  closing.push(() => platform.close());
  return platform;
}

function ask(url: string, more: Partial<UpstreamRequest> = {}): UpstreamRequest {
  return { method: 'GET', url, headers: {}, body: undefined, signal: new AbortController().signal, ...more };
}

/** Resolves when the event has come. */
function until(check: () => boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const endMs = Date.now() + 5_000;
    const look = () => {
      if (check()) resolve();
      else if (Date.now() > endMs) reject(new Error('waited 5 s'));
      else setImmediate(look);
    };
    look();
  });
}

interface Front {
  readonly url: string;
  readonly door: Door;
  readonly tap: RecordingTap;
  readonly peers: Peer[];
}

/** A gateway that hands every answer on: through the platform, the door and a recording tap. */
async function front(
  boxUrl: string,
  script: TapScript = {},
  wrap: (response: Response) => Response = (response) => response,
  onOpen?: Relay['onOpen'],
): Promise<Front> {
  const platform = newPlatform();
  const tap = recordingTap(script);
  const peers: Peer[] = [];
  const door = await nodeDoors(platform.takeRelay)({
    hostname: '127.0.0.1',
    port: 0,
    bind: { port: 3000 },
    answer: async (request, peer) => {
      peers.push(peer);
      const { pathname } = new URL(request.url);
      const response = await platform.send(ask(boxUrl + pathname, { method: request.method }));
      const headersOnly = request.method === 'HEAD' || response.status === 204;
      return wrap(await platform.respond({ ...response, tap, headersOnly, onOpen }));
    },
  });
  closing.push(() => door.close());
  return { url: `http://127.0.0.1:${door.port}`, door, tap, peers };
}

describe('send', () => {
  it('sends method, headers, a Host of its own and the body, and nothing that it was not given', async () => {
    let received = '';
    const url = await rawBox((socket, head) => {
      received = head;
      socket.end('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
    const response = await newPlatform().send(
      ask(`${url}/a%2fb?c=d`, { method: 'POST', headers: { host: 'other.example:99', 'x-a': 'b' }, body: encoder.encode('{}') }),
    );
    expect(decoder.decode(await response.body.read(10))).toBe('ok');
    expect(received.split('\r\n').filter((line) => !line.startsWith('connection:'))).toEqual([
      'POST /a%2fb?c=d HTTP/1.1',
      'host: other.example:99',
      'x-a: b',
      'content-length: 2',
      '',
      '{}',
    ]);
  });

  it('streams a request body that is a stream', async () => {
    const url = await box((incoming, outgoing) => incoming.pipe(outgoing));
    const body = new Response('from a stream').body ?? undefined;
    const response = await newPlatform().send(ask(url, { method: 'POST', body }));
    expect(decoder.decode(await response.body.read(100))).toBe('from a stream');
  });

  it('leaves behind what belongs to the connection, and keeps every cookie', async () => {
    const url = await box((_, outgoing) => {
      outgoing.writeHead(200, {
        connection: 'close, x-hop',
        'x-hop': '1',
        'keep-alive': 'timeout=5',
        'set-cookie': ['a=1', 'b=2'],
        'x-end': '2',
      });
      outgoing.end();
    });
    const { headers } = await newPlatform().send(ask(url));
    expect([...headers.keys()].filter((name) => name !== 'date')).toEqual(
      ['content-length', 'set-cookie', 'set-cookie', 'x-end'].filter((name) => headers.has(name)),
    );
    expect(headers.get('x-hop')).toBeNull();
    expect(headers.getSetCookie()).toEqual(['a=1', 'b=2']);
  });

  it('gives the body as a stream, as it comes, no faster than it is read', async () => {
    let written = 0;
    const url = await box((_, outgoing) => {
      const piece = Buffer.alloc(64 * 1024, 120);
      const more = () => {
        while (written < 400 && outgoing.write(piece)) written++;
      };
      outgoing.on('drain', more);
      more();
    });
    const response = await newPlatform().send(ask(url));
    const reader = response.body.stream().getReader();
    expect(decoder.decode((await reader.read()).value).slice(0, 3)).toBe('xxx');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(written).toBeLessThan(400);
    await reader.cancel();
  });

  it('ends, breaks and lets go of a body that is read as a stream', async () => {
    let closed = 0;
    const url = await box((request, outgoing) => {
      outgoing.on('close', () => closed++);
      outgoing.write('one');
      if (request.url === '/ends') outgoing.end('two');
      else if (request.url === '/breaks') setTimeout(() => outgoing.destroy(), 20);
    });
    const platform = newPlatform();
    const streamOf = async (path: string) => (await platform.send(ask(new URL(path, url).href))).body.stream();
    expect(await new Response((await streamOf('/ends')) as ReadableStream<Uint8Array<ArrayBuffer>>).text()).toBe('onetwo');
    const breaking = (await streamOf('/breaks')).getReader();
    expect(decoder.decode((await breaking.read()).value)).toBe('one');
    await expect(breaking.read()).rejects.toMatchObject({ code: 'upstream_closed' });
    const left = (await streamOf('/left')).getReader();
    await left.read();
    await left.cancel();
    await until(() => closed === 3);
  });

  it('shows the first chunk and keeps it; tells an end from a break', async () => {
    const url = await box((request, outgoing) => {
      outgoing.flushHeaders();
      setTimeout(() => {
        if (request.url === '/breaks') outgoing.destroy();
        else if (request.url === '/ends') outgoing.end();
        else outgoing.write('one', () => setTimeout(() => outgoing.end('two'), 20));
      }, 20);
    });
    const platform = newPlatform();
    const bodyOf = async (path: string) => (await platform.send(ask(new URL(path, url).href))).body;
    const body = await bodyOf('/goes-on');
    expect(decoder.decode(await body.first?.())).toBe('one');
    expect(decoder.decode(await body.read(100))).toBe('onetwo');
    expect(await (await bodyOf('/ends')).first?.()).toBeUndefined();
    await expect((await bodyOf('/breaks')).first?.()).rejects.toMatchObject({ code: 'upstream_closed' });
  });

  it('follows no redirect and inflates nothing', async () => {
    const url = await box((_, outgoing) => outgoing.writeHead(302, { location: '/x', 'content-encoding': 'gzip' }).end('raw'));
    const response = await newPlatform().send(ask(url));
    expect(response.status).toBe(302);
    expect(decoder.decode(await response.body.read(10))).toBe('raw');
  });

  it('tells a closed connection from a refused one', async () => {
    const closes = await rawBox((socket) => socket.end());
    await expect(newPlatform().send(ask(closes))).rejects.toMatchObject({ code: 'upstream_closed' });
    await expect(newPlatform().send(ask('http://127.0.0.1:1/'))).rejects.toMatchObject({ code: 'upstream_refused' });
  });

  it('ends with the reason of its signal, and closes the connection, before the headers', async () => {
    let isClosed = false;
    let isThere = false;
    const url = await box((_, outgoing) => {
      isThere = true;
      outgoing.on('close', () => {
        isClosed = true;
      });
    });
    const controller = new AbortController();
    const sending = newPlatform().send(ask(url, { signal: controller.signal }));
    await until(() => isThere);
    const reason = new Error('given up');
    controller.abort(reason);
    await expect(sending).rejects.toBe(reason);
    await until(() => isClosed);
  });

  it('does not even begin when it was given up before', async () => {
    const reason = new Error('given up');
    await expect(newPlatform().send(ask('http://127.0.0.1:1/', { signal: AbortSignal.abort(reason) }))).rejects.toBe(reason);
  });

  it('closes the connection when the body is cancelled, and when the signal comes later', async () => {
    let closed = 0;
    const url = await box((_, outgoing) => {
      outgoing.write('begun');
      outgoing.on('close', () => {
        closed++;
      });
    });
    const platform = newPlatform();
    const first = await platform.send(ask(url));
    first.body.cancel();
    await until(() => closed === 1);
    const controller = new AbortController();
    const second = await platform.send(ask(url, { signal: controller.signal }));
    const reading = second.body.read(100);
    controller.abort(new Error('given up'));
    await expect(reading).rejects.toMatchObject({ code: 'upstream_closed' });
    await until(() => closed === 2);
  });

  it('reads a bounded body', async () => {
    const url = await box((_, outgoing) => outgoing.end('x'.repeat(1_000)));
    await expect((await newPlatform().send(ask(url))).body.read(999)).rejects.toMatchObject({ code: 'upstream_closed' });
    expect((await (await newPlatform().send(ask(url))).body.read(1_000)).length).toBe(1_000);
  });

  it('pauses a box whose answer nobody takes', async () => {
    let written = 0;
    const url = await box((_, outgoing) => {
      const chunk = 'x'.repeat(64 * 1024);
      const write = () => {
        while (written < 512) {
          written++;
          if (!outgoing.write(chunk)) return void outgoing.once('drain', write);
        }
      };
      write();
    });
    const { body } = await newPlatform().send(ask(url));
    let before = -1;
    while (before !== written) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    // 32 MiB were offered; the sockets of both sides hold a few.
    expect(written).toBeLessThan(256);
    body.cancel();
  });
});

describe('an answer on its way to the client', () => {
  it('passes the tap chunk by chunk and ends whole', async () => {
    const url = await box((_, outgoing) => {
      outgoing.writeHead(200, { 'content-type': 'text/event-stream' });
      outgoing.write('one');
      setTimeout(() => outgoing.end('two'), 20);
    });
    const { url: frontUrl, tap } = await front(url, {
      passes: (text) => text.toUpperCase(),
      end: { bytes: encoder.encode('!'), complete: true },
    });
    const response = await fetch(frontUrl);
    expect(await response.text()).toBe('ONETWO!');
    expect(tap.calls).toEqual(['push one', 'push two', 'end']);
  });

  it('that is here whole keeps or gets its length', async () => {
    const url = await box((_, outgoing) => {
      outgoing.write('{"a":');
      outgoing.end('1}');
    });
    const { url: frontUrl, tap } = await front(url);
    const response = await fetch(frontUrl);
    expect(await response.text()).toBe('{"a":1}');
    expect(tap.calls.at(-1)).toBe('end');
  });

  it('is cut after its last words when the box breaks off', async () => {
    const url = await rawBox((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n');
      setTimeout(() => socket.end(), 20);
    });
    const { url: frontUrl, tap } = await front(url);
    const { port } = new URL(frontUrl);
    const received = await rawGet(Number(port));
    expect(received).toContain('hello');
    expect(received).toContain('broken');
    expect(received).not.toContain('\r\n0\r\n\r\n');
    expect(tap.calls).toEqual(['push hello', 'fail upstream_closed']);
  });

  it('has the length of what the tap made of it', async () => {
    const url = await box((_, outgoing) => outgoing.end('hello'));
    const { url: frontUrl } = await front(url, { passes: (text) => `${text}!!` });
    const response = await fetch(frontUrl);
    expect(await response.text()).toBe('hello!!');
    expect(response.headers.get('content-length')).toBe('7');
  });

  it('is cut when the tap found a clean end incomplete, and all was here at once', async () => {
    const url = await box((_, outgoing) => outgoing.end('hello'));
    const { url: frontUrl, tap } = await front(url, { end: { bytes: encoder.encode('?'), complete: false } });
    await expect(fetch(frontUrl).then((response) => response.text())).rejects.toThrow();
    expect(tap.calls).toEqual(['push hello', 'end']);
  });

  it('ends for the box, too, when the client leaves in the middle', async () => {
    let isClosed = false;
    const url = await box((_, outgoing) => {
      outgoing.write('begun');
      outgoing.on('close', () => {
        isClosed = true;
      });
    });
    const { url: frontUrl, tap } = await front(url);
    const controller = new AbortController();
    const response = await fetch(frontUrl, { signal: controller.signal });
    const reader = response.body?.getReader();
    await reader?.read();
    controller.abort();
    await until(() => isClosed);
    await until(() => tap.calls.length === 2);
    expect(tap.calls).toEqual(['push begun', 'gone']);
  });

  it('makes the box wait for a client that does not read', async () => {
    let written = 0;
    const url = await box((_, outgoing) => {
      const chunk = 'x'.repeat(64 * 1024);
      const write = () => {
        while (written < 1_024) {
          written++;
          if (!outgoing.write(chunk)) return void outgoing.once('drain', write);
        }
        outgoing.end();
      };
      write();
    });
    const { url: frontUrl } = await front(url);
    const response = await fetch(frontUrl);
    let before = -1;
    while (before !== written) {
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(written).toBeLessThan(512);
    // And goes on where it stopped.
    expect((await response.arrayBuffer()).byteLength).toBe(1_024 * 64 * 1024);
  });

  it.each([
    ['piped', (response: Response) => response],
    ['as a stream that a policy has wrapped', (response: Response) => new Response(response.body, response)],
  ])('takes what Corral puts in itself, past the tap, until it is over: %s', async (_, wrap) => {
    let finish = () => undefined as unknown;
    const url = await box((_, outgoing) => {
      outgoing.writeHead(200, { 'content-type': 'text/event-stream' });
      outgoing.write('one');
      finish = () => outgoing.end('two');
    });
    let inject: Inject = () => false;
    const { url: frontUrl, tap } = await front(url, {}, wrap, (given) => {
      inject = given;
    });
    const response = await fetch(frontUrl);
    const reader = response.body?.getReader();
    const read = async () => decoder.decode((await reader?.read())?.value);
    expect(await read()).toBe('one');
    expect(inject(encoder.encode(': x'))).toBe(true);
    expect(await read()).toBe(': x');
    finish();
    expect(await read()).toBe('two');
    expect((await reader?.read())?.done).toBe(true);
    expect(tap.calls).toEqual(['push one', 'push two', 'end']);
    expect(inject(encoder.encode(': y'))).toBe(false);
  });

  it('has headers only for HEAD and 204', async () => {
    const url = await box((incoming, outgoing) => {
      if (incoming.url === '/none') outgoing.writeHead(204).end();
      else outgoing.writeHead(200, { 'content-length': '5' }).end('hello');
    });
    const { url: frontUrl, tap } = await front(url);
    const head = await fetch(frontUrl, { method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe('5');
    expect((await fetch(`${frontUrl}/none`)).status).toBe(204);
    expect(tap.calls).toEqual(['end', 'end']);
  });

  it('survives a policy that wraps the response', async () => {
    const url = await box((_, outgoing) => {
      outgoing.write('one');
      setTimeout(() => outgoing.end('two'), 20);
    });
    const { url: frontUrl, tap } = await front(url, {}, (response) => new Response(response.body, response));
    expect(await (await fetch(frontUrl)).text()).toBe('onetwo');
    expect(tap.calls).toEqual(['push one', 'push two', 'end']);
  });

  it('has the headers that a policy set in place', async () => {
    const url = await box((_, outgoing) => outgoing.end('x'));
    const { url: frontUrl } = await front(url, {}, (response) => {
      response.headers.set('x-policy', 'was here');
      return response;
    });
    expect((await fetch(frontUrl)).headers.get('x-policy')).toBe('was here');
  });
});

describe('a peer', () => {
  it("has the bind's port and the client's address, also when the connection is gone", async () => {
    const url = await box((_, outgoing) => outgoing.end('x'));
    const { url: frontUrl, peers, door } = await front(url);
    await (await fetch(frontUrl, { headers: { connection: 'close' } })).text();
    door.close();
    expect(peers[0]?.port).toBe(3000);
    expect(peers[0]?.address()).toBe('127.0.0.1');
  });

  it('tells of a client that leaves before its answer has begun, to everybody who asked', async () => {
    let gone = 0;
    let isThere = false;
    let asked: Peer | undefined;
    const platform = newPlatform();
    const door = await nodeDoors(platform.takeRelay)({
      hostname: '127.0.0.1',
      port: 0,
      bind: { port: undefined },
      answer: (_request, peer) => {
        asked = peer;
        peer.onGone(() => gone++);
        peer.onGone(() => gone++);
        isThere = true;
        return new Promise<Response>(() => undefined);
      },
    });
    closing.push(() => door.close());
    const controller = new AbortController();
    const asking = fetch(`http://127.0.0.1:${door.port}/`, { signal: controller.signal }).catch(() => undefined);
    await until(() => isThere);
    controller.abort();
    await asking;
    await until(() => gone === 2);
    // Whoever asks only now is told as well.
    (asked as Peer | undefined)?.onGone(() => gone++);
    await until(() => gone === 3);
  });

  it('says nothing of a client that got its answer', async () => {
    let gone = 0;
    const platform = newPlatform();
    const door = await nodeDoors(platform.takeRelay)({
      hostname: '127.0.0.1',
      port: 0,
      bind: { port: undefined },
      answer: (_request, peer) => {
        peer.onGone(() => gone++);
        return new Response('x');
      },
    });
    closing.push(() => door.close());
    await (await fetch(`http://127.0.0.1:${door.port}/`, { headers: { connection: 'close' } })).text();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(gone).toBe(0);
  });
});

describe('a door', () => {
  it('answers requests that make no URL with 400, and HTTP/1.0 without a Host', async () => {
    const { door } = await front(await box((_, outgoing) => outgoing.end('x')));
    expect(await rawGet(door.port, 'GET /x HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    expect(await rawGet(door.port, 'GET /x HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('takes no new connections once told so, and finishes what is under way', async () => {
    let finish: () => void = () => undefined;
    const url = await box((_, outgoing) => {
      outgoing.write('one');
      finish = () => outgoing.end('two');
    });
    const { url: frontUrl, door } = await front(url);
    const response = await fetch(frontUrl);
    door.stopAccepting();
    await expect(fetch(frontUrl, { headers: { connection: 'close' } })).rejects.toThrow();
    finish();
    expect(await response.text()).toBe('onetwo');
  });

  it('says EADDRINUSE when somebody else has the port', async () => {
    const { door } = await front('http://127.0.0.1:1');
    const second = nodeDoors(newPlatform().takeRelay)({
      hostname: '127.0.0.1',
      port: door.port,
      bind: { port: undefined },
      answer: () => new Response('x'),
    });
    await expect(second).rejects.toMatchObject({ code: 'EADDRINUSE' });
  });
});

/** What comes back on a connection until it ends, as it stands on the wire. */
function rawGet(port: number, request = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(request));
    let received = '';
    socket.on('data', (bytes) => {
      received += bytes.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(received));
  });
}
