import { connect, type Socket } from 'node:net';
import { clearTimeout, setTimeout } from 'node:timers';
import { Worker } from 'node:worker_threads';

/** An address where SYNs vanish, as behind a firewall that drops. */
export interface BlackHole {
  readonly port: number;
  readonly url: string;
  close(): Promise<void>;
}

/**
 * On Linux a SYN is dropped when the listener's accept queue is full (tcp_abort_on_overflow = 0, the default). A thread listens
 * with the smallest backlog and then stands still for ever, so nothing is accepted; the queue is filled from here until a connect
 * gets no answer within 300 ms. The kernel repeats a client's SYN for minutes: it never connects and is never refused.
 */
const listener = `
const { parentPort } = require('node:worker_threads');
const server = require('node:net').createServer();
server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
  parentPort.postMessage(server.address().port);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});
`;
const maxFillers = 64;
const silenceMs = 300;

export async function openBlackHole(): Promise<BlackHole> {
  const worker = new Worker(listener, { eval: true });
  const port = await new Promise<number>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  const fillers: Socket[] = [];
  const close = async () => {
    for (const filler of fillers) filler.destroy();
    await worker.terminate();
  };
  for (let count = 0; count < maxFillers; count++) {
    const filler = connect(port, '127.0.0.1');
    filler.on('error', () => {});
    fillers.push(filler);
    if (!(await connects(filler))) return { port, url: `http://127.0.0.1:${port}`, close };
  }
  await close();
  throw new Error(
    `the accept queue of port ${port} took ${maxFillers} connections: this system does not drop SYNs as Linux does`,
  );
}

function connects(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), silenceMs);
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}
