/** Simulated boxes on real ports. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { SimulatedBox } from './box.ts';
import type { BoxSetting, SimulationClock } from './setting.ts';

export interface ServedBox {
  readonly box: SimulatedBox;
  readonly url: string;
  /** Nobody listens there any more, and what was open is cut. */
  die(): Promise<void>;
  /** It listens on the same port again, with nothing in memory. */
  comeBack(): Promise<void>;
  stop(): Promise<void>;
}

export async function serveBox(setting: Omit<Partial<BoxSetting>, 'url'>, clock: SimulationClock): Promise<ServedBox> {
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  let port = 0;
  const open = async (): Promise<void> => {
    const opened = createServer({ keepAliveTimeout: 60_000, requestTimeout: 0, headersTimeout: 0 });
    opened.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => sockets.delete(socket));
      socket.setNoDelay(true);
    });
    opened.on('request', (request, response) => take(box, request, response));
    await new Promise<void>((resolve, reject) => {
      opened.once('error', reject);
      opened.listen(port, '127.0.0.1', resolve);
    });
    port = (opened.address() as AddressInfo).port;
    server = opened;
  };
  const close = async (): Promise<void> => {
    const closing = server;
    server = undefined;
    for (const socket of sockets) socket.destroy();
    if (closing !== undefined) await new Promise<void>((resolve) => closing.close(() => resolve()));
  };
  const box = new SimulatedBox({ ...setting, url: 'http://127.0.0.1' }, clock);
  await open();
  return {
    box,
    get url() {
      return `http://127.0.0.1:${port}`;
    },
    async die() {
      box.die('refusing');
      await close();
    },
    async comeBack() {
      box.comeBack();
      await open();
    },
    async stop() {
      box.die('refusing');
      await close();
    },
  };
}

function take(box: SimulatedBox, request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('error', () => undefined);
  response.on('error', () => undefined);
  request.on('end', () => {
    const { pathname } = new URL(request.url ?? '/', 'http://box');
    const body = Buffer.concat(chunks).toString('utf8');
    let isOver = false;
    const leave = box.take(
      { method: request.method ?? '', pathname, body, host: request.headers.host ?? '' },
      {
        head: (status, headers) => void response.writeHead(status, { ...headers }),
        chunk: (text) => void response.write(text),
        end(how) {
          isOver = true;
          if (how === 'clean') response.end();
          else request.socket.destroy();
        },
      },
    );
    response.on('close', () => {
      if (!isOver) leave();
    });
  });
}
