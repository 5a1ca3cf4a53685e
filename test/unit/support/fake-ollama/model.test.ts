import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FakeOllama, startFakeOllama } from '../../../support/fake-ollama/index.ts';
import { parseNdjson } from '../../../support/ndjson.ts';
import { openRawClient, type RawReply, requestBytes } from '../../../support/raw-client.ts';
import { recordingOf } from '../../../support/recordings.ts';
import { parseSse } from '../../../support/sse.ts';

const models = [
  { name: 'gemma3:270m', resident: true },
  { name: 'all-minilm', capabilities: ['embedding'], resident: true },
  { name: 'tooly:270m', capabilities: ['completion', 'tools'] },
];
let box: FakeOllama;
beforeAll(async () => {
  box = await startFakeOllama({ models });
});
afterAll(() => box.stop());
beforeEach(() => {
  box.clear();
  box.setModels(models);
});

async function send(request: Parameters<typeof requestBytes>[0]): Promise<RawReply> {
  const client = await openRawClient(box.url);
  await client.send(requestBytes(request));
  const reply = await client.reply({ head: request.method === 'HEAD' });
  client.close();
  return reply;
}

const post = (path: string, body: unknown) => send({ path, body: typeof body === 'string' ? body : JSON.stringify(body) });

/** What cannot be the same twice: ids, times, and what a real tokenizer made of the prompt. */
function settled(text: string): string {
  return text
    .replaceAll(/chatcmpl-\d+|cmpl-\d+|(resp|msg)_[0-9a-f]+|req_[0-9a-f]+/g, 'ID')
    .replaceAll(/"(created|created_at|completed_at)":\d+/g, '"$1":0')
    .replaceAll(/"created_at":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z"/g, '"created_at":"T"')
    .replaceAll(/"(total|load|prompt_eval|eval)_duration":\d+/g, '"$1_duration":0')
    .replaceAll(/"context":\[[\d,]+\]/g, '"context":[]')
    .replaceAll(/\?ts=\d+": .*(?=")/g, '?ts=0');
}

function settledHeaders(headers: RawReply['headers']): string[] {
  return headers.map(([name, value]) => (name === 'Date' ? 'Date' : name === 'Content-Length' ? name : `${name}: ${value}`));
}

// Every surface, whole and streamed: the model's answer must be framed chunk for chunk like the recorded one.
const framings = [
  'chat-nostream',
  'chat-stream',
  'generate-nostream',
  'generate-stream',
  'v1-chat-nostream',
  'v1-chat-stream',
  'v1-chat-stream-usage',
  'v1-completions',
  'v1-completions-stream',
  'v1-responses',
  'v1-responses-stream',
  'anthropic-messages',
  'anthropic-messages-stream',
  'generate-load-empty-prompt',
  'chat-load-no-messages',
  'v1-completions-empty-prompt',
  'v1-responses-empty',
];

const errors = [
  'chat-missing-model',
  'chat-unknown-model',
  'chat-invalid-model-name',
  'chat-malformed',
  'chat-empty-body',
  'chat-wrong-type',
  'chat-embed-model',
  'chat-tools-unsupported',
  'chat-think-unsupported',
  'chat-model-tagless-miss',
  'generate-missing-model',
  'generate-unknown-model',
  'generate-malformed',
  'generate-wrong-type',
  'generate-wrong-type-stream',
  'generate-embed-model',
  'embed-unknown-model',
  'embed-bad-input',
  'embed-empty',
  'embed-noinput',
  'embeddings-unknown-model',
  'embeddings-uppercase',
  'embeddings-empty',
  'v1-chat-missing-model',
  'v1-chat-unknown-model',
  'v1-chat-unknown-model-stream',
  'v1-chat-invalid-model-name',
  'v1-chat-malformed',
  'v1-chat-empty-body',
  'v1-chat-null-body',
  'v1-chat-array-body',
  'v1-chat-no-messages',
  'v1-chat-empty-messages',
  'v1-chat-wrong-type-messages',
  'v1-chat-wrong-type-maxtokens',
  'v1-chat-wrong-type-temp',
  'v1-chat-wrong-type-stream',
  'v1-chat-embed-model',
  'v1-chat-tools-unsupported',
  'v1-completions-array-prompt',
  'v1-completions-unknown-model',
  'v1-embeddings-noinput',
  'v1-embeddings-empty-array',
  'v1-embeddings-tokens',
  'v1-embeddings-unknown-model',
  'v1-responses-unknown-model',
  'anthropic-no-model',
  'anthropic-no-max-tokens',
  'anthropic-no-messages',
  'anthropic-unknown-model',
  'anthropic-malformed',
  'anthropic-empty-body',
  'anthropic-tools-unsupported',
  'show-missing',
  'show-invalid-name',
  'show-empty-model',
  'gzip-request-body-v1',
  'gzip-request-body',
  'form-content-type',
];

const others = [
  'root-get',
  'root-head',
  'version-get',
  'version-head',
  'status',
  'v1-model',
  'v1-model-missing',
  'v1-model-slash',
  'http-404',
  'http-404-api',
  'http-404-v1',
  'http-405-get-chat',
  'http-405-get-v1-chat',
  'http-405-post-tags',
  'http-405-put',
  'http-case',
  'http-double-slash',
  'http-trailing-slash',
  'http-trailing-slash-post',
  'v1-responses-get',
  'options-no-origin',
  'options-no-origin-unknown-path',
  'host-missing-11',
  'cors-preflight-localhost',
  'cors-preflight-evil',
  'cors-simple-evil',
  'cors-null-origin',
  'cors-ipv6-loopback',
  'cors-chrome-ext',
  'cors-post-evil',
  'cors-same-host-origin-foreign',
];

async function resend(name: string): Promise<RawReply> {
  const { method, path, headers, body } = recordingOf(name).request;
  const latin1 = (body as { latin1?: string } | null)?.latin1;
  const bytes = latin1 !== undefined ? Buffer.from(latin1, 'latin1') : typeof body === 'string' ? body : JSON.stringify(body);
  const own = Object.entries(headers).filter(([key]) => key !== 'Content-Length');
  const client = await openRawClient(box.url);
  let request = requestBytes({ method, path, headers: own, ...(body === null ? {} : { body: bytes }) });
  if (name === 'host-missing-11') request = Buffer.from(request.toString('latin1').replace('Host: 127.0.0.1\r\n', ''), 'latin1');
  await client.send(request);
  const reply = await client.reply({ head: method === 'HEAD' });
  client.close();
  return reply;
}

describe('the small model of Ollama', () => {
  it.each([...framings, ...errors, ...others])('answers like the recording %s', async (name) => {
    const recording = recordingOf(name);
    const reply = await resend(name);
    expect(reply.statusLine).toBe(recording.status_line);
    expect(settledHeaders(reply.headers)).toEqual(settledHeaders(recording.response_headers ?? []));
    expect(reply.chunks.map(({ text }) => settled(text))).toEqual(recording.body.map(({ text }) => settled(text)));
  });

  it.each([
    'host-public',
    'host-single-label',
    'host-tailscale-ip',
    'host-trailing-dot',
    'host-ipv6-loopback-noport',
    'host-linklocal-ip',
    'host-public-ip',
  ])('%s is refused, as recorded', async (name) => {
    expect([(await resend(name)).status, recordingOf(name).status]).toEqual([403, 403]);
  });

  it.each([
    'host-localhost',
    'host-upper',
    'host-empty',
    'host-dotlocal',
    'host-dotinternal',
    'host-ipv6-loopback',
    'host-private-ip',
    'host-unspecified',
    'host-ok-xfh',
  ])('%s is taken, as recorded', async (name) => {
    expect([(await resend(name)).status, recordingOf(name).status]).toEqual([200, 200]);
  });

  it('lists its models in Ollama’s shape', async () => {
    const keys = (value: unknown) => Object.keys((value as { models: object[] }).models[0] ?? {});
    const tags = JSON.parse((await send({ path: '/api/tags' })).text);
    const recorded = JSON.parse(recordingOf('tags').body[0]?.text ?? '');
    expect(keys(tags)).toEqual(keys(recorded));
    expect(tags.models.map((model: { name: string }) => model.name)).toEqual(['gemma3:270m', 'all-minilm:latest', 'tooly:270m']);
    const ps = JSON.parse((await send({ path: '/api/ps' })).text);
    expect(keys(ps)).toEqual(keys(JSON.parse(recordingOf('ps-loaded').body[0]?.text ?? '')));
    expect(ps.models.map((model: { name: string }) => model.name).sort()).toEqual(['all-minilm:latest', 'gemma3:270m']);
    box.setModels([]);
    expect((await send({ path: '/v1/models' })).text).toBe(recordingOf('empty-v1-models').body[0]?.text);
    expect((await send({ path: '/api/tags' })).text).toBe(recordingOf('empty-tags').body[0]?.text);
  });

  it('reads JSON as Go does', async () => {
    const bypass = await post('/v1/chat/completions', recordingOf('duplicate-model-key-case-bypass').request.body);
    expect(JSON.parse(bypass.text)).toMatchObject({ model: 'gemma3:270m' });
    expect((await post('/api/generate', '{"model":"nope","mode\\u006c":"gemma3:270m","prompt":"x"} trailing')).status).toBe(200);
    expect((await post('/api/chat', { MODEL: 'GEMMA3:270M', meſſages: [{ role: 'user', content: 'x' }] })).chunks.length).toBe(
      13,
    );
    expect((await post('/api/embeddings', { model: 'all-minilm', prompt: 'x' })).status).toBe(200);
  });

  it('embeds the same text the same way, as numbers or as base64', async () => {
    const floats = JSON.parse((await post('/v1/embeddings', { model: 'all-minilm', input: ['a', 'b'], dimensions: 4 })).text);
    expect(Object.keys(floats)).toEqual(['object', 'data', 'model', 'usage']);
    expect(floats.usage).toEqual({ prompt_tokens: 6, total_tokens: 6 });
    const packed = JSON.parse(
      (await post('/v1/embeddings', { model: 'all-minilm', input: 'a', dimensions: 4, encoding_format: 'base64' })).text,
    );
    const bytes = Buffer.from(packed.data[0].embedding, 'base64');
    expect([0, 4, 8, 12].map((at) => bytes.readFloatLE(at))).toEqual(floats.data[0].embedding);
    const native = JSON.parse((await post('/api/embed', { model: 'ALL-MINILM', input: 'a', dimensions: 4 })).text);
    expect(native).toMatchObject({ model: 'ALL-MINILM', embeddings: [floats.data[0].embedding], prompt_eval_count: 3 });
  });

  it('says its own words, with usage known beforehand', async () => {
    box.setModels([{ name: 'mine', tokens: ['<a>', ' & ', 'ü'] }]);
    const ask = {
      model: 'mine',
      messages: [{ role: 'user', content: 'x' }],
      stream: true,
      stream_options: { include_usage: true },
    };
    const reply = await post('/v1/chat/completions', ask);
    expect(reply.chunks[0]?.text).toContain('"content":"\\u003ca\\u003e"');
    expect(parseSse(reply.text).at(-2)?.json).toMatchObject({
      usage: { prompt_tokens: 19, completion_tokens: 3, total_tokens: 22 },
    });
    const native = parseNdjson((await post('/api/chat', { ...ask, options: { num_predict: 2 } })).text);
    expect(native.at(-1)).toMatchObject({ done_reason: 'length', prompt_eval_count: 19, eval_count: 2 });
  });

  it('loads, keeps and unloads', async () => {
    box.setModels([{ name: 'other' }]);
    const before = box.loads.completed;
    expect(JSON.parse((await post('/api/generate', { model: 'other' })).text)).toMatchObject({ done_reason: 'load' });
    expect(box.loads.completed).toBe(before + 1);
    expect(box.resident).toContain('other:latest');
    await post('/api/generate', { model: 'other', prompt: 'x', options: { num_ctx: 1024 } });
    expect(box.loads.completed).toBe(before + 2);
    // /v1 knows no keep_alive.
    await post('/v1/completions', { model: 'other', prompt: 'x', keep_alive: 0 });
    expect(box.resident).toContain('other:latest');
    expect(JSON.parse((await post('/api/generate', { model: 'other', keep_alive: 0 })).text)).toMatchObject({
      done_reason: 'unload',
    });
    expect(box.resident).not.toContain('other:latest');
  });

  it('records what it received, as it came', async () => {
    await send({
      path: '/api/chat?x=1',
      headers: [
        ['X-OdD', '1'],
        ['Content-Type', 'text/plain'],
      ],
      body: '{"model":"ü"}',
    });
    const request = await box.nextRequest(({ path }) => path === '/api/chat?x=1');
    expect(request).toMatchObject({ method: 'POST', body: '{"model":"ü"}', httpVersion: '1.1', closedByClientAt: undefined });
    expect(request.headers).toEqual([
      ['Host', '127.0.0.1'],
      ['X-OdD', '1'],
      ['Content-Type', 'text/plain'],
      ['Content-Length', '14'],
    ]);
    expect(request.json()).toEqual({ model: 'ü' });
    expect(await request.over).toBe('answered');
    await expect(box.nextRequest(({ path }) => path === '/api/chat?x=1', 50)).rejects.toThrow('no such request within 50 ms');
  });
});
