/** Counts every exchange at its end, and what is told on its way. One look-up per exchange finds all its series. */
import type { CelExpression } from '../cel/expression.ts';
import type { Exchange, Telemetry, UpstreamCallKind } from '../exchange.ts';
import type { Observer } from './access-log.ts';
import { answerSeenOf, predictionErrorOf, secondsPerTokenOf } from './facts.ts';
import { createFamilies, type Families } from './metric-families.ts';
import {
  backendOf,
  hasKeyParts,
  type KeyParts,
  keyOf,
  keyPartsOf,
  modelLabelsOf,
  requestLabelsOf,
  routeLabelsOf,
  unknown,
} from './metric-labels.ts';
import { type LiveFacts, textOf } from './metrics-text.ts';
import type { Counter, Histogram } from './series.ts';

export type { LiveFacts };

/** A label that the configuration adds. */
export interface AddedLabel {
  readonly name: string;
  readonly value: CelExpression;
}

export interface MetricsSetting {
  readonly removed: readonly string[];
  readonly added: readonly AddedLabel[];
}

export interface Metrics
  extends Pick<Telemetry, 'guardCheck' | 'upstreamCall' | 'retryRefused' | 'queueWait' | 'queueRejected' | 'promptTruncated'> {
  readonly observe: Observer;
  /** Prometheus text, format 0.0.4. */
  text(facts: LiveFacts): string;
}

/** The series of exchanges with the same labels. */
interface Bundle {
  readonly requests: Counter;
  readonly requestSeconds: Histogram;
  /** Undefined where nothing was sent. */
  readonly processingSeconds: Histogram | undefined;
  readonly responseBytes: Counter;
  readonly outcome: Counter;
  readonly model: ModelBundle | undefined;
  /** Made when first needed: rare. */
  retries: Counter | undefined;
}

interface ModelBundle {
  readonly generationSeconds: Histogram;
  readonly labels: readonly string[];
  /** Made when first needed: not every answer is a stream, or tells its tokens. */
  perTokenSeconds: Histogram | undefined;
  firstTokenSeconds: Histogram | undefined;
  inputTokens: Histogram | undefined;
  outputTokens: Histogram | undefined;
}

/** Bundles are found again for as long as there is room; beyond that each exchange looks its series up one by one. */
const maxBundles = 5_000;

export function createMetrics({ removed, added }: MetricsSetting): Metrics {
  const families = createFamilies({ removed, addedLabels: added.map(({ name }) => name) });
  const bundles = new Map<string, Bundle>();
  const valuesOf = (exchange: Exchange): readonly string[] =>
    added.map(({ value }) => value.textOf(exchange, { answer: answerSeenOf(exchange) }) ?? unknown);
  const primary = { llm: families.upstreamCalls.with('Primary', 'Llm'), http: families.upstreamCalls.with('Primary', 'Http') };
  const warnings = families.warnings.with();

  const foundBundle = (exchange: Exchange): Bundle => {
    const addedValues = added.length === 0 ? none : valuesOf(exchange);
    const key = keyOf(exchange, addedValues);
    const known = bundles.get(key);
    if (known !== undefined) return known;
    const bundle = createBundle(families, exchange, addedValues);
    if (bundles.size < maxBundles) bundles.set(key, bundle);
    return bundle;
  };
  let last: { readonly parts: KeyParts; readonly bundle: Bundle } | undefined;
  const bundleOf = (exchange: Exchange): Bundle => {
    if (added.length > 0) return foundBundle(exchange);
    if (last === undefined || !hasKeyParts(exchange, last.parts))
      last = { parts: keyPartsOf(exchange), bundle: foundBundle(exchange) };
    return last.bundle;
  };

  return {
    observe(exchange, endedMs) {
      const bundle = bundleOf(exchange);
      const { attempts, startedMs, protocol } = exchange;
      const seconds = (endedMs - startedMs) / 1_000;
      bundle.requests.value++;
      bundle.requestSeconds.observe(seconds);
      bundle.responseBytes.value += exchange.answerBytes;
      bundle.outcome.value++;
      warnings.value += exchange.warnings.length;
      const [first] = attempts;
      if (first === undefined) return;
      bundle.processingSeconds?.observe((first.startedMs - startedMs) / 1_000);
      if (attempts.length > 1) {
        bundle.retries ??= families.retries.with(...requestLabelsOf(exchange, added.length === 0 ? none : valuesOf(exchange)));
        bundle.retries.value += attempts.length - 1;
      }
      const calls = protocol === undefined ? primary.http : primary.llm;
      for (const { startedMs: sentMs, answeredMs = endedMs } of attempts) calls.observe((answeredMs - sentMs) / 1_000);
      const error = predictionErrorOf(exchange);
      if (error !== undefined)
        families.predictionError.with(error > 0 ? 'late' : 'early', backendOf(exchange)).observe(Math.abs(error) / 1_000);
      if (bundle.model !== undefined) observeModel(families, bundle.model, exchange, seconds, endedMs);
    },
    guardCheck(phase, action) {
      families.guardChecks.with(phase, action).value++;
    },
    upstreamCall(kind, seconds) {
      families.upstreamCalls.with(...callLabels[kind]).observe(seconds);
    },
    retryRefused() {
      families.retriesRefused.with().value++;
    },
    queueWait(box, seconds) {
      families.queueWaitSeconds.with(box).observe(seconds);
    },
    queueRejected(box, reason) {
      families.queueRejected.with(box, reason).value++;
    },
    promptTruncated(model, box) {
      families.promptsTruncated.with(model, box).value++;
    },
    text: (facts) => textOf(families, facts),
  };
}

const none: readonly string[] = [];

const callLabels: Readonly<Record<UpstreamCallKind, readonly [string, string]>> = {
  Http: ['Primary', 'Http'],
  Llm: ['Primary', 'Llm'],
  ExtAuthz: ['Policy', 'ExtAuthz'],
  Guardrail: ['Policy', 'Guardrail'],
  Mirror: ['Mirror', 'Http'],
};

function createBundle(families: Families, exchange: Exchange, addedValues: readonly string[]): Bundle {
  const { attempts, protocol } = exchange;
  const labels = requestLabelsOf(exchange, addedValues);
  const route = [...routeLabelsOf(exchange), ...addedValues];
  const operation = protocol?.operation ?? 'none';
  const isGeneration = operation !== 'none' && attempts.length > 0;
  return {
    requests: families.requests.with(...labels),
    requestSeconds: families.requestSeconds.with(...labels),
    responseBytes: families.responseBytes.with(...labels),
    processingSeconds: attempts.length === 0 ? undefined : families.processingSeconds.with(backendOf(exchange), ...route),
    outcome: families.outcomes.with(exchange.outcome ?? unknown, operation),
    model: isGeneration ? createModelBundle(families, [...modelLabelsOf(exchange, operation), ...route]) : undefined,
    retries: undefined,
  };
}

function createModelBundle(families: Families, labels: readonly string[]): ModelBundle {
  return {
    generationSeconds: families.generationSeconds.with(...labels),
    labels,
    perTokenSeconds: undefined,
    firstTokenSeconds: undefined,
    inputTokens: undefined,
    outputTokens: undefined,
  };
}

function observeModel(families: Families, bundle: ModelBundle, exchange: Exchange, seconds: number, endedMs: number): void {
  const { usage, call, firstByteMs } = exchange;
  const { labels } = bundle;
  bundle.generationSeconds.observe(seconds);
  if (call?.isStream === true && firstByteMs !== undefined) {
    bundle.firstTokenSeconds ??= families.firstTokenSeconds.with(...labels);
    bundle.firstTokenSeconds.observe((firstByteMs - exchange.startedMs) / 1_000);
    const perToken = secondsPerTokenOf(exchange, endedMs);
    if (perToken !== undefined) {
      bundle.perTokenSeconds ??= families.perTokenSeconds.with(...labels);
      bundle.perTokenSeconds.observe(perToken);
    }
  }
  if (usage === undefined) return;
  if (usage.estimated) {
    families.estimatedTokens.with('output', ...labels).value += usage.outputTokens;
    return;
  }
  bundle.inputTokens ??= families.tokens.with('input', ...labels);
  bundle.inputTokens.observe(usage.inputTokens);
  // Embeddings have no output to count.
  if (usage.outputTokens > 0 || exchange.protocol?.operation !== 'embeddings') {
    bundle.outputTokens ??= families.tokens.with('output', ...labels);
    bundle.outputTokens.observe(usage.outputTokens);
  }
  if (usage.cachedInputTokens !== undefined) families.tokens.with('input_cache_read', ...labels).observe(usage.cachedInputTokens);
  if (usage.cacheCreationInputTokens !== undefined)
    families.tokens.with('input_cache_write', ...labels).observe(usage.cacheCreationInputTokens);
}
