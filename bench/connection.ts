/**
 * One keep-alive client connection that does as little as it can: finds the end of the head, counts bytes and marks, finds
 * the end of the answer. Anything more would be measured together with the gateway.
 */
import { connect, type Socket } from 'node:net';
import { markByte, markDigits } from './wire.ts';

const headEnd = Buffer.from('\r\n\r\n');
const lastChunk = Buffer.from('\r\n0\r\n\r\n');
const noBytes = Buffer.alloc(0);

/** All sockets read into this one: libuv hands it over and takes it back within one callback. */
const readBuffer = Buffer.allocUnsafe(256 * 1024);

export interface Answer {
  readonly status: number;
  readonly bodyBytes: number;
  /** Content chunks, when the answer was a stream. */
  readonly marks: number;
  /** Up to 300 characters of the body, when the status was not 200. */
  readonly complaint: string;
}

export interface Listener {
  /** The first byte of the body is there. */
  begun(): void;
  /** A content chunk came whose mock wrote it at `writtenMicros`. Only with `timed`. */
  chunk(writtenMicros: number): void;
  ended(answer: Answer): void;
  /** Refused, reset, closed too early. The connection opens again with the next request. */
  broke(reason: string): void;
}

export class Connection {
  private readonly port: number;
  private readonly timed: boolean;
  private readonly listener: Listener;
  private socket: Socket | undefined;
  private busy = false;
  private head: Buffer = noBytes;
  private inBody = false;
  private status = 0;
  /** Bytes of the body still to come; -1: chunked. */
  private owed = 0;
  private tail: Buffer = noBytes;
  private bodyBytes = 0;
  private marks = 0;
  private stampDigits = '';
  private complaint = '';
  private closing = false;

  /** `timed` also reads the time in each chunk. */
  constructor(port: number, timed: boolean, listener: Listener) {
    this.port = port;
    this.timed = timed;
    this.listener = listener;
  }

  send(bytes: Buffer): void {
    this.busy = true;
    this.inBody = false;
    this.head = noBytes;
    if (this.socket === undefined) this.open();
    this.socket?.write(bytes);
  }

  close(): void {
    this.busy = false;
    this.socket?.destroy();
    this.socket = undefined;
  }

  private open(): void {
    const onread = {
      buffer: readBuffer,
      callback: (length: number) => {
        if (this.socket === socket) this.take(readBuffer.subarray(0, length));
        return true;
      },
    };
    const socket = connect({ host: '127.0.0.1', port: this.port, noDelay: true, onread });
    socket.on('error', (error) => this.lose(socket, error.message));
    socket.on('close', () => this.lose(socket, 'closed before the answer ended'));
    this.socket = socket;
  }

  private lose(socket: Socket, reason: string): void {
    if (this.socket !== socket) return;
    this.socket = undefined;
    if (!this.busy) return;
    this.busy = false;
    this.listener.broke(reason);
  }

  private take(bytes: Buffer): void {
    if (this.inBody) {
      this.takeBody(bytes);
      return;
    }
    const seen = this.head.length === 0 ? bytes : Buffer.concat([this.head, bytes]);
    const end = seen.indexOf(headEnd);
    if (end === -1) {
      this.head = Buffer.from(seen);
      return;
    }
    this.openAnswer(seen.toString('latin1', 0, end));
    if (seen.length > end + 4) this.takeBody(seen.subarray(end + 4));
    else if (this.owed === 0) this.finish();
  }

  private openAnswer(head: string): void {
    this.inBody = true;
    this.status = Number(head.slice(9, 12));
    const length = /\r\ncontent-length: *(\d+)/i.exec(head);
    if (length !== null) this.owed = Number(length[1]);
    else this.owed = /\r\ntransfer-encoding: *chunked/i.test(head) ? -1 : 0;
    this.closing = /\r\nconnection: *close/i.test(head);
    this.tail = noBytes;
    this.bodyBytes = 0;
    this.marks = 0;
    this.stampDigits = '';
    this.complaint = '';
  }

  private takeBody(bytes: Buffer): void {
    if (this.bodyBytes === 0) this.listener.begun();
    this.bodyBytes += bytes.length;
    if (this.status !== 200) this.complaint += bytes.toString('latin1', 0, 300 - this.complaint.length);
    this.countMarks(bytes);
    if (this.owed === -1 ? this.sawLastChunk(bytes) : this.bodyBytes >= this.owed) this.finish();
  }

  private countMarks(bytes: Buffer): void {
    let from = this.stampDigits === '' ? 0 : this.readStamp(bytes, 0);
    for (;;) {
      const at = bytes.indexOf(markByte, from);
      if (at === -1) return;
      this.marks += 1;
      from = this.timed ? this.readStamp(bytes, at) : at + 1;
    }
  }

  /** Reads mark and digits from `from` on, or what this read has of them; the rest opens the next read. Returns where it stopped. */
  private readStamp(bytes: Buffer, from: number): number {
    const wanted = 1 + markDigits - this.stampDigits.length;
    const end = Math.min(bytes.length, from + wanted);
    this.stampDigits += bytes.toString('latin1', from, end);
    if (this.stampDigits.length <= markDigits) return end;
    this.listener.chunk(Number(this.stampDigits.slice(1)));
    this.stampDigits = '';
    return end;
  }

  /** The mock's bodies hold no carriage return, so these seven bytes stand nowhere else. */
  private sawLastChunk(bytes: Buffer): boolean {
    const seen = this.tail.length === 0 ? bytes : Buffer.concat([this.tail, bytes]);
    const last = seen.subarray(-lastChunk.length);
    if (last.equals(lastChunk)) return true;
    this.tail = Buffer.from(last);
    return false;
  }

  private finish(): void {
    this.busy = false;
    this.inBody = false;
    if (this.closing) this.close();
    this.listener.ended({ status: this.status, bodyBytes: this.bodyBytes, marks: this.marks, complaint: this.complaint });
  }
}
