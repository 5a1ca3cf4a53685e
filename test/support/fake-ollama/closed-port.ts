import { connect, createServer, type Server, type Socket } from 'node:net';

/** A port that refuses connections and that nobody else is given. */
export interface ClosedPort {
  readonly port: number;
  readonly url: string;
  release(): Promise<void>;
}

/**
 * Keeps a port from being handed out while nothing listens on it: a connection whose *local* end is that port stands between
 * two sockets of ours. Connecting to the port is refused, listening on it again works (both sides set SO_REUSEADDR).
 */
export async function holdPort(port: number): Promise<ClosedPort> {
  const anchor = createServer((socket) => socket.on('error', () => {}));
  const anchorPort = await listen(anchor, 0);
  const holder = await new Promise<Socket>((resolve, reject) => {
    const socket: Socket = connect({ port: anchorPort, host: '127.0.0.1', localPort: port, localAddress: '127.0.0.1' });
    socket.once('connect', () => resolve(socket));
    socket.once('error', reject);
  });
  holder.on('error', () => {});
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    async release() {
      // A reset leaves no TIME_WAIT behind, which would keep the port.
      holder.resetAndDestroy();
      await new Promise<void>((resolve) => anchor.close(() => resolve()));
    },
  };
}

/** A port that was free a moment ago, now held closed. */
export async function reserveClosedPort(): Promise<ClosedPort> {
  const server = createServer();
  const port = await listen(server, 0);
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return holdPort(port);
}

/** Listens on 127.0.0.1 and returns the port. */
export function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}
