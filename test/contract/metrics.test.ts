/** What Prometheus's own tool says of the metrics' text (Debian package prometheus). */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createMetrics } from '../../src/observe/metrics.ts';
import { createStage } from '../unit/answers/stage.ts';

const hasPromtool = spawnSync('promtool', ['--version']).error === undefined;
const isCi = process.env.CI !== undefined && process.env.CI !== '';

/** A gateway that has seen something of everything. */
async function textAfterTraffic(): Promise<string> {
  const usage = { prompt_tokens: 9, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 4 } };
  const json = { 'content-type': 'application/json' };
  const event = (data: object) => `data: ${JSON.stringify(data)}\n\n`;
  const stage = createStage(
    `config: {metrics: {fields: {add: {user_id: 'request.headers["x-user"]'}}}}
llm: {port: 3000, models: [{name: "*", provider: ollama}]}`,
    {
      script: ({ text = '' }) => {
        if (text.includes('broken'))
          return { headers: { 'content-type': 'text/event-stream' }, body: event({ model: 'm' }), ends: 'broken' };
        if (text.includes('"stream":true'))
          return {
            headers: { 'content-type': 'text/event-stream' },
            body: [event({ model: 'm', usage, choices: [] }), 'data: [DONE]\n\n'],
          };
        return { headers: json, body: JSON.stringify({ model: 'quote"slash\\', usage }) };
      },
    },
  );
  for (const body of [{ model: 'm' }, { model: 'm', stream: true }, { model: 'broken', stream: true }, { model: '"\\\u0000' }]) {
    await stage.read('/v1/chat/completions', { body: { messages: [], ...body }, headers: { 'x-user': 'a"b\\c' } });
  }
  await stage.read('/v1/chat/completions', { body: '{' });
  const { telemetry, metrics } = stage.observation;
  // With one box there is nothing to predict.
  for (const { exchange, endedMs } of stage.told) {
    const attempts = exchange.attempts.map((attempt) => ({ ...attempt, predictedMs: 5 }));
    if (exchange.call?.isStream === true) stage.observation.observe({ ...exchange, attempts }, endedMs);
  }
  telemetry.guardCheck('Response', 'Reject');
  telemetry.upstreamCall('ExtAuthz', 0.01);
  telemetry.retryRefused?.();
  telemetry.promptTruncated?.('m', 'desk');
  telemetry.queueWait?.('desk', 1.5);
  telemetry.queueRejected?.('desk', 'full');
  return metrics.text({
    driftingModels: 1,
    version: '1.0.0',
    inFlight: 1,
    boxes: [{ name: 'desk', isAlive: true, waiting: 2 }],
    reloads: { succeeded: 1, failed: 1, isSynchronized: true },
  });
}

function checked(text: string): { status: number | null; words: string } {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  return { status, words: `${stdout}${stderr}`.trim() };
}

test('promtool is there where CI runs', () => {
  expect(hasPromtool || !isCi, 'promtool is missing: apt-get install prometheus').toBe(true);
});

test.skipIf(!hasPromtool)(
  `promtool has nothing to say against /metrics${hasPromtool ? '' : ' [not here: promtool is missing; apt-get install prometheus]'}`,
  async () => {
    const text = await textAfterTraffic();
    expect(text).toContain('corral_estimated_tokens_total');
    expect(checked(text)).toEqual({ status: 0, words: '' });
    const fresh = createMetrics({ removed: [], added: [] }).text({
      version: '1',
      inFlight: 0,
      boxes: [],
      reloads: { succeeded: 0, failed: 0, isSynchronized: true },
    });
    expect(checked(fresh)).toEqual({ status: 0, words: '' });
    // The tool does find faults: this is one.
    expect(checked(text.replaceAll('corral_warnings_total', 'corral_warnings'))).toMatchObject({ status: 3 });
  },
);

test('docs/telemetry.md tells of every metric, and of none that is not there', async () => {
  const text = await textAfterTraffic();
  const document = readFileSync(new URL('../../docs/telemetry.md', import.meta.url), 'utf8');
  const told = [...document.matchAll(/^\| `((?:agentgateway|corral)_\w+)` \|/gm)].map(([, name]) => name);
  const there = [...text.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name);
  // These need what the traffic above has not: more label values than there is room for, a second upstream.
  const rare = ['corral_metric_overflow_total', 'agentgateway_retries_total'];
  expect(told.sort()).toEqual([...there, ...rare].sort());
});
