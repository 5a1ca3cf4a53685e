import { describe, expect, test } from 'vitest';
import { compileCel } from '../../../src/cel/compile-cel.ts';
import { errorTable, GatewayError } from '../../../src/errors.ts';
import type { Exchange } from '../../../src/exchange.ts';
import { createMetrics, type LiveFacts } from '../../../src/observe/metrics.ts';
import { reasonOf } from '../../../src/observe/reasons.ts';
import { openaiChat } from '../../../src/protocols/openai-chat.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';

const facts: LiveFacts = {
  version: '1.2.3',
  inFlight: 4,
  boxes: [
    { name: 'desk', isAlive: true },
    { name: 'attic', isAlive: false, tripped: [1, 2] },
    { name: 'new', isAlive: undefined },
  ],
  reloads: { succeeded: 2, failed: 1, isSynchronized: false },
};

const upstream = { name: 'desk', baseUrl: 'http://desk:11434', kind: 'box', tls: undefined } as const;

function exchangeWith(given: Partial<Exchange>): Exchange {
  return Object.assign(
    fakeExchange({ method: 'POST', path: '/v1/chat/completions' }),
    { status: 200, outcome: 'completed' },
    given,
  );
}

function linesOf(metrics: ReturnType<typeof createMetrics>, start: string): string[] {
  return metrics
    .text(facts)
    .split('\n')
    .filter((line) => line.startsWith(start));
}

test('what is true when somebody asks', () => {
  const metrics = createMetrics({ removed: [], added: [] });
  const lines = metrics.text(facts).split('\n');
  for (const line of [
    'agentgateway_build_info{tag="corral-1.2.3"} 1',
    'agentgateway_config_synchronized 0',
    'corral_reload_total{result="failed"} 1',
    'corral_reload_total{result="succeeded"} 2',
    'corral_in_flight 4',
    'corral_box_up{box="desk"} 1',
    'corral_box_up{box="attic"} 0',
    'corral_breaker_open{box="desk"} 0',
    'corral_breaker_open{box="attic"} 2',
  ]) {
    expect(lines).toContain(line);
  }
  expect(lines.filter((line) => line.includes('"new"'))).toEqual([]);
});

describe('an exchange', () => {
  test('times: of the whole, before the first try, of each try', () => {
    const metrics = createMetrics({ removed: [], added: [] });
    const attempts = [
      { upstream, startedMs: 2, answeredMs: 12, status: undefined, error: new GatewayError('upstream_refused', 'x') },
      { upstream, startedMs: 20, answeredMs: 520, status: 200, error: undefined },
    ];
    metrics.observe(exchangeWith({ protocol: openaiChat, attempts }), 1_000);
    expect(linesOf(metrics, 'agentgateway_request_duration_seconds_sum')[0]).toMatch(/ 1$/);
    expect(linesOf(metrics, 'agentgateway_request_processing_seconds_sum')[0]).toMatch(/ 0\.002$/);
    expect(linesOf(metrics, 'agentgateway_upstream_call_duration_seconds_sum{kind="Primary",subtype="Llm"}')[0]).toMatch(
      / 0\.51$/,
    );
    expect(linesOf(metrics, 'agentgateway_upstream_call_duration_seconds_count{kind="Primary",subtype="Llm"}')[0]).toMatch(/ 2$/);
    expect(linesOf(metrics, 'agentgateway_retries_total')[0]).toMatch(/ 1$/);
  });

  const like = {
    protocol: openaiChat,
    requestModel: 'm',
    responseModel: 'm',
    gatewayName: 'g',
    listenerName: 'l',
    routeName: 'r',
  };
  const tried = (name: string) => ({
    attempts: [{ upstream: { ...upstream, name }, startedMs: 0, status: 200, error: undefined }],
  });
  test.each<[string, Partial<Exchange>]>([
    ['upstream', tried('attic')],
    ['no upstream', { attempts: [] }],
    ['box that was waited for', { attempts: [], wait: { for: 'slot', boxName: 'attic', position: 1 } }],
    ['protocol', { protocol: undefined }],
    ['method', { method: 'GET' }],
    ['status', { status: 404 }],
    ['error', { error: new GatewayError('upstream_timeout', 'x') }],
    ['outcome', { outcome: 'abandoned' }],
    ['port', { peer: { port: 4, address: () => undefined, onGone: () => undefined, waitUntil: () => undefined } }],
    ['gateway', { gatewayName: 'other' }],
    ['listener', { listenerName: 'other' }],
    ['route', { routeName: 'other' }],
    ['answered model', { responseModel: 'other' }],
    ['asked model', { requestModel: 'other' }],
  ])('one that differs from the one before in its %s counts elsewhere, in some series', (_, difference) => {
    const seriesAfter = (second: Partial<Exchange>) => {
      const metrics = createMetrics({ removed: [], added: [] });
      const first = { ...like, ...tried('desk') };
      metrics.observe(exchangeWith(first), 1);
      metrics.observe(exchangeWith({ ...first, ...second }), 1);
      metrics.observe(exchangeWith(first), 1);
      return metrics
        .text(facts)
        .split('\n')
        .filter((line) => /_(?:total|count)\{/.test(line))
        .map((line) => line.slice(0, line.lastIndexOf(' ')));
    };
    expect(seriesAfter(difference).length).toBeGreaterThan(seriesAfter({}).length);
  });

  test('a client that left while it waited counts for the box at which it did', () => {
    const metrics = createMetrics({ removed: [], added: [] });
    const gone = { ...like, status: 499, outcome: 'abandoned' as const };
    for (const boxName of ['desk', 'attic', 'desk'])
      metrics.observe(exchangeWith({ ...gone, attempts: [], wait: { for: 'slot', boxName, position: 1 } }), 1);
    metrics.observe(exchangeWith({ ...gone, attempts: [] }), 1);
    // It was waited for at last, and another one asked before.
    metrics.observe(exchangeWith({ ...gone, ...tried('desk'), wait: { for: 'load', boxName: 'attic', position: 0 } }), 1);
    const counted = linesOf(metrics, 'agentgateway_requests_total').map((line) => [
      /backend="([^"]*)"/.exec(line)?.[1],
      line.slice(line.lastIndexOf(' ') + 1),
    ]);
    expect(counted).toEqual([
      ['desk', '2'],
      ['attic', '1'],
      ['unknown', '1'],
      ['desk', '1'],
    ]);
  });

  test('models that nobody serves, and methods that nobody knows, are no series of their own', () => {
    const metrics = createMetrics({ removed: [], added: [] });
    const attempts = [{ upstream, startedMs: 0, answeredMs: 1, status: 404, error: undefined }];
    for (let count = 0; count < 100; count++)
      metrics.observe(
        exchangeWith({ protocol: openaiChat, attempts, status: 404, requestModel: `made-up-${count}`, method: `M${count}` }),
        1,
      );
    expect(linesOf(metrics, 'agentgateway_gen_ai_server_request_duration_count')).toEqual([
      expect.stringMatching(/gen_ai_request_model="unknown".* 100$/),
    ]);
    expect(linesOf(metrics, 'agentgateway_requests_total')).toEqual([expect.stringMatching(/method="other".* 100$/)]);
  });

  test('however many names clients make up: 2000 series of a metric and one for the rest, and it is told', () => {
    const metrics = createMetrics({ removed: [], added: [{ name: 'who', value: compileCel('request.headers["x-who"]') }] });
    for (let count = 0; count < 6_000; count++) {
      const exchange = exchangeWith({});
      exchange.headers = new Headers({ 'x-who': `user-${count}` });
      metrics.observe(exchange, 1);
    }
    const requests = linesOf(metrics, 'agentgateway_requests_total');
    expect(requests).toHaveLength(2_001);
    expect(requests.filter((line) => line.includes('who="other"'))).toEqual([expect.stringMatching(/ 4000$/)]);
    expect(linesOf(metrics, 'corral_metric_overflow_total{metric="agentgateway_requests_total"}')[0]).toMatch(/ 4000$/);
  });

  test('no two exchanges with different labels share a series, whatever names they make up', () => {
    const metrics = createMetrics({ removed: [], added: [] });
    const attempts = [{ upstream, startedMs: 0, answeredMs: 1, status: 200, error: undefined }];
    const observe = (requestModel: string, responseModel: string) =>
      metrics.observe(exchangeWith({ protocol: openaiChat, attempts, requestModel, responseModel }), 1);
    observe('b', 'a');
    observe('b\0a', '');
    observe('x'.repeat(500), 'a');
    expect(linesOf(metrics, 'agentgateway_gen_ai_server_request_duration_count')).toHaveLength(3);
  });

  test('guards, calls of policies, warnings, refused retries', () => {
    const metrics = createMetrics({ removed: [], added: [] });
    metrics.guardCheck('Request', 'Mask');
    metrics.upstreamCall('Guardrail', 0.2);
    metrics.upstreamCall('Mirror', 0.2);
    metrics.retryRefused?.();
    metrics.observe(exchangeWith({ warnings: ['one', 'two'] }), 1);
    const text = metrics.text(facts);
    for (const line of [
      'agentgateway_guardrail_checks_total{phase="Request",action="Mask"} 1',
      'agentgateway_upstream_call_duration_seconds_count{kind="Policy",subtype="Guardrail"} 1',
      'agentgateway_upstream_call_duration_seconds_count{kind="Mirror",subtype="Http"} 1',
      'corral_retries_refused_total 1',
      'corral_warnings_total 2',
    ]) {
      expect(text).toContain(`${line}\n`);
    }
  });
});

test('every error has one of agentgateway’s reasons', () => {
  const reasons = new Set(
    Object.keys(errorTable).map((code) =>
      reasonOf(exchangeWith({ error: new GatewayError(code as keyof typeof errorTable, 'x') })),
    ),
  );
  expect([...reasons].sort()).toEqual([
    'APIKeyAuth',
    'Authorization',
    'BasicAuth',
    'ExtAuth',
    'Guardrail',
    'Internal',
    'InvalidRequest',
    'JwtAuth',
    'NoHealthyBackend',
    'NotFound',
    'RateLimit',
    'Timeout',
    'UpstreamFailure',
  ]);
  expect(reasonOf(exchangeWith({}))).toBe('DirectResponse');
});
