/** A tunnel in front of a box, as Cloudflare's: 524 after so much silence before the headers, a cut after them; 530 while nobody is behind it. */
import type { SimulationClock } from './setting.ts';
import { answerWhole, type Sink } from './sink.ts';

const html = { 'Content-Type': 'text/html; charset=UTF-8' };

export function throughTunnel(
  tunnel: { silenceMs: number; clock: SimulationClock; isDown: boolean },
  client: Sink,
  take: (sink: Sink) => () => void,
): () => void {
  if (tunnel.isDown) {
    answerWhole(client, 530, html, '<html><title>Cloudflare Tunnel error</title>error code: 1033</html>');
    return () => undefined;
  }
  let hasHead = false;
  let isOver = false;
  let cancel: () => void = () => undefined;
  let leave: () => void = () => undefined;
  const over = (): void => {
    isOver = true;
    cancel();
  };
  const wait = (): void => {
    cancel();
    cancel = tunnel.clock.after(tunnel.silenceMs, () => {
      over();
      // It closes its own connection to the box: for Ollama the client has left.
      leave();
      if (hasHead) client.end('cut');
      else answerWhole(client, 524, html, '<html><title>524: A timeout occurred</title>error code: 524</html>');
    });
  };
  const sink: Sink = {
    head(status, headers) {
      if (isOver) return;
      hasHead = true;
      wait();
      client.head(status, headers);
    },
    chunk(text) {
      if (isOver) return;
      wait();
      client.chunk(text);
    },
    end(how) {
      if (isOver) return;
      over();
      client.end(how);
    },
  };
  wait();
  leave = take(sink);
  if (isOver) leave();
  return () => {
    if (isOver) return;
    over();
    leave();
  };
}
