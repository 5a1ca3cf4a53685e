/** Traces of a whole gateway, as a collector receives them. */
import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import { type DecodedSpan, decodeTraces } from '../../support/otlp.ts';
import { type Answer, createStage, type Sent, type Stage, type StageOptions } from '../answers/stage.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';

const yaml = (tracing: string, more = '') => `
frontendPolicies:
  tracing: {host: "collector.lan:4318", ${tracing}}
${more}
binds:
- port: 3000
  listeners:
  - routes:
    - matches: [{path: {pathPrefix: /}}]
      backends:
      - ai:
          groups:
          - providers:
            - {name: first, hostOverride: "first.lan:11434", provider: {openAI: {}}}
          - providers:
            - {name: second, hostOverride: "second.lan:11434", provider: {openAI: {}}}
`;

const answer: Answer = {
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ model: 'llama3.2', usage: { prompt_tokens: 19, completion_tokens: 12 } }),
};
const parent = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, tracestate: 'vendor=1' };
const chatBody = { model: 'llama3.2', messages: [], temperature: 0.5 };

function stageOf(text: string, options: StageOptions & { collector?: Answer } = {}): Stage {
  const { script = () => answer, collector = {} } = options;
  return createStage(text, { ...options, script: (sent) => (isExport(sent) ? collector : script(sent)) });
}

const isExport = (sent: Sent) => sent.url.startsWith('http://collector.lan:4318');

const upstreamCalls = (stage: Stage) => stage.sent.filter((sent) => !isExport(sent));

async function exportsOf(stage: Stage) {
  await stage.observation.flush();
  return stage.sent.filter(isExport).map((sent) => decodeTraces(sent.request.body as Uint8Array));
}

async function spansOf(stage: Stage): Promise<readonly DecodedSpan[]> {
  return (await exportsOf(stage)).flatMap(({ spans }) => spans);
}

describe('a traced request', () => {
  test('is a span of the client’s trace, and its try a span below it, which the upstream is told', async () => {
    const stage = stageOf(yaml(''));
    await stage.clock.advance(1_000);
    await stage.read('/v1/chat/completions', { body: chatBody, headers: parent });
    const [call] = upstreamCalls(stage);
    const [told] = await exportsOf(stage);
    expect(told?.resource).toMatchObject({ 'service.name': 'corral' });
    expect(told?.scope).toBe('corral');
    const [server, client] = told?.spans ?? [];
    expect(told?.spans).toHaveLength(2);
    expect(server).toMatchObject({
      traceId: 'a'.repeat(32),
      parentSpanId: 'b'.repeat(16),
      traceState: 'vendor=1',
      name: 'POST /*',
      kind: 'SPAN_KIND_SERVER',
      startMs: Date.UTC(2026, 0, 1) + 1_000,
      attributes: {
        'http.method': 'POST',
        'http.path': '/v1/chat/completions',
        'http.status': 200,
        'url.scheme': 'http',
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'ollama',
        'gen_ai.request.model': 'llama3.2',
        'gen_ai.response.model': 'llama3.2',
        'gen_ai.usage.input_tokens': 19,
        'gen_ai.usage.output_tokens': 12,
        'gen_ai.request.temperature': 0.5,
        'corral.box': 'first',
      },
    });
    expect(server?.status.code).toBe('STATUS_CODE_UNSET');
    expect(server?.attributes).not.toHaveProperty(['trace.id']);
    expect(client).toMatchObject({
      traceId: 'a'.repeat(32),
      parentSpanId: server?.spanId,
      name: 'chat llama3.2',
      kind: 'SPAN_KIND_CLIENT',
      attributes: { 'server.address': 'first.lan', 'server.port': 11434, 'http.response.status_code': 200 },
    });
    expect(call?.headers.traceparent).toBe(`00-${'a'.repeat(32)}-${client?.spanId}-01`);
    expect(call?.headers.tracestate).toBe('vendor=1');
    expect(stage.lines[0]).toContain(`trace.id=${'a'.repeat(32)} span.id=${server?.spanId}`);
  });

  test('each try has its own span; what went wrong is said', async () => {
    const stage = stageOf(yaml(''), {
      script: (sent) => (sent.url.includes('first') ? new GatewayError('upstream_refused', 'refused') : answer),
    });
    await stage.read('/v1/chat/completions', { body: chatBody, headers: parent });
    const [server, first, second] = await spansOf(stage);
    expect([first?.attributes['corral.box'], second?.attributes['corral.box']]).toEqual(['first', 'second']);
    expect(first).toMatchObject({
      status: { code: 'STATUS_CODE_ERROR', message: 'refused' },
      attributes: { 'error.type': 'upstream_refused' },
    });
    expect(second?.status.code).toBe('STATUS_CODE_UNSET');
    expect(first?.spanId).not.toBe(second?.spanId);
    expect(server?.attributes).toMatchObject({ 'retry.attempt': 1, 'http.status': 200 });
    const headers = upstreamCalls(stage).map((sent) => sent.headers.traceparent);
    expect(headers).toEqual([first, second].map((span) => `00-${'a'.repeat(32)}-${span?.spanId}-01`));
  });

  test('a stream’s span ends with its last byte; a broken one has failed', async () => {
    const sse = { 'content-type': 'text/event-stream' };
    const stage = stageOf(yaml(''), { script: () => ({ headers: sse, body: ['data: {}\n\n'], ends: 'broken' }) });
    const response = await stage.ask('/v1/chat/completions', { body: { ...chatBody, stream: true }, headers: parent });
    await stage.clock.advance(500);
    await response.text();
    const [server, client] = await spansOf(stage);
    expect((server?.endMs ?? 0) - (server?.startMs ?? 0)).toBe(500);
    expect(client?.endMs).toBe(server?.endMs);
    expect(server?.status).toMatchObject({ code: 'STATUS_CODE_ERROR', message: expect.stringMatching(/broke off/) });
  });

  test('calls of policies are spans, too', async () => {
    const stage = stageOf(yaml(''));
    const exchange = fakeExchange({ headers: parent, nowMs: 1_000 });
    exchange.trace = stage.observation.startTrace?.(exchange);
    stage.observation.telemetry.upstreamCall('Guardrail', 0.25, exchange);
    stage.observation.telemetry.upstreamCall('ExtAuthz', 0.25);
    stage.observation.observe(exchange, 1_500);
    const [server, guard, ...more] = await spansOf(stage);
    expect(guard).toMatchObject({ name: 'Guardrail', kind: 'SPAN_KIND_CLIENT', parentSpanId: server?.spanId });
    expect([guard?.startMs, guard?.endMs].map((ms) => (ms ?? 0) - (server?.startMs ?? 0))).toEqual([750, 1_000]);
    expect(more).toEqual([]);
  });
});

describe('which requests are traced', () => {
  const isTracedWith = async (tracing: string, headers: Record<string, string>) => {
    const stage = stageOf(yaml(tracing));
    await stage.read('/v1/chat/completions', { body: chatBody, headers });
    return (await spansOf(stage)).length > 0;
  };

  test.each([
    ['nothing said: those that come with a sampled trace', '', parent, true],
    ['nothing said: none that comes without a trace', '', {}, false],
    [
      'a trace that its client did not sample is left alone',
      'clientSampling: true',
      { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00` },
      false,
    ],
    ['no trace of clients', 'clientSampling: false', parent, false],
    ['all', 'randomSampling: true', {}, true],
    ['as text', 'randomSampling: "true"', {}, true],
    ['none', 'randomSampling: 0', {}, false],
    ['an expression that holds', `randomSampling: 'request.path.startsWith("/v1")'`, {}, true],
    ['an expression that does not', `randomSampling: 'request.path == "/"'`, {}, false],
    ['an expression that fails', `randomSampling: 'jwt.sub == "x"'`, {}, false],
    ['an expression that gives a part', `randomSampling: '1.0'`, {}, true],
    ['a filter that keeps', `randomSampling: true, filter: 'response.code == 200'`, {}, true],
    ['a filter that does not', `randomSampling: true, filter: 'response.code != 200'`, {}, false],
    ['no valid traceparent: as without one', 'randomSampling: true', { traceparent: '00-zz' }, true],
  ])('%s', async (_, tracing, headers, isTraced) => {
    expect(await isTracedWith(tracing, headers as Record<string, string>)).toBe(isTraced);
  });

  test('one that is not traced keeps its own traceparent, and tells the collector nothing', async () => {
    const stage = stageOf(yaml('clientSampling: false'));
    await stage.read('/v1/chat/completions', { body: chatBody, headers: parent });
    expect(upstreamCalls(stage)[0]?.headers.traceparent).toBe(parent.traceparent);
    expect(stage.lines[0]).not.toContain('trace.id');
    expect(stage.sent.filter(isExport)).toEqual([]);
  });

  test('without tracing nothing is begun', async () => {
    const stage = createStage(yaml('').replace(/frontendPolicies:\n.*\n/, ''), { script: () => answer });
    expect(stage.observation.startTrace).toBeUndefined();
  });
});

test('attributes and resources that are added, attributes that are removed, who is asking', async () => {
  const stage = stageOf(
    yaml(
      `randomSampling: true, attributes: {tier: '"gold"', tokens: 'llm.totalTokens', nope: jwt.sub}, resources: {service.name: '"my-corral"', zone: '"eu"'}, remove: [http.path, tier]`,
      `config: {standardAttributes: {user: 'request.headers["x-user"]'}}`,
    ),
  );
  await stage.read('/v1/chat/completions', { body: chatBody, headers: { 'x-user': 'alice', authorization: 'Bearer sk-secret' } });
  const [told] = await exportsOf(stage);
  expect(told?.resource).toMatchObject({ 'service.name': 'my-corral', zone: 'eu' });
  const [server] = told?.spans ?? [];
  expect(server?.attributes).toMatchObject({ tier: 'gold', tokens: 31, 'agentgateway.user': 'alice' });
  expect(server?.attributes).not.toHaveProperty(['http.path']);
  expect(server?.attributes).not.toHaveProperty(['nope']);
  expect(JSON.stringify(told)).not.toContain('sk-secret');
});

describe('sending', () => {
  test('the deprecated place: endpoint with its path, headers, fields', async () => {
    const text = yaml('').replace(
      /frontendPolicies:\n.*\n/,
      `config:
  tracing:
    otlpEndpoint: http://collector.lan:4317/otel
    headers: {Authorization: Bearer collector-key}
    randomSampling: "1"
    fields: {add: {a: '"b"'}, remove: [gateway]}
`,
    );
    const stage = stageOf(text);
    expect(stage.plan.warnings).toEqual([expect.stringMatching(/^config\.tracing\.otlpEndpoint: .*collector\.lan:4318/)]);
    await stage.read('/v1/chat/completions', { body: chatBody });
    await stage.observation.flush();
    const sent = stage.sent.find(isExport);
    expect(sent?.url).toBe('http://collector.lan:4318/otel/v1/traces');
    expect(sent?.headers).toMatchObject({ authorization: 'Bearer collector-key', 'content-type': 'application/x-protobuf' });
    const [server] = await spansOf(stage);
    expect(server?.attributes).toMatchObject({ a: 'b' });
    expect(server?.attributes).not.toHaveProperty('gateway');
  });

  test('in batches, a second apart', async () => {
    const stage = stageOf(yaml('randomSampling: true'));
    for (let count = 0; count < 5; count++) await stage.read('/v1/chat/completions', { body: chatBody });
    expect(stage.sent.filter(isExport)).toHaveLength(0);
    await stage.clock.advance(1_000);
    await expect.poll(() => stage.sent.filter(isExport).length).toBe(1);
    expect(await spansOf(stage)).toHaveLength(10);
  });

  test('at once and for each request by itself, kept alive by it, where nothing runs between requests', async () => {
    const stage = stageOf(yaml('randomSampling: true'), { hasBackground: false });
    const awaited: Promise<unknown>[] = [];
    const peer = { port: 3000, address: () => '127.0.0.1', onGone: () => undefined, leave: () => undefined };
    await stage.read('/v1/chat/completions', { body: chatBody, client: { ...peer, waitUntil: (work) => awaited.push(work) } });
    await Promise.all(awaited);
    expect(stage.sent.filter(isExport)).toHaveLength(1);
  });

  test('a collector that refuses or is gone: said once a minute, and the answers go on', async () => {
    const stage = stageOf(yaml('randomSampling: true'), { collector: { status: 400 } });
    for (let count = 0; count < 3; count++) {
      await stage.read('/v1/chat/completions', { body: chatBody });
      await stage.observation.flush();
    }
    expect(stage.reports).toEqual(['warn traces: 2 spans were lost: collector.lan:4318/v1/traces answered 400']);
    await stage.clock.advance(60_000);
    await stage.read('/v1/chat/completions', { body: chatBody });
    await stage.observation.flush();
    expect(stage.reports[1]).toBe('warn traces: 6 spans were lost: collector.lan:4318/v1/traces answered 400');
  });
});
