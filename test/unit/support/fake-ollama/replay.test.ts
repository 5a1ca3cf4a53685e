import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../../../support/fake-ollama/index.ts';
import { openRawClient, requestBytes } from '../../../support/raw-client.ts';
import { type Recording, recordingNames, recordingOf } from '../../../support/recordings.ts';

let box: FakeOllama;
beforeAll(async () => {
  box = await startFakeOllama();
});
afterAll(() => box.stop());
beforeEach(() => box.clear());

const answered = recordingNames().filter((name) => recordingOf(name).status_line !== undefined);

/** The bytes that stood on the wire when the recording was made. */
function wireBytes(recording: Recording): string {
  const headers = recording.response_headers ?? [];
  const head = `${recording.status_line}\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
  if (!headers.some(([name]) => name === 'Transfer-Encoding')) return head + recording.body.map((chunk) => chunk.text).join('');
  const chunks = recording.body.map(({ text }) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`).join('');
  return head + chunks + (recording.error === undefined && recording.client_closed_at_ms === undefined ? '0\r\n\r\n' : '');
}

function recordedRequest(recording: Recording): Buffer {
  const { method, path, headers, body } = recording.request;
  const latin1 = (body as { latin1?: string } | null)?.latin1;
  const bytes =
    latin1 !== undefined
      ? Buffer.from(latin1, 'latin1')
      : typeof body === 'string'
        ? body
        : body === null
          ? undefined
          : JSON.stringify(body);
  const own = Object.entries(headers).filter(([name]) => name !== 'Content-Length');
  const request = requestBytes({ method, path, headers: own, ...(bytes === undefined ? {} : { body: bytes }) });
  return recording.status_line?.startsWith('HTTP/1.0') === true
    ? Buffer.from(request.toString('latin1').replace(' HTTP/1.1', ' HTTP/1.0'), 'latin1')
    : request;
}

describe('replay', () => {
  it('has every kind of recording that tests rely on', () => {
    expect(answered.length).toBeGreaterThan(340);
    for (const kind of [
      /^crash-/,
      /^disconnect-/,
      /^host-/,
      /^cors-/,
      /^http-/,
      /^queue-/,
      /^coldload-/,
      /^server-sig/,
      /^tools-/,
      /^thinking-/,
    ]) {
      expect(recordingNames(kind)).not.toEqual([]);
    }
  });

  it.each(answered)('%s comes back byte for byte, chunk for chunk', async (name) => {
    const recording = recordingOf(name);
    box.replay(name);
    const client = await openRawClient(box.url);
    await client.send(recordedRequest(recording));
    const expected = wireBytes(recording);
    if (recording.client_closed_at_ms !== undefined) {
      // The client of the recording left here: the box keeps the stream open until this one does too.
      const text = await client.until((text) => text.length >= expected.length);
      client.close();
      expect(text).toBe(expected);
      expect(await box.requests.at(-1)?.over).toBe('client left');
      return;
    }
    const reply = await client.reply({ head: recording.request.method === 'HEAD' });
    expect(reply.raw.toString('utf8')).toBe(expected);
    expect(reply.complete).toBe(recording.error === undefined);
    expect(await box.requests.at(-1)?.over).toBe(recording.error === undefined ? 'answered' : 'cut');
    client.close();
  });

  it('keeps the connection between answers, as Ollama does', async () => {
    for (const name of ['keepalive-1', 'keepalive-2', 'v1-chat-stream', 'keepalive-3']) box.replay(name);
    const client = await openRawClient(box.url);
    for (const name of ['keepalive-1', 'keepalive-2', 'v1-chat-stream', 'keepalive-3']) {
      await client.send(recordedRequest(recordingOf(name)));
      expect((await client.reply()).raw.toString()).toBe(wireBytes(recordingOf(name)));
    }
    expect(new Set(box.requests.slice(-4).map((request) => request.remotePort)).size).toBe(1);
    client.close();
  });

  it('replays at the recorded pace when told to', async () => {
    box.replay('jinja-crash-native', { speed: 1 });
    const client = await openRawClient(box.url);
    await client.send(recordedRequest(recordingOf('jinja-crash-native')));
    const { chunks } = await client.reply();
    const recorded = recordingOf('jinja-crash-native').body;
    const spanMs = (recorded.at(-1)?.t_ms ?? 0) - (recorded[0]?.t_ms ?? 0);
    const seenMs = (chunks.at(-1)?.atMs ?? 0) - (chunks[0]?.atMs ?? 0);
    expect(seenMs).toBeGreaterThan(spanMs * 0.9);
    client.close();
  });

  it('adds the usage chunk that Ollama adds when a gateway asks for it', async () => {
    box.replay('v1-chat-stream');
    const body = { ...(recordingOf('v1-chat-stream').request.body as object), stream_options: { include_usage: true } };
    const client = await openRawClient(box.url);
    await client.send(requestBytes({ path: '/v1/chat/completions', body: JSON.stringify(body) }));
    const { chunks } = await client.reply();
    const recorded = recordingOf('v1-chat-stream').body.map(({ text }) => text);
    expect(chunks.slice(0, -1).map(({ text }) => text)).toEqual(recorded.slice(0, -1));
    const finish = recorded.at(-1)?.replace('data: [DONE]\n\n', '');
    expect(chunks.at(-1)?.text).toBe(
      `${finish}data: {"id":"chatcmpl-569","object":"chat.completion.chunk","created":1795368999,"model":"gemma3:270m","system_fingerprint":"fp_ollama","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":12,"total_tokens":31}}\n\ndata: [DONE]\n\n`,
    );
    client.close();
  });

  it('takes the recording whose body fits, in whatever order its members stand', async () => {
    box.replay('chat-unknown-model');
    box.replay('chat-missing-model');
    const { messages } = recordingOf('chat-missing-model').request.body as { messages: unknown };
    const ask = async (body: unknown) =>
      (await fetch(`${box.url}/api/chat`, { method: 'POST', body: JSON.stringify(body) })).text();
    expect(await ask({ messages })).toBe('{"error":"model is required"}');
    expect(await ask({ messages, model: 'nope:1b' })).toBe(`{"error":"model 'nope:1b' not found"}`);
  });
});
