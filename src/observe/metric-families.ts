/**
 * The metrics that Corral counts, with agentgateway's names, labels and buckets (crates/agentgateway/src/telemetry/metrics.rs);
 * what only Corral has begins with `corral_`. docs/telemetry.md explains each of them.
 */
import { type Counter, createCounterFamily, createHistogramFamily, type Family, type Histogram } from './series.ts';

const routeLabels = ['bind', 'gateway', 'listener', 'route', 'route_rule'] as const;
const modelLabels = ['gen_ai_operation_name', 'gen_ai_system', 'gen_ai_request_model', 'gen_ai_response_model'] as const;

const requestSeconds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 80];
const processingSeconds = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25];
const generationSeconds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
const perTokenSeconds = [0.001, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];
const firstTokenSeconds = [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
const queueWaitSeconds = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];
const predictionErrors = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const tokens = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864];

export interface Families {
  readonly requests: Family<Counter>;
  readonly requestSeconds: Family<Histogram>;
  readonly processingSeconds: Family<Histogram>;
  readonly responseBytes: Family<Counter>;
  readonly retries: Family<Counter>;
  readonly upstreamCalls: Family<Histogram>;
  readonly tokens: Family<Histogram>;
  readonly generationSeconds: Family<Histogram>;
  readonly perTokenSeconds: Family<Histogram>;
  readonly firstTokenSeconds: Family<Histogram>;
  readonly predictionError: Family<Histogram>;
  readonly guardChecks: Family<Counter>;
  readonly estimatedTokens: Family<Counter>;
  readonly outcomes: Family<Counter>;
  readonly warnings: Family<Counter>;
  readonly retriesRefused: Family<Counter>;
  readonly queueWaitSeconds: Family<Histogram>;
  readonly queueRejected: Family<Counter>;
  readonly promptsTruncated: Family<Counter>;
}

export interface FamiliesSetting {
  /** Names that are not counted, with or without `agentgateway_` in front and `_total` behind. */
  readonly removed: readonly string[];
  /** Labels that the configuration adds to everything that is counted per request. */
  readonly addedLabels: readonly string[];
}

export function createFamilies({ removed, addedLabels }: FamiliesSetting): Families {
  const left = new Set(removed.map(bareName));
  const isKept = (name: string) => !left.has(bareName(name));
  const counter = (name: string, help: string, labels: readonly string[]) =>
    createCounterFamily({ name, help, labels, isKept: isKept(name) });
  const histogram = (name: string, help: string, labels: readonly string[], bounds: readonly number[]) =>
    createHistogramFamily({ name, help, labels, bounds, isKept: isKept(name) });

  const perRequest = ['backend', 'protocol', 'method', 'status', 'reason', ...routeLabels, ...addedLabels];
  const perRoute = ['backend', ...routeLabels, ...addedLabels];
  const perModel = [...modelLabels, ...routeLabels, ...addedLabels];
  const perTokenType = ['gen_ai_token_type', ...perModel];
  const ag = 'agentgateway_';
  return {
    requests: counter(`${ag}requests_total`, 'The total number of HTTP requests sent.', perRequest),
    requestSeconds: histogram(
      `${ag}request_duration_seconds`,
      'Duration of HTTP requests (seconds).',
      perRequest,
      requestSeconds,
    ),
    processingSeconds: histogram(
      `${ag}request_processing_seconds`,
      'Duration from receiving an HTTP request to sending the primary outbound call (seconds).',
      perRoute,
      processingSeconds,
    ),
    responseBytes: counter(`${ag}response_bytes_total`, 'Total HTTP response bytes received.', perRequest),
    retries: counter(`${ag}retries_total`, 'Further tries at upstreams after the first one, failover included.', perRequest),
    upstreamCalls: histogram(
      `${ag}upstream_call_duration_seconds`,
      'Duration of outbound calls, until their headers were there (seconds).',
      ['kind', 'subtype'],
      requestSeconds,
    ),
    tokens: histogram(`${ag}gen_ai_client_token_usage`, 'Number of tokens used per request.', perTokenType, tokens),
    generationSeconds: histogram(
      `${ag}gen_ai_server_request_duration`,
      'Duration of generative AI request.',
      perModel,
      generationSeconds,
    ),
    perTokenSeconds: histogram(
      `${ag}gen_ai_server_time_per_output_token`,
      'Time to generate each output token for a given request.',
      perModel,
      perTokenSeconds,
    ),
    firstTokenSeconds: histogram(
      `${ag}gen_ai_server_time_to_first_token`,
      'Time to generate the first token for a given request.',
      perModel,
      firstTokenSeconds,
    ),
    predictionError: histogram(
      'corral_ttft_prediction_error_seconds',
      'By how much the first token of a stream came earlier or later than was predicted when its box was chosen (seconds).',
      ['side', 'backend'],
      predictionErrors,
    ),
    guardChecks: counter(`${ag}guardrail_checks_total`, 'Checks that guards have made.', ['phase', 'action']),
    estimatedTokens: counter(
      'corral_estimated_tokens_total',
      'Tokens counted from the events of answers whose box never told, and in no other metric.',
      perTokenType,
    ),
    outcomes: counter('corral_outcomes_total', 'How exchanges ended.', ['outcome', 'operation']),
    warnings: counter('corral_warnings_total', 'Warnings given to clients.', []),
    retriesRefused: counter('corral_retries_refused_total', 'Further tries that the retry budget did not allow.', []),
    queueWaitSeconds: histogram(
      'corral_queue_wait_seconds',
      'How long calls have waited for a slot of a box, of those that had to (seconds).',
      ['box'],
      queueWaitSeconds,
    ),
    queueRejected: counter('corral_queue_rejected_total', 'Calls that got no slot of a box.', ['box', 'reason']),
    promptsTruncated: counter('corral_prompts_truncated_total', 'Prompts that a box has cut to fit its context.', [
      'model',
      'box',
    ]),
  };
}

function bareName(name: string): string {
  return name.replace(/^agentgateway_/, '').replace(/_total$/, '');
}
