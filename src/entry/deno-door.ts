/** A port on Deno, beside the one that `deno serve` opens: the admin address. */
import { denoPeer } from './deno-platform.ts';
import { deno } from './deno-runtime.ts';
import type { OpenDoor } from './door.ts';
import { ignore } from './web-body.ts';

export const openDenoDoor: OpenDoor = async ({ hostname, port, bindPort, answer }) => {
  // Throws at once when it cannot listen. Without onListen Deno would print an address of its own.
  const server = deno.serve({ hostname, port, onListen: ignore }, (request, info) => answer(request, denoPeer(bindPort, info)));
  const stop = () => void server.shutdown().catch(ignore);
  return { hostname, port: server.addr.port, stopAccepting: stop, close: stop };
};
