import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Answer } from './answer.ts';
import type { GrowingRequest } from './received.ts';

/** Go's server looks for the Host header itself (recording host-missing-11). */
export const missingHost: Answer = {
  statusLine: 'HTTP/1.1 400 Bad Request: missing required Host header',
  headers: [
    ['Content-Type', 'text/plain; charset=utf-8'],
    ['Connection', 'close'],
  ],
  pieces: [{ afterMs: 0, bytes: new TextEncoder().encode('400 Bad Request: missing required Host header') }],
  ending: 'clean',
};

/** What Go answers when the request cannot be read at all. */
export function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable) return;
  const words = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
  socket.end(`HTTP/1.1 ${words}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${words}`);
}

/** Reads the body into the request. False when the client left in the middle of it. */
export async function readBody(incoming: IncomingMessage, request: GrowingRequest): Promise<boolean> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
  } catch {
    return false;
  } finally {
    request.bodyBytes = Buffer.concat(chunks);
  }
  return incoming.complete;
}
