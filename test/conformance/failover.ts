/** Failure before the first byte (issue: "Failure"; D19): the request moves to the next box, whatever its size; then words. */
import { describe, expect } from 'vitest';
import { unresolvableUrl } from '../support/fake-ollama/index.ts';
import { ask, chat, errorOf, type HerdOptions, hello, herdOf, inferencesOf, isPath, type Stage, untilListed } from './stage.ts';

const unresolvable = unresolvableUrl.replace('http://', '');

export function failover(stage: Stage): void {
  /** A gateway in front of these boxes, by name. */
  const open = (boxes: Readonly<Record<string, { readonly port: number } | string>>, options?: HerdOptions) => {
    const entries = Object.entries(boxes).map(([name, box]) => ({ name, at: typeof box === 'string' ? box : box.port }));
    return stage.corral({ yaml: herdOf(entries, options) });
  };

  describe('failover', () => {
    stage.beside('connection refused → the next box', async () => {
      const closed = await stage.closedPort();
      const good = await stage.box();
      const corral = await open({ bad: closed, good });
      for (const stream of [false, true]) expect((await chat(corral.url, { stream })).status).toBe(200);
      expect(inferencesOf(good)).toHaveLength(2);
    });

    stage.beside('a box that stops between two requests → the next box', async () => {
      const [first, second] = [await stage.box(), await stage.box()];
      const corral = await open({ first, second }, { inGroups: true });
      await untilListed(corral.url, ['llama3.2:latest']);
      expect((await chat(corral.url)).status).toBe(200);
      expect(inferencesOf(first)).toHaveLength(1);
      await first.refuse();
      expect((await chat(corral.url)).status).toBe(200);
      expect(inferencesOf(second)).toHaveLength(1);
    });

    stage.beside('a name that does not resolve → the next box', async () => {
      const good = await stage.box();
      const corral = await open({ bad: unresolvable, good });
      expect((await chat(corral.url)).status).toBe(200);
    });

    stage.beside('a name that does not resolve, and nothing else: 503 in words', async () => {
      const corral = await open({ bad: unresolvable });
      const reply = await chat(corral.url);
      expect(reply.status).toBe(503);
      // workerd does not say why it could not connect.
      expect(errorOf(reply)).toMatch(
        stage.runtime === 'workerd' ? /\bbad\b/ : /bad was not found: its host name does not resolve/,
      );
    });

    for (const inGroups of [false, true]) {
      stage.it(
        `SYNs are dropped: the next ${inGroups ? 'group' : 'box'} serves within 2.2 s (T4), later requests at once`,
        async () => {
          const hole = await stage.blackHole();
          const good = await stage.box();
          const corral = await open({ bad: hole, good }, { inGroups });
          const startedAt = performance.now();
          expect((await chat(corral.url, { stream: true })).status).toBe(200);
          // T4 allows 2.2 s; the rest is for a busy machine.
          expect(performance.now() - startedAt).toBeLessThan(3200);
          const again = performance.now();
          expect((await chat(corral.url)).status).toBe(200);
          expect(performance.now() - again).toBeLessThan(1000);
        },
      );
    }

    stage.beside('SYNs are dropped and nothing is left: 503 in words, not a hanging client', async () => {
      const hole = await stage.blackHole();
      const corral = await open({ asleep: hole });
      const reply = await chat(corral.url);
      expect(reply.status).toBe(503);
      expect(errorOf(reply)).toMatch(/asleep does not answer: the machine is off, asleep, or a firewall/);
    });

    stage.beside('a box that takes connections and never answers → the next box', async () => {
      const hung = await stage.box({ faults: { hang: 'all' } });
      const good = await stage.box();
      const corral = await open({ hung, good }, { inGroups: true });
      expect((await chat(corral.url)).status).toBe(200);
      expect(inferencesOf(good)).toHaveLength(1);
    });

    for (const status of [502, 503, 504]) {
      stage.beside(`${status} from a box → the next box`, async () => {
        // In memory: otherwise the load would be what fails.
        const models = [{ name: 'llama3.2', resident: true }];
        const bad = await stage.box({
          models,
          faults: { failWith: { status, contentType: 'text/html', body: '<h1>bad gateway</h1>' } },
        });
        const good = await stage.box();
        const corral = await open({ bad, good }, { inGroups: true });
        expect((await chat(corral.url)).status).toBe(200);
        expect([inferencesOf(bad).length, inferencesOf(good).length]).toEqual([1, 1]);
      });
    }

    const failing = [
      ['out of memory', { outOfMemory: true }],
      ['a runner that crashes', { crashAfterTokens: 0 }],
    ] as const;
    for (const [name, faults] of failing) {
      stage.beside(`${name} → the next box, streamed or not`, async () => {
        const bad = await stage.box({ faults });
        const good = await stage.box();
        const corral = await open({ bad, good }, { inGroups: true });
        for (const stream of [false, true]) {
          const reply = await chat(corral.url, { stream });
          expect(reply.status).toBe(200);
          expect(reply.text).not.toContain('"error"');
        }
        expect(inferencesOf(good)).toHaveLength(2);
      });
    }

    stage.beside('T9: a stream that is cut before its first byte → the next box', async () => {
      const models = [{ name: 'llama3.2', resident: true }];
      const bad = await stage.box({ models, faults: { cutAfterChunks: 0 } });
      const good = await stage.box({ models });
      const corral = await open({ bad, good }, { inGroups: true });
      const reply = await chat(corral.url, { stream: true });
      expect([reply.status, reply.text.endsWith('data: [DONE]\n\n'), reply.text.includes('"error"')]).toEqual([200, true, false]);
      expect([inferencesOf(bad).length, inferencesOf(good).length]).toEqual([1, 1]);
    });

    stage.beside('busy (503 in Ollama’s words) everywhere: its words and the mend', async () => {
      const box = await stage.box({ faults: { busy: true } });
      const corral = await open({ desk: box });
      const reply = await chat(corral.url);
      expect(reply.status).toBe(503);
      expect(errorOf(reply)).toMatch(/desk is busy: server busy, please try again\. {2}maximum pending requests exceeded/);
    });

    stage.beside('400 is the client’s own: no other box is asked', async () => {
      const [first, second] = [await stage.box(), await stage.box()];
      const corral = await open({ first, second }, { inGroups: true });
      expect((await chat(corral.url, { temperature: 'hot' })).status).toBe(400);
      expect([inferencesOf(first).length, inferencesOf(second).length]).toEqual([1, 0]);
    });

    stage.beside('a box that has not got the model → the box that has, whether lists were known or not', async () => {
      const without = await stage.box({ models: ['mistral'] });
      const having = await stage.box({ models: ['llama3.2'] });
      const corral = await open({ without, having }, { inGroups: true });
      expect((await chat(corral.url)).status).toBe(200);
      await untilListed(corral.url, ['llama3.2:latest', 'mistral:latest']);
      const before = inferencesOf(without).length;
      expect((await chat(corral.url, { stream: true })).status).toBe(200);
      expect(inferencesOf(without)).toHaveLength(before);
      // Removed behind Corral's back: the box says so, and the next one serves.
      without.setModels(['mistral', 'both', 'seen-here']);
      having.setModels(['llama3.2', 'both', 'seen-there']);
      await untilListed(corral.url, ['seen-here:latest', 'seen-there:latest']);
      without.setModels(['mistral']);
      expect((await chat(corral.url, { model: 'both' })).status).toBe(200);
    });

    stage.beside('a model that has moved from one box to the other since the lists were read is found all the same', async () => {
      const old = await stage.box({ models: ['moved'] });
      const now = await stage.box({ models: ['llama3.2'] });
      const corral = await open({ old, now }, { fleet: { probeInterval: '1h' } });
      await untilListed(corral.url, ['moved:latest', 'llama3.2:latest']);
      old.setModels([]);
      now.setModels(['llama3.2', 'moved']);
      expect((await chat(corral.url, { model: 'moved' })).status).toBe(200);
    });

    stage.beside('a request of 1 MB moves on like a small one', async () => {
      const closed = await stage.closedPort();
      const busy = await stage.box({ faults: { busy: true } });
      const good = await stage.box();
      const corral = await open(
        { closed, busy, good },
        // No model has so much context.
        { inGroups: true, fleet: { truncation: { refuse: 'never' } } },
      );
      const content = 'x'.repeat(1024 * 1024);
      const reply = await chat(corral.url, { messages: [{ role: 'user', content }] });
      expect(reply.status).toBe(200);
      const received = await good.nextRequest(isPath('/v1/chat/completions'));
      expect((received.json() as { messages: { content: string }[] }).messages[0]?.content).toBe(content);
    });

    stage.beside('the runner is frozen, the box answers probes: it is waited for, not left', async () => {
      const frozen = await stage.box({ models: [{ name: 'llama3.2', resident: true }], faults: { startDelayMs: 3000 } });
      const other = await stage.box();
      const corral = await open({ frozen, other }, { inGroups: true });
      expect((await chat(corral.url)).status).toBe(200);
      expect(inferencesOf(other)).toHaveLength(0);
    });

    stage.beside('loadTimeout bounds the wait: 504 in words', async () => {
      const frozen = await stage.box({ faults: { hang: 'inference' } });
      const corral = await open({ frozen }, { fleet: { loadTimeout: '1s' } });
      const reply = await chat(corral.url);
      expect(reply.status).toBe(504);
      expect(errorOf(reply)).toMatch(/frozen (sent no first byte|has not loaded llama3.2:latest) within 1 s/);
    });

    stage.beside('the connection ends before headers → the next box; alone: an error in words', async () => {
      const broken = await stage.box({ faults: { startDelayMs: 400 } });
      const good = await stage.box();
      const corral = await open({ broken, good }, { inGroups: true });
      const reply = chat(corral.url);
      await broken.nextRequest(isPath('/v1/chat/completions'));
      await broken.refuse();
      expect((await reply).status).toBe(200);
      expect(inferencesOf(good)).toHaveLength(1);

      const alone = await stage.box({ faults: { startDelayMs: 400 } });
      const single = await open({ alone });
      const lonely = chat(single.url);
      await alone.nextRequest(isPath('/v1/chat/completions'));
      await alone.refuse();
      // Deno may ask once more by itself, and workerd has one word for both: then it is a refused connection.
      expect((await lonely).status).toBeOneOf(stage.runtime === 'node' || stage.runtime === 'bun' ? [502] : [502, 503]);
      expect(errorOf(await lonely)).toMatch(/alone (broke off|refused|does not answer)/);
    });

    stage.beside('every inference protocol moves on', async () => {
      const closed = await stage.closedPort();
      const good = await stage.box({ models: ['llama3.2', { name: 'minilm', capabilities: ['embedding'] }] });
      const corral = await open({ closed, good }, { inGroups: true });
      const calls: [string, object][] = [
        ['/v1/completions', { model: 'llama3.2', prompt: 'x' }],
        ['/v1/responses', { model: 'llama3.2', input: 'x' }],
        ['/v1/messages', { model: 'llama3.2', max_tokens: 5, messages: hello }],
        ['/v1/embeddings', { model: 'minilm', input: 'x' }],
        ['/api/chat', { model: 'llama3.2', messages: hello }],
        ['/api/generate', { model: 'llama3.2', prompt: 'x' }],
        ['/api/embed', { model: 'minilm', input: 'x' }],
        ['/api/embeddings', { model: 'minilm', prompt: 'x' }],
        ['/api/show', { model: 'llama3.2' }],
      ];
      for (const [path, body] of calls) expect([path, (await ask(corral.url + path, { body })).status]).toEqual([path, 200]);
    });

    stage.beside('a host backend is not asked twice after it has seen the request', async () => {
      const bad = await stage.box({ faults: { busy: true } });
      const corral = await stage.corral({
        yaml: {
          config: { adminAddr: 'off' },
          binds: [{ port: 3000, listeners: [{ routes: [{ backends: [{ host: `127.0.0.1:${bad.port}` }] }] }] }],
        },
      });
      expect((await chat(corral.url)).status).toBe(503);
      expect(inferencesOf(bad)).toHaveLength(1);
    });

    stage.beside('retry: attempts are all tries, the first one included, on the codes that are listed', async () => {
      // A load that has failed is not tried again at once: here it is in memory.
      const bad = await stage.box({
        models: [{ name: 'llama3.2', resident: true }],
        faults: { failWith: { status: 500, contentType: 'text/plain', body: 'no' }, times: 2 },
      });
      const corral = await open({ bad }, { policies: { retry: { attempts: 3, codes: [500], backoff: '10ms' } } });
      expect((await chat(corral.url)).status).toBe(200);
      expect(inferencesOf(bad)).toHaveLength(3);
    });

    stage.beside('timeout: the request’s 504 and the try’s 504', async () => {
      const slow = await stage.box({ faults: { startDelayMs: 10_000 } });
      const whole = await open({ slow }, { policies: { timeout: { requestTimeout: '300ms' } } });
      const reply = await chat(whole.url);
      expect([reply.status, errorOf(reply)]).toEqual([504, expect.stringMatching(/request timeout/)]);
      const each = await open({ slow }, { policies: { timeout: { backendRequestTimeout: '300ms' } } });
      const tried = await chat(each.url);
      expect([tried.status, errorOf(tried)]).toEqual([504, expect.stringMatching(/upstream call timeout/)]);
    });
  });
}
