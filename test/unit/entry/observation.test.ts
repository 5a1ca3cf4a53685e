/** Metrics, log and traces of a whole gateway: what upstreams sent is what is counted, in every protocol. */
import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import { bodyTextOf, recordingOf } from '../../support/recordings.ts';
import { type Answer, client, createStage, type Stage } from '../answers/stage.ts';

const yaml = (more = '') => `
${more}
binds:
- port: 3000
  listeners:
  - routes:
    - name: chat
      backends:
      - ai:
          name: desk
          hostOverride: desk.lan:11434
          provider:
            openAI: {}
`;

const live = { version: '1', inFlight: 0, boxes: [], reloads: { succeeded: 0, failed: 0, isSynchronized: true } };

/** Samples by name and labels, as a scraper sees them. */
function samplesOf(stage: Stage): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of stage.observation.metrics.text(live).split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const end = line.lastIndexOf(' ');
    samples.set(line.slice(0, end), Number(line.slice(end + 1)));
  }
  return samples;
}

/** The sum of a metric's samples whose labels hold all of these texts. */
function sumOf(stage: Stage, name: string, ...labels: string[]): number {
  let sum = 0;
  for (const [sample, value] of samplesOf(stage)) {
    if ((sample === name || sample.startsWith(`${name}{`)) && labels.every((label) => sample.includes(label))) sum += value;
  }
  return sum;
}

function answerOf(name: string): { path: string; body: object; answer: Answer } {
  const recording = recordingOf(name);
  const headers = Object.fromEntries(
    (recording.response_headers ?? []).filter(([header]) => header.toLowerCase() === 'content-type'),
  );
  return {
    path: recording.request.path,
    body: recording.request.body as object,
    answer: { status: recording.status ?? 200, headers, body: recording.body.map(({ text }) => text) },
  };
}

describe('tokens are those that the boxes told', () => {
  test.each([
    ['chat-stream', 'chat', 19, 12],
    ['chat-nostream', 'chat', 19, 12],
    ['generate-stream', 'text_completion', 19, 12],
    ['generate-nostream', 'text_completion', 19, 12],
    ['v1-chat-stream-usage', 'chat', 19, 12],
    ['v1-chat-nostream', 'chat', 19, 12],
    ['v1-completions', 'text_completion', 19, 12],
    ['v1-completions-stream-usage', 'text_completion', 19, 6],
    ['v1-responses', 'chat', 19, 12],
    ['v1-responses-stream', 'chat', 19, 12],
    ['anthropic-messages', 'chat', 19, 12],
    ['anthropic-messages-stream', 'chat', 19, 12],
    ['embed-array', 'embeddings', 6, 0],
    ['v1-embeddings-array', 'embeddings', 6, 0],
  ])('%s', async (name, operation, input, output) => {
    const { path, body, answer } = answerOf(name);
    const stage = createStage(yaml(), { script: () => answer });
    const { status } = await stage.read(path, { body });
    expect(status).toBe(200);
    const labels = [`gen_ai_operation_name="${operation}"`, 'gen_ai_system="ollama"'];
    const usage = 'agentgateway_gen_ai_client_token_usage_sum';
    expect(sumOf(stage, usage, 'gen_ai_token_type="input"', ...labels)).toBe(input);
    expect(sumOf(stage, usage, 'gen_ai_token_type="output"', ...labels)).toBe(output);
    expect(sumOf(stage, 'agentgateway_gen_ai_server_request_duration_count', ...labels)).toBe(1);
    expect(sumOf(stage, 'corral_estimated_tokens_total')).toBe(0);
    const isStream = name.includes('stream') && !name.includes('nostream');
    expect(sumOf(stage, 'agentgateway_gen_ai_server_time_to_first_token_count', ...labels)).toBe(isStream ? 1 : 0);
    expect(sumOf(stage, 'agentgateway_gen_ai_server_time_per_output_token_count', ...labels)).toBe(isStream ? 1 : 0);
    const bytes = new TextEncoder().encode(bodyTextOf(recordingOf(name))).length;
    expect(sumOf(stage, 'agentgateway_response_bytes_total', 'status="200"')).toBe(bytes);
  });

  test('cached and thought tokens, where the server tells', async () => {
    const usage = {
      prompt_tokens: 100,
      completion_tokens: 20,
      prompt_tokens_details: { cached_tokens: 64 },
      completion_tokens_details: { reasoning_tokens: 15 },
    };
    const answer = { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'm', usage }) };
    const stage = createStage(yaml(), { script: () => answer });
    await stage.read('/v1/chat/completions', { body: { model: 'm', messages: [] } });
    expect(sumOf(stage, 'agentgateway_gen_ai_client_token_usage_sum', 'gen_ai_token_type="input"')).toBe(100);
    expect(sumOf(stage, 'agentgateway_gen_ai_client_token_usage_sum', 'gen_ai_token_type="input_cache_read"')).toBe(64);
    expect(stage.lines[0]).toContain(
      'gen_ai.usage.input_tokens=100 gen_ai.usage.cache_read.input_tokens=64 gen_ai.usage.output_tokens=20 gen_ai.usage.reasoning_tokens=15',
    );
  });

  test('of Anthropic’s: what was read from the cache and written into it is part of the input', async () => {
    const usage = { input_tokens: 5, output_tokens: 7, cache_read_input_tokens: 40, cache_creation_input_tokens: 30 };
    const answer = { headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'm', usage }) };
    const stage = createStage(yaml(), { script: () => answer });
    await stage.read('/v1/messages', { body: { model: 'm', max_tokens: 9, messages: [] } });
    const kinds = ['input', 'output', 'input_cache_read', 'input_cache_write'];
    expect(
      kinds.map((kind) => sumOf(stage, 'agentgateway_gen_ai_client_token_usage_sum', `gen_ai_token_type="${kind}"`)),
    ).toEqual([75, 7, 40, 30]);
  });
});

describe('what does not end well is counted', () => {
  const streamBody = { model: 'llama3.2', messages: [], stream: true };
  const chunk = (text: string) => `data: ${JSON.stringify({ model: 'llama3.2', choices: [{ delta: { content: text } }] })}\n\n`;
  const sse = { 'content-type': 'text/event-stream' };

  test('a broken stream: an outcome and a reason of its own, its tokens estimated and kept apart', async () => {
    const stage = createStage(yaml(), { script: () => ({ headers: sse, body: [chunk('a'), chunk('b')], ends: 'broken' }) });
    await stage.read('/v1/chat/completions', { body: streamBody });
    expect(sumOf(stage, 'agentgateway_requests_total', 'status="200"', 'reason="UpstreamFailure"')).toBe(1);
    expect(sumOf(stage, 'corral_outcomes_total', 'outcome="broken"', 'operation="chat"')).toBe(1);
    expect(sumOf(stage, 'corral_estimated_tokens_total', 'gen_ai_token_type="output"')).toBe(2);
    expect(sumOf(stage, 'agentgateway_gen_ai_client_token_usage_count')).toBe(0);
    expect(sumOf(stage, 'agentgateway_gen_ai_server_time_to_first_token_count')).toBe(1);
  });

  test('an abandoned stream', async () => {
    const stage = createStage(yaml(), { script: () => ({ headers: sse, body: [chunk('a'), chunk('b')], ends: 'silent' }) });
    const response = await stage.ask('/v1/chat/completions', { body: streamBody });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    await reader.cancel();
    expect(sumOf(stage, 'corral_outcomes_total', 'outcome="abandoned"')).toBe(1);
    expect(sumOf(stage, 'agentgateway_requests_total', 'status="200"', 'reason="Upstream"')).toBe(1);
    expect(sumOf(stage, 'corral_estimated_tokens_total')).toBe(1);
  });

  test('a client that left before the first byte', async () => {
    const stage = createStage(yaml(), { script: () => 'never' });
    const leaving = client();
    const asked = stage.ask('/v1/chat/completions', { body: streamBody, client: leaving });
    await stage.clock.settle();
    leaving.leave();
    for (const { abort } of stage.leavings) abort();
    await asked;
    expect(sumOf(stage, 'agentgateway_requests_total', 'status="499"')).toBe(1);
    expect(sumOf(stage, 'corral_outcomes_total', 'outcome="abandoned"')).toBe(1);
  });

  test('an upstream that refuses, a request that is wrong, a path that nobody serves', async () => {
    const stage = createStage(yaml(), { script: () => new GatewayError('upstream_refused', 'refused') });
    await stage.read('/v1/chat/completions', { body: { model: 'm', messages: [] } });
    const { text } = await stage.read('/v1/chat/completions', { body: '{' });
    expect(sumOf(stage, 'agentgateway_response_bytes_total', 'status="400"')).toBe(text.length);
    await stage.read('/api/nobody', {});
    expect(sumOf(stage, 'agentgateway_requests_total', 'backend="desk"', 'status="503"', 'reason="UpstreamFailure"')).toBe(1);
    expect(sumOf(stage, 'agentgateway_requests_total', 'backend="unknown"', 'status="400"', 'reason="InvalidRequest"')).toBe(1);
    expect(sumOf(stage, 'agentgateway_requests_total', 'backend="unknown"', 'status="404"', 'reason="NotFound"')).toBe(1);
    expect(sumOf(stage, 'agentgateway_upstream_call_duration_seconds_count', 'subtype="Llm"')).toBe(1);
    expect(sumOf(stage, 'agentgateway_requests_total')).toBe(3);
  });
});

test('labels: the place in the plan, durations, bytes, and what the configuration adds or takes away', async () => {
  const stage = createStage(
    yaml(
      `config: {metrics: {remove: [response_bytes, agentgateway_retries_total], fields: {add: {agent: 'request.headers["x-agent"]'}}}}`,
    ),
    { script: () => ({ headers: { 'content-type': 'application/json' }, body: '{"model":"m2"}' }) },
  );
  await stage.read('/v1/chat/completions', {
    body: { model: 'm', messages: [] },
    headers: { 'x-agent': 'a"b\\c\nd'.replace('\n', ' ') },
  });
  await stage.read('/v1/chat/completions', { body: { model: 'm', messages: [] } });
  const place = 'bind="bind/3000",gateway="bind/3000",listener="listener0",route="chat",route_rule="unknown"';
  const samples = samplesOf(stage);
  const request = `agentgateway_requests_total{backend="desk",protocol="llm",method="POST",status="200",reason="Upstream",${place}`;
  expect(samples.get(`${request},agent="a\\"b\\\\c d"}`)).toBe(1);
  expect(samples.get(`${request},agent="unknown"}`)).toBe(1);
  const model = `gen_ai_operation_name="chat",gen_ai_system="ollama",gen_ai_request_model="m",gen_ai_response_model="m2",${place}`;
  expect(samples.get(`agentgateway_gen_ai_server_request_duration_count{${model},agent="unknown"}`)).toBe(1);
  expect([...samples.keys()].filter((sample) => /response_bytes|retries_total/.test(sample))).toEqual([]);
});

describe('what the model said, where a field asks for it', () => {
  const asking = `frontendPolicies: {accessLog: {add: {said: 'llm.completion[0]', asked: 'llm.prompt[0].content'}}}`;

  test.each([
    'chat-stream',
    'chat-nostream',
    'generate-stream',
    'generate-nostream',
    'v1-chat-stream-usage',
    'v1-chat-nostream',
    'v1-completions',
    'v1-completions-stream-usage',
    'v1-responses',
    'v1-responses-stream',
    'anthropic-messages',
    'anthropic-messages-stream',
  ])('%s', async (name) => {
    const { path, body, answer } = answerOf(name);
    const stage = createStage(yaml(`config: {logging: {format: json}}\n${asking}`), { script: () => answer });
    await stage.read(path, { body });
    const { said, asked } = JSON.parse(stage.lines[0] ?? '{}');
    // This one was recorded with a limit of 6 tokens.
    expect(said).toBe(
      name === 'v1-completions-stream-usage' ? 'was very clever. He was' : 'was very clever. He was very clever. He was very',
    );
    expect(asked).toEqual(expect.stringMatching(/./));
  });

  test('without one nothing is kept', async () => {
    const { path, body, answer } = answerOf('chat-nostream');
    const stage = createStage(yaml(), { script: () => answer });
    await stage.read(path, { body });
    expect(stage.told[0]?.exchange.completion).toBeUndefined();
    expect(stage.lines[0]).not.toContain('was very clever');
  });

  test('64 KiB of it', async () => {
    const chunk = `data: ${JSON.stringify({ model: 'm', choices: [{ index: 0, delta: { content: 'x'.repeat(10_000) } }] })}\n\n`;
    const script = () => ({
      headers: { 'content-type': 'text/event-stream' },
      body: [...Array(9).fill(chunk), 'data: [DONE]\n\n'],
    });
    const stage = createStage(yaml(asking), { script });
    await stage.read('/v1/chat/completions', { body: { model: 'm', messages: [], stream: true } });
    expect(stage.told[0]?.exchange.completion).toBe('x'.repeat(65_536));
  });

  test('what a guard has masked is masked in the log', async () => {
    const guard = `policies: {ai: {promptGuard: {response: [{regex: {action: mask, rules: [{pattern: "SECRET-[0-9]+"}]}}]}}}`;
    const text = yaml(`config: {logging: {format: json}}\n${asking}`).replace(
      '    - name: chat\n',
      `    - name: chat\n      ${guard}\n`,
    );
    const body = JSON.stringify({
      model: 'm',
      choices: [{ index: 0, message: { role: 'assistant', content: 'it is SECRET-42.' } }],
    });
    const stage = createStage(text, { script: () => ({ headers: { 'content-type': 'application/json' }, body }) });
    await stage.read('/v1/chat/completions', { body: { model: 'm', messages: [{ role: 'user', content: 'hi' }] } });
    expect(stage.lines[0]).not.toContain('SECRET-42');
    expect(JSON.parse(stage.lines[0] ?? '{}').said).toMatch(/^it is /);
  });
});
