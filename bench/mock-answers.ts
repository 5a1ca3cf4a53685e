/** The mock box's answers, written down once in Ollama's shapes. */
import type { Socket } from 'node:net';
import { nowMicros, stampOf } from './wire.ts';

const models = process.argv.slice(2);

function whole(status: string, value: unknown): Buffer {
  const body = JSON.stringify(value);
  const head = `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
  return Buffer.from(head + body);
}

const details = {
  parent_model: '',
  format: 'gguf',
  family: 'llama',
  families: ['llama'],
  parameter_size: '3.2B',
  quantization_level: 'Q4_K_M',
};
const installed = models.map((model, index) => ({
  name: `${model}:latest`,
  model: `${model}:latest`,
  modified_at: '2026-11-01T10:00:00Z',
  size: 2_019_393_189,
  digest: String(index).padStart(64, 'a'),
  details,
}));
const resident = installed.map((model) => ({
  ...model,
  expires_at: '2318-01-01T00:00:00Z',
  size_vram: model.size,
  context_length: 8192,
}));

const tags = whole('200 OK', { models: installed });
const ps = whole('200 OK', { models: resident });
const version = whole('200 OK', { version: '0.13.0' });
const show = whole('200 OK', { details, model_info: { 'llama.context_length': 8192 }, capabilities: ['completion', 'tools'] });
const openaiModels = whole('200 OK', {
  object: 'list',
  data: installed.map((model) => ({ id: model.name, object: 'model', created: 1_763_800_000, owned_by: 'library' })),
});
const alive = Buffer.from(
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 17\r\n\r\nOllama is running',
);
const unknown = whole('404 Not Found', { error: 'the mock box does not know this path' });

/** What anything but a chat request gets, by its request line. */
export function otherAnswer(firstLine: string): Buffer {
  const [method, target] = firstLine.split(' ');
  const answer = answerAt(target?.split('?')[0]);
  return method === 'HEAD' ? answer.subarray(0, answer.indexOf('\r\n\r\n') + 4) : answer;
}

function answerAt(path: string | undefined): Buffer {
  if (path === '/api/tags') return tags;
  if (path === '/api/ps') return ps;
  if (path === '/api/version') return version;
  if (path === '/api/show') return show;
  if (path === '/v1/models') return openaiModels;
  return path === '/' ? alive : unknown;
}

const sentence = 'The sky looks blue because air scatters short waves more than long ones. ';

/** A chat answer of about 1 KB. */
export const plainAnswer = whole('200 OK', {
  id: 'chatcmpl-417',
  object: 'chat.completion',
  created: 1_763_800_000,
  model: 'bench',
  system_fingerprint: 'fp_ollama',
  choices: [{ index: 0, message: { role: 'assistant', content: sentence.repeat(10).trim() }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 26, completion_tokens: 170, total_tokens: 196 },
});

function chunked(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
}

function event(choices: string, rest = ''): string {
  return `data: {"id":"chatcmpl-417","object":"chat.completion.chunk","created":1763800000,"model":"bench","system_fingerprint":"fp_ollama","choices":${choices}${rest}}\n\n`;
}

function contentChunk(stamp: string): string {
  return chunked(event(`[{"index":0,"delta":{"role":"assistant","content":" @${stamp}"},"finish_reason":null}]`));
}

const streamHead =
  'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\nTransfer-Encoding: chunked\r\n\r\n';
const blankChunk = contentChunk(stampOf(0));
const burstFirst = Buffer.from(streamHead + blankChunk);
const burstNext = Buffer.from(blankChunk);
const [slowBefore = '', slowAfter = ''] = blankChunk.split(stampOf(0));

const finish = chunked(event('[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]'));
const usage = chunked(event('[]', ',"usage":{"prompt_tokens":26,"completion_tokens":100,"total_tokens":126}'));
const done = `${chunked('data: [DONE]\n\n')}0\r\n\r\n`;
const plainEnd = Buffer.from(finish + done);
const usageEnd = Buffer.from(finish + usage + done);

/** Writes a whole stream, each chunk by itself, as fast as the reader takes it. */
export function sendBurst(socket: Socket, chunks: number, withUsage: boolean): void {
  let sent = 0;
  const go = () => {
    while (sent < chunks) {
      const goesOn = socket.write(sent === 0 ? burstFirst : burstNext);
      sent += 1;
      if (!goesOn) {
        socket.once('drain', go);
        return;
      }
    }
    socket.write(withUsage ? usageEnd : plainEnd);
  };
  go();
}

interface SlowStream {
  readonly socket: Socket;
  readonly end: Buffer;
  readonly everyMicros: number;
  dueMicros: number;
  left: number;
}

/** All slow streams share one timer: hundreds of own timers would drift and cost more than the chunks. */
const slowStreams = new Set<SlowStream>();
let ticker: NodeJS.Timeout | undefined;

/** Starts a stream whose first chunk leaves now and the others at even distances. */
export function startSlow(socket: Socket, chunks: number, perSecond: number, withUsage: boolean): void {
  const everyMicros = 1e6 / perSecond;
  const micros = nowMicros();
  socket.write(streamHead + slowBefore + stampOf(micros) + slowAfter, 'latin1');
  slowStreams.add({
    socket,
    end: withUsage ? usageEnd : plainEnd,
    everyMicros,
    dueMicros: micros + everyMicros,
    left: chunks - 1,
  });
  ticker ??= setInterval(tick, 1);
}

function tick(): void {
  const due = nowMicros();
  for (const stream of slowStreams) {
    if (stream.socket.destroyed) slowStreams.delete(stream);
    else if (stream.dueMicros <= due) sendNext(stream);
  }
  if (slowStreams.size > 0) return;
  clearInterval(ticker);
  ticker = undefined;
}

function sendNext(stream: SlowStream): void {
  if (stream.left === 0) {
    slowStreams.delete(stream);
    stream.socket.write(stream.end);
    return;
  }
  stream.socket.write(slowBefore + stampOf(nowMicros()) + slowAfter, 'latin1');
  stream.left -= 1;
  stream.dueMicros += stream.everyMicros;
}
