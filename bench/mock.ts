/**
 * A box that answers at once: `node mock.ts MODEL…`. Raw sockets and answers written down beforehand, so that what is
 * measured is the gateway. Never parses JSON: the model's name, found in the first bytes of the body, chooses the answer.
 * Tells its parent the port as `{port}`; ends when the parent does.
 */
import { createServer, type Socket } from 'node:net';
import { otherAnswer, plainAnswer, sendBurst, startSlow } from './mock-answers.ts';
import { modeOf, peekBytes } from './wire.ts';

const headEnd = Buffer.from('\r\n\r\n');
const lastChunk = Buffer.from('\r\n0\r\n\r\n');
const noBytes = Buffer.alloc(0);

/** One client connection. Requests come one after the other; what stays of a read is the start of the next one. */
class Conversation {
  private readonly socket: Socket;
  private held: Buffer = noBytes;
  private firstLine = '';
  /** Bytes of the body still to come; -1: chunked, until the last chunk; undefined: waiting for a head. */
  private owed: number | undefined;
  private bodyStart = '';
  private tail: Buffer = noBytes;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => this.take(bytes));
    socket.on('error', () => socket.destroy());
  }

  private take(bytes: Buffer): void {
    let rest = this.held.length === 0 ? bytes : Buffer.concat([this.held, bytes]);
    this.held = noBytes;
    while (rest.length > 0) {
      if (this.owed === undefined) {
        const end = rest.indexOf(headEnd);
        if (end === -1) {
          this.held = rest;
          return;
        }
        this.openRequest(rest.toString('latin1', 0, end));
        rest = rest.subarray(end + 4);
      }
      rest = this.owed === -1 ? this.takeChunked(rest) : this.takeCounted(rest);
      if (this.owed === 0) this.answer();
    }
  }

  private openRequest(head: string): void {
    const lineEnd = head.indexOf('\r\n');
    this.firstLine = lineEnd === -1 ? head : head.slice(0, lineEnd);
    const length = /\r\ncontent-length: *(\d+)/i.exec(head);
    if (length !== null) this.owed = Number(length[1]);
    else this.owed = /\r\ntransfer-encoding: *chunked/i.test(head) ? -1 : 0;
    if (/\r\nexpect: *100/i.test(head)) this.socket.write('HTTP/1.1 100 Continue\r\n\r\n');
    this.bodyStart = '';
    this.tail = noBytes;
  }

  private takeCounted(bytes: Buffer): Buffer {
    const taken = Math.min(this.owed ?? 0, bytes.length);
    this.peek(bytes, taken);
    this.owed = (this.owed ?? 0) - taken;
    return bytes.subarray(taken);
  }

  /** The bodies sent here hold no carriage return of their own, so the end of the last chunk is enough to look for. */
  private takeChunked(bytes: Buffer): Buffer {
    this.peek(bytes, bytes.length);
    const seen = this.tail.length === 0 ? bytes : Buffer.concat([this.tail, bytes]);
    if (seen.subarray(-lastChunk.length).equals(lastChunk)) this.owed = 0;
    else this.tail = Buffer.from(seen.subarray(-lastChunk.length));
    return noBytes;
  }

  private peek(bytes: Buffer, length: number): void {
    const wanted = peekBytes - this.bodyStart.length;
    if (wanted > 0) this.bodyStart += bytes.toString('latin1', 0, Math.min(wanted, length));
  }

  private answer(): void {
    this.owed = undefined;
    if (!this.firstLine.startsWith('POST /v1/chat/completions')) {
      this.socket.write(otherAnswer(this.firstLine));
      return;
    }
    const mode = modeOf(this.bodyStart);
    const withUsage = mode.kind !== 'plain' && /"include_usage": *true/.test(this.bodyStart);
    if (mode.kind === 'plain') this.socket.write(plainAnswer);
    else if (mode.kind === 'burst') sendBurst(this.socket, mode.chunks, withUsage);
    else startSlow(this.socket, mode.chunks, mode.perSecond, withUsage);
  }
}

const server = createServer((socket) => new Conversation(socket));
server.listen({ port: Number(process.env.MOCK_PORT ?? 0), host: '127.0.0.1', backlog: 2048 }, () => {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  if (process.send === undefined) process.stdout.write(`mock box on http://127.0.0.1:${port}\n`);
  else process.send({ port });
});
process.on('disconnect', () => process.exit(0));
