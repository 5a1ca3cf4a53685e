import { describe, expect, it } from 'vitest';
import { WebBody } from '../../../src/entry/web-body.ts';
import { respondWeb } from '../../../src/entry/web-respond.ts';
import type { Inject, Relay } from '../../../src/platform.ts';
import { decoder, encoder, type RecordingTap, recordingTap, type TapScript } from './recording-tap.ts';

interface Upstream {
  readonly stream: ReadableStream<Uint8Array>;
  send(text: string): void;
  end(): void;
  breakOff(): void;
  /** Chunks that were asked for so far. */
  readonly pulls: number;
  readonly isCancelled: boolean;
}

/** An upstream's body in a test's hand. Nothing is read from it before somebody pulls. */
function upstream(): Upstream {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  let pulls = 0;
  let isCancelled = false;
  const stream = new ReadableStream<Uint8Array>(
    {
      start(given) {
        controller = given;
      },
      pull() {
        pulls++;
      },
      cancel() {
        isCancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return {
    stream,
    send: (text) => controller.enqueue(encoder.encode(text)),
    end: () => controller.close(),
    breakOff: () => controller.error(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })),
    get pulls() {
      return pulls;
    },
    get isCancelled() {
      return isCancelled;
    },
  };
}

interface Made {
  readonly response: Promise<Response>;
  readonly tap: RecordingTap;
}

function relayed(box: Upstream, headers: Record<string, string>, script: TapScript = {}, rest: Partial<Relay> = {}): Made {
  const tap = recordingTap(script);
  const length = headers['content-length'];
  const body = new WebBody(new Response(box.stream), length === undefined ? undefined : Number(length));
  const response = Promise.resolve(
    respondWeb({ status: 200, headers: new Headers(headers), body, tap, headersOnly: false, ...rest }),
  );
  return { response, tap };
}

const eventStream = { 'content-type': 'text/event-stream' };
const json = { 'content-type': 'application/json' };

async function readerOf({ response }: Made): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const { body } = await response;
  if (body === null) throw new Error('no body');
  return body.getReader();
}

async function next(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string | undefined> {
  const { done, value } = await reader.read();
  return done ? undefined : decoder.decode(value);
}

describe('a streamed answer', () => {
  it('gives each chunk on when it comes, through the tap', async () => {
    const box = upstream();
    const made = relayed(box, eventStream);
    const reader = await readerOf(made);
    box.send('one');
    expect(await next(reader)).toBe('one');
    box.send('two');
    expect(await next(reader)).toBe('two');
    box.end();
    expect(await next(reader)).toBeUndefined();
    expect(made.tap.calls).toEqual(['push one', 'push two', 'end']);
  });

  it('is answered before its first byte is there', async () => {
    const box = upstream();
    const { status } = await relayed(box, eventStream).response;
    expect(status).toBe(200);
  });

  it('reads nothing from the box that the client does not take', async () => {
    const box = upstream();
    const reader = await readerOf(relayed(box, eventStream));
    expect(box.pulls).toBe(0);
    const first = next(reader);
    box.send('one');
    await first;
    await new Promise((resolve) => setImmediate(resolve));
    expect(box.pulls).toBe(1);
  });

  it('goes on when the tap holds everything back', async () => {
    const box = upstream();
    const made = relayed(box, eventStream, { passes: (text) => (text === 'held' ? '' : text) });
    const reader = await readerOf(made);
    box.send('held');
    box.send('held');
    box.send('told');
    expect(await next(reader)).toBe('told');
  });

  it('lets the tap say something at the end', async () => {
    const box = upstream();
    const made = relayed(box, eventStream, { end: { bytes: encoder.encode('bye'), complete: true } });
    const reader = await readerOf(made);
    box.end();
    expect(await next(reader)).toBe('bye');
    expect(await next(reader)).toBeUndefined();
  });

  it('says its last words and is cut when the box breaks off', async () => {
    const box = upstream();
    const made = relayed(box, eventStream);
    const reader = await readerOf(made);
    box.send('one');
    expect(await next(reader)).toBe('one');
    box.breakOff();
    expect(await next(reader)).toBe('broken');
    await expect(next(reader)).rejects.toThrow();
    expect(made.tap.calls).toEqual(['push one', 'fail upstream_closed']);
  });

  it('is cut when the box closed cleanly but the tap knows better, also without last words', async () => {
    const box = upstream();
    const made = relayed(box, eventStream, { end: { bytes: new Uint8Array(0), complete: false } });
    const reader = await readerOf(made);
    box.end();
    await expect(next(reader)).rejects.toThrow();
    expect(made.tap.calls).toEqual(['end']);
  });

  it('tells the tap and the box when the client leaves, once', async () => {
    const box = upstream();
    const made = relayed(box, eventStream);
    const reader = await readerOf(made);
    const pending = next(reader);
    await reader.cancel();
    expect(await pending).toBeUndefined();
    expect(made.tap.calls).toEqual(['gone']);
    expect(box.isCancelled).toBe(true);
  });
});

describe('a whole answer', () => {
  it('of known length leaves as plain bytes, with the length of what the tap made of it', async () => {
    const box = upstream();
    const made = relayed(box, { ...json, 'content-length': '5' }, { passes: (text) => `${text}!!` });
    box.send('hello');
    const response = await made.response;
    expect(response.headers.get('content-length')).toBeNull();
    expect(await response.text()).toBe('hello!!');
    expect(made.tap.calls).toEqual(['push hello', 'end']);
  });

  it('in several pieces is a stream like any other', async () => {
    const box = upstream();
    const made = relayed(box, { ...json, 'content-length': '10' });
    box.send('hello');
    const reader = await readerOf(made);
    expect(await next(reader)).toBe('hello');
    box.send('world');
    expect(await next(reader)).toBe('world');
    box.end();
    expect(await next(reader)).toBeUndefined();
    expect(made.tap.calls).toEqual(['push hello', 'push world', 'end']);
  });

  it('without a length is plain bytes when its end is there with its bytes', async () => {
    const box = upstream();
    box.send('{}');
    box.end();
    const made = relayed(box, json);
    await made.response;
    // The tap was driven to its end before anybody read the response: so it was no stream.
    expect(made.tap.calls).toEqual(['push {}', 'end']);
    expect(await (await made.response).text()).toBe('{}');
  });

  it('without a length is not waited for', async () => {
    const box = upstream();
    const made = relayed(box, json);
    const reader = await readerOf(made);
    box.send('{');
    expect(await next(reader)).toBe('{');
    box.send('}');
    expect(await next(reader)).toBe('}');
    box.end();
    expect(await next(reader)).toBeUndefined();
  });

  it('that breaks off is cut, not short', async () => {
    const box = upstream();
    const made = relayed(box, { ...json, 'content-length': '10' });
    box.send('hello');
    const reader = await readerOf(made);
    expect(await next(reader)).toBe('hello');
    box.breakOff();
    expect(await next(reader)).toBe('broken');
    await expect(next(reader)).rejects.toThrow();
  });

  it('that breaks off before its first byte is cut, too', async () => {
    const box = upstream();
    const made = relayed(box, { ...json, 'content-length': '10' });
    box.breakOff();
    const reader = await readerOf(made);
    expect(await next(reader)).toBe('broken');
    await expect(next(reader)).rejects.toThrow();
    expect(made.tap.calls).toEqual(['fail upstream_closed']);
  });

  it('is cut when the tap finds it incomplete', async () => {
    const box = upstream();
    const made = relayed(box, { ...json, 'content-length': '5' }, { end: { bytes: encoder.encode('?'), complete: false } });
    box.send('hello');
    const reader = await readerOf(made);
    expect(await next(reader)).toBe('hello?');
    await expect(next(reader)).rejects.toThrow();
  });
});

describe('an answer without a body', () => {
  it('has its headers, and the box is left', async () => {
    const box = upstream();
    const made = relayed(box, { 'content-length': '5' }, {}, { headersOnly: true });
    const response = await made.response;
    expect(response.headers.get('content-length')).toBe('5');
    expect(response.body).toBeNull();
    expect(made.tap.calls).toEqual(['end']);
    expect(box.isCancelled).toBe(true);
  });
});

describe('WebBody.read', () => {
  it('reads everything', async () => {
    const body = new WebBody(new Response('hello'), undefined);
    expect(decoder.decode(await body.read(5))).toBe('hello');
  });

  it('refuses more than was allowed, announced or not', async () => {
    await expect(new WebBody(new Response('hello'), undefined).read(4)).rejects.toMatchObject({ code: 'upstream_closed' });
    await expect(new WebBody(new Response('hello'), 5).read(4)).rejects.toMatchObject({ code: 'upstream_closed' });
  });

  it('tells of a box that breaks off', async () => {
    const box = upstream();
    const reading = new WebBody(new Response(box.stream), undefined).read(100);
    box.breakOff();
    await expect(reading).rejects.toMatchObject({ code: 'upstream_closed' });
  });
});

describe('WebBody.first', () => {
  const answered = (body: WebBody, tap: RecordingTap) =>
    Promise.resolve(respondWeb({ status: 200, headers: new Headers(eventStream), body, tap, headersOnly: false }));

  it('shows the first chunk, which the client gets all the same, and reads no further', async () => {
    const box = upstream();
    const body = new WebBody(new Response(box.stream), undefined);
    const first = body.first();
    box.send('one');
    expect(decoder.decode(await first)).toBe('one');
    expect(box.pulls).toBeLessThanOrEqual(1);
    const tap = recordingTap({});
    const reading = answered(body, tap).then((response) => response.text());
    box.send('two');
    box.end();
    expect(await reading).toBe('onetwo');
    expect(tap.calls).toEqual(['push one', 'push two', 'end']);
  });

  it('so does whoever reads it as a stream', async () => {
    const box = upstream();
    const body = new WebBody(new Response(box.stream), undefined);
    const first = body.first();
    box.send('one');
    await first;
    const reader = body.stream().getReader();
    expect(await next(reader)).toBe('one');
    box.send('two');
    expect(await next(reader)).toBe('two');
    await reader.cancel();
    expect(box.isCancelled).toBe(true);
  });

  it('tells an end from a break, and lets go', async () => {
    const [ending, breaking, left] = [upstream(), upstream(), upstream()];
    const bodyOf = (box: Upstream) => new WebBody(new Response(box.stream), undefined);
    const ended = bodyOf(ending).first();
    ending.end();
    expect(await ended).toBeUndefined();
    const broken = bodyOf(breaking).first();
    breaking.breakOff();
    await expect(broken).rejects.toMatchObject({ code: 'upstream_closed' });
    const body = bodyOf(left);
    const first = body.first();
    body.cancel();
    expect(await first).toBeUndefined();
    expect(left.isCancelled).toBe(true);
  });
});

describe('what Corral puts in itself', () => {
  const opened = (box: Upstream) => {
    let inject: Inject = () => false;
    const onOpen = (given: Inject) => {
      inject = given;
    };
    const made = relayed(box, eventStream, {}, { onOpen });
    return { made, inject: (text: string) => inject(encoder.encode(text)) };
  };

  it('reaches a client that waits, past the tap, between what comes', async () => {
    const box = upstream();
    const { made, inject } = opened(box);
    const reader = await readerOf(made);
    const first = next(reader);
    expect(inject(': 1\n\n')).toBe(true);
    expect(await first).toBe(': 1\n\n');
    const second = next(reader);
    box.send('one');
    expect(await second).toBe('one');
    const third = next(reader);
    expect(inject(': 2\n\n')).toBe(true);
    expect(await third).toBe(': 2\n\n');
    box.end();
    expect(await next(reader)).toBeUndefined();
    expect(made.tap.calls).toEqual(['push one', 'end']);
    expect(inject(': 3\n\n')).toBe(false);
  });

  it('is not heaped up for one that does not read', async () => {
    const { made, inject } = opened(upstream());
    const reader = await readerOf(made);
    expect([inject('a'), inject('b'), inject('c')]).toEqual([true, false, false]);
    expect(await next(reader)).toBe('a');
    expect(inject('d')).toBe(true);
  });

  it('ends with the client', async () => {
    const { made, inject } = opened(upstream());
    const reader = await readerOf(made);
    await reader.cancel();
    expect(inject('a')).toBe(false);
  });
});
