/** Metrics, traces, the log that the configuration shapes, and what is in force (issue 4: "Telemetry that the configuration names"). */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished } from 'vitest';
import { decodeTraces } from '../support/otlp.ts';
import { requestBytes } from '../support/raw-client.ts';
import type { RunningCorral } from '../support/runtimes/index.ts';
import { ask, chat, hello, herdOf, inferencesOf, logLine, type Stage, until, untilListed } from './stage.ts';

const token = { authorization: 'Bearer admin-token' };
const usage = 'agentgateway_gen_ai_client_token_usage_sum';

export function telemetry(stage: Stage): void {
  describe('telemetry', () => {
    /** A Corral with an admin address of its own. */
    const observed = async (yaml: (address: object) => object): Promise<{ corral: RunningCorral; admin: string }> => {
      const port = await stage.closedPort();
      await port.release();
      const address = stage.runtime === 'workerd' ? {} : { adminAddr: `127.0.0.1:${port.port}` };
      const corral = await stage.corral({ yaml: yaml(address), env: { CORRAL_ADMIN_TOKEN: 'admin-token' } });
      return { corral, admin: await until('the admin address', () => corral.adminUrl) };
    };

    stage.it('metrics: tokens are those that the box sent, in every protocol, streamed or not', async () => {
      const box = await stage.box({ models: ['llama3.2'] });
      const { corral, admin } = await observed((address) => herdOf([{ name: 'desk', at: box.port }], { config: address }));
      await untilListed(corral.url, ['llama3.2:latest']);
      const model = 'llama3.2';
      const calls: readonly (readonly [path: string, body: object])[] = [
        ['/v1/chat/completions', { messages: hello }],
        ['/v1/chat/completions', { messages: hello, stream: true }],
        ['/v1/completions', { prompt: 'x' }],
        // The one stream whose usage Corral does not ask for by itself: boxes then put a zero usage into every chunk.
        ['/v1/completions', { prompt: 'x', stream: true, stream_options: { include_usage: true } }],
        ['/v1/responses', { input: 'x' }],
        ['/v1/responses', { input: 'x', stream: true }],
        ['/v1/messages', { messages: hello, max_tokens: 50 }],
        ['/v1/messages', { messages: hello, max_tokens: 50, stream: true }],
        ['/api/chat', { messages: hello }],
        ['/api/chat', { messages: hello, stream: false }],
        ['/api/generate', { prompt: 'x' }],
        ['/api/generate', { prompt: 'x', stream: false }],
      ];
      for (const [path, body] of calls) expect((await ask(corral.url + path, { body: { model, ...body } })).status).toBe(200);
      // What ends with the last byte may be counted a moment after the client has read it.
      const samples = await scrapedUntil(
        admin,
        (seen) => seen.sum('corral_outcomes_total', 'outcome="completed"') >= calls.length,
      );
      expect(samples.sum(usage, 'gen_ai_token_type="input"', 'gen_ai_system="ollama"')).toBe(19 * calls.length);
      expect(samples.sum(usage, 'gen_ai_token_type="output"', 'gen_ai_request_model="llama3.2"')).toBe(12 * calls.length);
      expect(samples.sum('agentgateway_gen_ai_server_time_to_first_token_count')).toBe(6);
      expect(samples.sum('agentgateway_requests_total', 'backend="desk"', 'status="200"', 'reason="Upstream"')).toBe(
        calls.length,
      );
      expect(samples.sum('corral_box_up', 'box="desk"')).toBe(1);
      expect(samples.sum('agentgateway_config_synchronized')).toBe(1);
      expect(samples.sum('corral_estimated_tokens_total')).toBe(0);
      const stats = await ask(`${admin}/stats/prometheus`, { headers: token });
      expect(stats.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    });

    stage.it('metrics: failures, broken and abandoned streams are counted, their tokens estimated and kept apart', async () => {
      const box = await stage.box({ models: [{ name: 'llama3.2', resident: true }] });
      const { corral, admin } = await observed((address) => herdOf([{ name: 'desk', at: box.port }], { config: address }));
      await untilListed(corral.url, ['llama3.2:latest']);
      box.set({ crashAfterTokens: 5, times: 1 });
      await chat(corral.url, { stream: true });
      box.clear();
      expect((await chat(corral.url, { model: 'nope' })).status).toBe(404);
      box.set({ tokensPerSecond: 10 });
      const client = await stage.raw(corral.url);
      const body = JSON.stringify({ model: 'llama3.2', messages: hello, stream: true });
      await client.send(requestBytes({ path: '/v1/chat/completions', body }));
      await client.until('clever');
      client.reset();
      const samples = await scrapedUntil(admin, (seen) => seen.sum('corral_outcomes_total', 'outcome="abandoned"') === 1);
      expect(samples.sum('corral_outcomes_total', 'outcome="broken"')).toBe(1);
      expect(samples.sum('agentgateway_requests_total', 'status="200"', 'reason="UpstreamFailure"')).toBe(1);
      expect(samples.sum('agentgateway_requests_total', 'status="404"', 'reason="NotFound"')).toBe(1);
      expect(samples.sum('corral_estimated_tokens_total')).toBeGreaterThanOrEqual(8);
      expect(samples.sum(usage)).toBe(0);
    });

    stage.it(
      'metrics at a port of their own, for whoever reaches it',
      async () => {
        const box = await stage.box();
        const port = await stage.closedPort();
        await port.release();
        const config = { statsAddr: `127.0.0.1:${port.port}` };
        const corral = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }], { config }) });
        await chat(corral.url);
        const url = `http://127.0.0.1:${port.port}`;
        const reply = await until('the stats port', () => ask(`${url}/metrics`));
        expect(reply.text).toContain('agentgateway_requests_total{');
        expect((await ask(`${url}/config_dump`)).status).toBe(404);
      },
      { workerd: 'a Worker has no ports' },
    );

    stage.it('traces: the client’s trace goes on, the upstream is told, a collector gets the spans', async () => {
      const box = await stage.box();
      const collector = await openCollector();
      const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
      const corral = await stage.corral({
        yaml: herdOf([{ name: 'desk', at: box.port }], {
          frontendPolicies: { tracing: { host: `127.0.0.1:${collector.port}`, attributes: { tier: '"gold"' } } },
        }),
      });
      const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;
      expect((await chat(corral.url, {}, { traceparent })).status).toBe(200);
      const spans = await until('spans', () => collector.spans.length >= 2 && collector.spans);
      const server = spans.find(({ kind }) => kind === 'SPAN_KIND_SERVER');
      const call = spans.find(({ kind }) => kind === 'SPAN_KIND_CLIENT');
      expect(server).toMatchObject({
        traceId,
        parentSpanId: '00f067aa0ba902b7',
        attributes: {
          tier: 'gold',
          'http.status': 200,
          'gen_ai.operation.name': 'chat',
          'gen_ai.usage.input_tokens': 19,
          'gen_ai.usage.output_tokens': 12,
        },
      });
      expect(call).toMatchObject({ traceId, parentSpanId: server?.spanId });
      const [request] = inferencesOf(box);
      expect(request?.headers.find(([name]) => name.toLowerCase() === 'traceparent')?.[1]).toBe(
        `00-${traceId}-${call?.spanId}-01`,
      );
      // Not sampled by its client, and without a trace: neither is traced.
      await chat(corral.url, {}, { traceparent: traceparent.replace(/1$/, '0') });
      await chat(corral.url);
      await chat(corral.url, {}, { traceparent: traceparent.replace(traceId, 'f'.repeat(32)) });
      await until('the last spans', () => collector.spans.some((span) => span.traceId === 'f'.repeat(32)));
      expect(collector.spans.filter((span) => span.traceId !== 'f'.repeat(32))).toHaveLength(2);
    });

    stage.it(
      'config_dump: the configuration, the plan, the boxes; no secret, and no one without the token from afar',
      async () => {
        const box = await stage.box();
        const { corral, admin } = await observed((address) =>
          herdOf([{ name: 'desk', at: box.port }], {
            config: address,
            policies: { apiKey: { keys: [{ key: 'sk-secret-key', metadata: { user: 'alice' } }] } },
          }),
        );
        await until('an answer', async () => (await chat(corral.url, {}, { 'x-api-key': 'sk-secret-key' })).status === 200);
        const dump = await ask(`${admin}/config_dump`, { headers: token });
        expect(dump.status).toBe(200);
        expect(dump.text).not.toMatch(/sk-secret-key|admin-token/);
        expect(dump.json()).toMatchObject({
          config: { binds: [{ port: 3000 }] },
          binds: [{ port: 3000, listeners: [{ routes: [{ policies: ['apiKey'], backend: { kind: 'ai' } }] }] }],
          boxes: [{ name: 'desk' }],
        });
        expect(dump.text).toContain('alice');
        if (stage.runtime === 'workerd') expect((await ask(`${admin}/config_dump`)).status).toBe(401);
      },
    );

    stage.it('the log: filter, added and removed fields, what was asked and said only where a field asks for it', async () => {
      const box = await stage.box();
      const corral = await stage.corral({
        yaml: herdOf([{ name: 'desk', at: box.port }], {
          frontendPolicies: {
            accessLog: {
              filter: 'request.path != "/api/version"',
              add: { asked: 'llm.prompt[0].content', said: 'llm.completion[0]', key: 'request.headers["x-mine"]' },
              remove: ['http.host'],
            },
          },
          config: { sensitiveHeaders: ['X-Mine'] },
        }),
      });
      await ask(`${corral.url}/api/version`);
      await chat(corral.url, { stream: true }, { 'x-mine': 'nobody-sees-this' });
      const line = await logLine(corral, (each) => each['http.path'] === '/v1/chat/completions');
      expect(line).toMatchObject({ asked: 'Hello', said: expect.stringMatching(/^was very clever/), key: '<redacted>' });
      expect(line).not.toHaveProperty(['http.host']);
      expect(`${corral.stdout()}${corral.stderr()}`).not.toMatch(/\/api\/version|nobody-sees-this/);
    });
  });
}

class Samples {
  readonly #lines: readonly string[];

  constructor(text: string) {
    this.#lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  }

  /** Of the samples of this name whose labels hold all of these texts. */
  sum(name: string, ...labels: readonly string[]): number {
    return this.#lines
      .filter(
        (line) => (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && labels.every((label) => line.includes(label)),
      )
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }
}

function scrapedUntil(admin: string, isThere: (samples: Samples) => boolean): Promise<Samples> {
  return until('the metrics', async () => {
    const samples = new Samples((await ask(`${admin}/metrics`, { headers: token })).text);
    return isThere(samples) && samples;
  });
}

/** Takes OTLP over HTTP, as a collector does. */
async function openCollector() {
  const spans: ReturnType<typeof decodeTraces>['spans'][number][] = [];
  const server = createServer(async (request, response) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk);
    if (request.url === '/v1/traces') spans.push(...decodeTraces(Buffer.concat(chunks)).spans);
    response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { port: (server.address() as AddressInfo).port, spans };
}
