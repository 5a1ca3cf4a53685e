/** The access log (issue: "Access log"): one line per request at its last byte, agentgateway's names, no prompt and no credential. */
import { describe, expect } from 'vitest';
import { requestBytes } from '../support/raw-client.ts';
import { ask, chat, hello, herdOf, isPath, logLine, logOf, type Stage, until, untilListed } from './stage.ts';

const prompt = 'PROMPT-THAT-NOBODY-MAY-SEE';

export function log(stage: Stage): void {
  describe('access log', () => {
    stage.it('JSON: the fields of a chat, a stream, an error; usage exact', async () => {
      const box = await stage.box({ models: ['llama3.2'] });
      const corral = await stage.corral({
        yaml: herdOf([{ name: 'desk', at: box.port, model: 'llama3.2' }], {
          policies: { apiKey: { keys: [{ key: 'sk-secret-1', metadata: { user: 'alice' } }] } },
        }),
        locked: true,
      });
      const headers = { authorization: 'Bearer sk-secret-1' };
      await untilListed(corral.url, ['llama3.2:latest'], headers);
      const messages = [{ role: 'user', content: prompt }];
      await chat(corral.url, { messages }, headers);
      const whole = await logLine(corral, (line) => line['http.path'] === '/v1/chat/completions');
      expect(whole).toMatchObject({
        gateway: expect.any(String),
        listener: expect.any(String),
        route: expect.any(String),
        endpoint: `127.0.0.1:${box.port}`,
        'http.method': 'POST',
        'http.host': '127.0.0.1',
        'http.status': 200,
        protocol: 'llm',
        'gen_ai.operation.name': 'chat',
        'gen_ai.request.model': 'llama3.2',
        'gen_ai.response.model': 'llama3.2',
        'gen_ai.usage.input_tokens': 19,
        'gen_ai.usage.output_tokens': 12,
        'corral.box': 'desk',
        'corral.key': 'alice',
        'corral.outcome': 'completed',
        duration: expect.stringMatching(/^\d+ms$/),
      });
      // On workerd no client has an address.
      expect(whole['src.addr']).toBe(stage.runtime === 'workerd' ? undefined : '127.0.0.1');
      expect(whole['corral.usage.estimated']).toBeUndefined();
      await ask(`${corral.url}/api/chat`, { body: { model: 'llama3.2', messages }, headers });
      expect(await logLine(corral, (line) => line['http.path'] === '/api/chat')).toMatchObject({
        'gen_ai.usage.input_tokens': 19,
        'gen_ai.usage.output_tokens': 12,
        'agw.ai.time_to_first_token': expect.any(Number),
        'agw.ai.time_per_output_token': expect.any(Number),
      });
      for (const [path, body] of [
        ['/v1/messages', { model: 'llama3.2', max_tokens: 50, messages, stream: true }],
        ['/v1/responses', { model: 'llama3.2', input: prompt, stream: true }],
      ] as const) {
        await ask(corral.url + path, { body, headers });
        expect(await logLine(corral, (line) => line['http.path'] === path)).toMatchObject({ 'gen_ai.usage.output_tokens': 12 });
      }
      await chat(corral.url, { model: 'nope', messages }, headers);
      expect(await logLine(corral, (line) => line['http.status'] === 404)).toMatchObject({
        'corral.outcome': 'refused',
        reason: 'model_not_found',
        error: expect.stringMatching(/nope/),
      });
      await ask(`${corral.url}/v1/models?key=x`, {});
      expect(await logLine(corral, (line) => line['http.status'] === 401)).toMatchObject({
        'http.path': '/v1/models',
        reason: 'api_key_missing',
      });
      const output = corral.stdout() + corral.stderr();
      expect(output).not.toContain(prompt);
      expect(output).not.toContain('sk-secret-1');
    });

    stage.it('a stream’s line comes at its last byte, with usage although the client did not ask', async () => {
      const box = await stage.box();
      const corral = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }]) });
      await untilListed(corral.url, ['llama3.2:latest']);
      box.set({ tokensPerSecond: 10 });
      const client = await stage.raw(corral.url);
      await client.send(
        requestBytes({
          path: '/v1/chat/completions',
          body: JSON.stringify({ model: 'llama3.2', messages: hello, stream: true }),
        }),
      );
      await client.until('"content":"was"');
      const isChat = (line: Record<string, unknown>) => line['http.path'] === '/v1/chat/completions';
      expect(logOf(corral).filter(isChat)).toEqual([]);
      await client.until('[DONE]');
      expect(await logLine(corral, isChat)).toMatchObject({
        'gen_ai.usage.input_tokens': 19,
        'gen_ai.usage.output_tokens': 12,
        'corral.outcome': 'completed',
      });
      client.close();
    });

    stage.it('broken and abandoned streams: usage estimated from what was said, and marked so', async () => {
      const box = await stage.box({ models: [{ name: 'llama3.2', resident: true }] });
      const corral = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }]) });
      await untilListed(corral.url, ['llama3.2:latest']);
      for (const [path, body] of [
        ['/v1/chat/completions', { messages: hello, stream: true }],
        ['/api/chat', { messages: hello }],
        ['/v1/messages', { messages: hello, max_tokens: 50, stream: true }],
        ['/v1/responses', { input: 'x', stream: true }],
      ] as const) {
        box.set({ crashAfterTokens: 5, times: 1 });
        await ask(corral.url + path, { body: { model: 'llama3.2', ...body } });
        const line = await logLine(corral, (each) => each['http.path'] === path);
        expect(line).toMatchObject({ 'corral.outcome': 'broken', 'corral.usage.estimated': true, reason: 'broken_stream' });
        expect([path, line['gen_ai.usage.output_tokens']]).toEqual([path, expect.toBeOneOf([5, 6, 7, 8, 9, 10])]);
      }
      box.clear();
      box.set({ tokensPerSecond: 10 });
      const client = await stage.raw(corral.url);
      await client.send(
        requestBytes({ path: '/v1/completions', body: JSON.stringify({ model: 'llama3.2', prompt: 'x', stream: true }) }),
      );
      await client.until('clever');
      client.reset();
      const line = await logLine(corral, (each) => each['http.path'] === '/v1/completions');
      expect(line).toMatchObject({ 'corral.outcome': 'abandoned', 'corral.usage.estimated': true });
      expect(line['gen_ai.usage.output_tokens']).toBeGreaterThanOrEqual(3);
      expect(line['gen_ai.usage.output_tokens']).toBeLessThanOrEqual(12);
    });

    stage.it(
      'a client that leaves before the first byte: one line, abandoned',
      async () => {
        const box = await stage.box({ models: [{ name: 'llama3.2', resident: true }], faults: { startDelayMs: 20_000 } });
        const corral = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }]) });
        await untilListed(corral.url, ['llama3.2:latest']);
        const client = await stage.raw(corral.url);
        await client.send(requestBytes({ path: '/api/chat', body: JSON.stringify({ model: 'llama3.2', messages: hello }) }));
        await box.nextRequest(isPath('/api/chat'));
        client.reset();
        expect(await logLine(corral, (line) => line['http.path'] === '/api/chat')).toMatchObject({
          'corral.outcome': 'abandoned',
          'http.status': 499,
        });
      },
      {
        deno: 'a client that leaves before headers is not seen',
        workerd: 'a client that leaves before headers is seen at the next write only',
      },
    );

    stage.it('text: tab-separated, agentgateway’s names, control characters never reach a terminal', async () => {
      const box = await stage.box();
      const corral = await stage.corral({
        yaml: herdOf([{ name: 'desk', at: box.port }], { config: { logging: { format: 'text' } } }),
      });
      await chat(corral.url, { model: 'x\u001b[31m\ny' });
      await chat(corral.url);
      const lines = await until('two lines', () => {
        const found = `${corral.stdout()}${corral.stderr()}`.split('\n').filter((line) => /\tinfo\trequest /.test(line));
        return found.length >= 2 && found;
      });
      const line = lines.find((each) => each.includes('http.status=200')) ?? '';
      expect(line).toMatch(
        /^\d{4}-\d\d-\d\dT[\d:.]+Z\tinfo\trequest gateway=\S+ listener=\S+ route=\S+ endpoint=127\.0\.0\.1:\d+ (?:src\.addr=127\.0\.0\.1 )?http\.method=POST/,
      );
      expect(line.includes(' src.addr=127.0.0.1 ')).toBe(stage.runtime !== 'workerd');
      expect(line).toMatch(/gen_ai\.usage\.input_tokens=19 gen_ai\.usage\.output_tokens=12/);
      expect(line).toMatch(/duration=\d+ms$/);
      for (const each of lines) expect(each).not.toContain('\u001b');
    });

    stage.it('failover: the box that served, how many tries, the warning', async () => {
      const closed = await stage.closedPort();
      const box = await stage.box();
      const corral = await stage.corral({
        yaml: herdOf(
          [
            { name: 'closed', at: closed.port },
            { name: 'good', at: box.port },
          ],
          { inGroups: true },
        ),
      });
      await chat(corral.url, { n: 2 });
      const line = await logLine(corral, (each) => each['http.path'] === '/v1/chat/completions');
      expect(line).toMatchObject({ 'corral.box': 'good', 'corral.warning': expect.stringMatching(/\bn is not read/) });
    });
  });
}
