/** The end (issue: "Start"): SIGTERM and SIGINT drain; streams under way finish, new requests are refused, exit 0; a second signal ends at once. */
import { describe, expect } from 'vitest';
import { requestBytes } from '../support/raw-client.ts';
import { hello, herdOf, type Stage } from './stage.ts';

const request = requestBytes({
  path: '/v1/chat/completions',
  body: JSON.stringify({ model: 'llama3.2', messages: hello, stream: true }),
});

export function drain(stage: Stage): void {
  describe('drain', () => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      stage.beside(`${signal}: a stream under way finishes, a new request is refused, exit 0`, async () => {
        const box = await stage.box({ faults: { tokensPerSecond: 8 } });
        const corral = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }]) });
        const client = await stage.raw(corral.url);
        const idle = await stage.raw(corral.url);
        await client.send(request);
        await client.until('"content":"was"');
        corral.signal(signal);
        await corral.untilOutput(/shutting down: 1 answer under way/);
        // On a connection that stands, and on a new one: 503, or nobody there.
        await idle.send(request).catch(() => undefined);
        const refused = await idle.reply().then(
          (reply) => reply.status,
          () => 'closed',
        );
        expect(refused).toBeOneOf([503, 'closed']);
        const fresh = await fetch(`${corral.url}/v1/models`).then(
          (reply) => reply.status,
          () => 'closed',
        );
        expect(fresh).toBeOneOf([503, 'closed']);
        await client.until('data: [DONE]');
        expect(await corral.exited).toEqual({ code: 0, signal: null });
      });
    }

    stage.beside('a second signal ends at once', async () => {
      const box = await stage.box({ faults: { stallAfterChunks: 2 } });
      const corral = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }]) });
      const client = await stage.raw(corral.url);
      await client.send(request);
      await client.until('"content":"was"');
      corral.signal('SIGTERM');
      await corral.untilOutput(/shutting down/);
      corral.signal('SIGTERM');
      expect(await corral.exited).toMatchObject({ code: 0 });
    });

    stage.it('nothing under way: it ends at once', async () => {
      const box = await stage.box();
      const corral = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }]) });
      const idle = await stage.raw(corral.url);
      const startedAt = performance.now();
      corral.signal('SIGTERM');
      expect(await corral.exited).toEqual({ code: 0, signal: null });
      expect(performance.now() - startedAt).toBeLessThan(5000);
      idle.close();
    });
  });
}
