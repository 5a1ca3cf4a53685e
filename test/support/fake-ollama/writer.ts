import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { clearTimeout, setImmediate, setTimeout } from 'node:timers';
import type { Answer } from './answer.ts';

/** How an exchange ended: whole, given up by the client, or broken off by the box on purpose. */
export type Outcome = 'answered' | 'client left' | 'cut';

/** Waits, but not for a client that has left. */
export function pause(ms: number, gone: AbortSignal): Promise<void> {
  if (gone.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    if (ms <= 0) {
      setImmediate(resolve);
      return;
    }
    const done = () => {
      clearTimeout(timer);
      gone.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    gone.addEventListener('abort', done);
  });
}

/**
 * Sends an answer byte for byte: no header but its own, every piece flushed by itself, waiting for the client to read.
 * `gone` is aborted when the client closes.
 */
export async function sendAnswer(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  gone: AbortSignal,
): Promise<Outcome> {
  try {
    return needsRawSocket(request, answer)
      ? await sendRaw(request.socket, answer, gone)
      : await sendFramed(request, response, answer, gone);
  } finally {
    answer.onOver?.();
  }
}

/** Node would not write these as Ollama does: HTTP/1.0, and answers that are framed by the close of the connection. */
function needsRawSocket(request: IncomingMessage, answer: Answer): boolean {
  if (request.httpVersion === '1.0' || answer.statusLine.startsWith('HTTP/1.0')) return true;
  const framed = answer.headers.some(([name]) => name === 'Content-Length' || name === 'Transfer-Encoding');
  return !framed && request.method !== 'HEAD' && !/ (204|304) /.test(answer.statusLine);
}

async function sendFramed(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Answer,
  gone: AbortSignal,
): Promise<Outcome> {
  const socket = request.socket;
  const [, status = '200', reason = ''] = /^HTTP\/1\.1 (\d+) ?(.*)$/.exec(answer.statusLine) ?? [];
  response.sendDate = false;
  // A client that leaves between two writes: `gone` tells, a moment later.
  response.on('error', () => {});
  // Taken out before it is there: Node then neither adds `Connection` nor `Keep-Alive`, and keeps the connection.
  response.removeHeader('connection');
  let started = false;
  const start = () => {
    if (!started) response.writeHead(Number(status), reason, answer.headers.flat());
    started = true;
  };
  for await (const piece of answer.pieces) {
    await pause(piece.afterMs, gone);
    if (gone.aborted) return 'client left';
    if (piece.bytes.length === 0) continue;
    start();
    if (!response.write(piece.bytes)) await drained(response, gone);
    await pause(0, gone);
  }
  if (gone.aborted) return 'client left';
  start();
  if (answer.ending === 'clean') {
    const ended = new Promise<void>((resolve) => response.end(resolve));
    await Promise.race([ended, whenAborted(gone)]);
    return response.writableFinished ? 'answered' : 'client left';
  }
  response.flushHeaders();
  return breakOff(socket, answer, gone);
}

async function sendRaw(socket: Socket, answer: Answer, gone: AbortSignal): Promise<Outcome> {
  const line = answer.statusLine.replace(/^HTTP\/1\.1 (?=\d+ [A-Z][A-Za-z ]*$)/, 'HTTP/1.0 ');
  const closing = answer.statusLine.includes('HTTP/1.1') && answer.headers.some(([name]) => name === 'Connection');
  const headers = answer.headers.filter(([name]) => name !== 'Transfer-Encoding').map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`${closing ? answer.statusLine : line}\r\n${headers.join('')}\r\n`);
  for await (const piece of answer.pieces) {
    await pause(piece.afterMs, gone);
    if (gone.aborted) return 'client left';
    if (piece.bytes.length > 0) socket.write(piece.bytes);
  }
  if (answer.ending !== 'clean') return breakOff(socket, answer, gone);
  socket.end();
  return 'answered';
}

async function breakOff(socket: Socket, answer: Answer, gone: AbortSignal): Promise<Outcome> {
  if (answer.ending === 'held') {
    await whenAborted(gone);
    return 'client left';
  }
  // What was written must be on the wire first: destroying drops it.
  await new Promise<void>((resolve) => socket.write('', () => resolve()));
  if (answer.ending === 'reset') socket.resetAndDestroy();
  else socket.destroySoon();
  return 'cut';
}

function drained(response: ServerResponse, gone: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done);
      gone.removeEventListener('abort', done);
      resolve();
    };
    response.on('drain', done);
    gone.addEventListener('abort', done);
  });
}

/** Resolves when the client has left. */
export function whenAborted(gone: AbortSignal): Promise<void> {
  if (gone.aborted) return Promise.resolve();
  return new Promise((resolve) => gone.addEventListener('abort', () => resolve(), { once: true }));
}
