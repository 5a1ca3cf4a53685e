/** A port on Deno, beside the one that `deno serve` opens: the admin address, and ports that speak TLS. */
import type { ServerTls } from '../platform.ts';
import { denoPeer } from './deno-platform.ts';
import { type DenoServer, deno } from './deno-runtime.ts';
import { type DoorOptions, type OpenDoor, openAgain } from './door.ts';
import { ignore } from './web-body.ts';

export const openDenoDoor: OpenDoor = async (options) => {
  let server = listen(options, options.port, options.tls);
  const { port } = server.addr;
  const stop = () => void server.shutdown().catch(ignore);
  return {
    hostname: options.hostname,
    port,
    stopAccepting: stop,
    close: stop,
    async renewTls(tls) {
      // Deno takes certificates when a port is opened, and shares no ports without a flag of its own: the port is closed
      // and opened again, which takes some milliseconds. Connections go on.
      stop();
      server = await openAgain(async () => listen(options, port, tls));
    },
  };
};

/** Throws at once when it cannot listen. Without onListen Deno would print an address of its own. */
function listen({ hostname, bind, answer }: DoorOptions, port: number, tls: ServerTls | undefined): DenoServer {
  const [certificate] = tls?.certificates ?? [];
  return deno.serve(
    {
      hostname,
      port,
      onListen: ignore,
      ...(certificate === undefined ? {} : { cert: certificate.cert, key: certificate.key }),
    },
    (request, info) => answer(request, denoPeer(bind.port, info)),
  );
}
