/** Counts every exchange at its end, and what is told on its way. One look-up per exchange finds all its series. */
import type { CelExpression } from '../cel/expression.ts';
import type { Exchange, Telemetry, UpstreamCallKind } from '../exchange.ts';
import type { Observer } from './access-log.ts';
import { answerSeenOf, providerOf, secondsPerTokenOf } from './facts.ts';
import { createFamilies, type Families } from './metric-families.ts';
import { reasonOf } from './reasons.ts';
import { type Counter, gaugeText, type Histogram, maxLabelLength } from './series.ts';

/** A label that the configuration adds. */
export interface AddedLabel {
  readonly name: string;
  readonly value: CelExpression;
}

export interface MetricsSetting {
  readonly removed: readonly string[];
  readonly added: readonly AddedLabel[];
}

/** What is true when somebody asks. */
export interface LiveFacts {
  readonly version: string;
  readonly inFlight: number;
  readonly boxes: readonly { readonly name: string; readonly isAlive: boolean | undefined }[];
  readonly reloads: ReloadFacts;
}

export interface ReloadFacts {
  readonly succeeded: number;
  readonly failed: number;
  /** False while the configuration's latest text could not be used. */
  readonly isSynchronized: boolean;
}

export interface Metrics extends Pick<Telemetry, 'guardCheck' | 'upstreamCall' | 'retryRefused'> {
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
const unknown = 'unknown';

export function createMetrics({ removed, added }: MetricsSetting): Metrics {
  const families = createFamilies({ removed, addedLabels: added.map(({ name }) => name) });
  const bundles = new Map<string, Bundle>();
  const valuesOf = (exchange: Exchange): readonly string[] =>
    added.map(({ value }) => value.textOf(exchange, { answer: answerSeenOf(exchange) }) ?? unknown);
  const primary = { llm: families.upstreamCalls.with('Primary', 'Llm'), http: families.upstreamCalls.with('Primary', 'Http') };
  const warnings = families.warnings.with();

  const bundleOf = (exchange: Exchange): Bundle => {
    const addedValues = added.length === 0 ? none : valuesOf(exchange);
    const key = keyOf(exchange, addedValues);
    const known = bundles.get(key);
    if (known !== undefined) return known;
    const bundle = createBundle(families, exchange, addedValues);
    if (bundles.size < maxBundles) bundles.set(key, bundle);
    return bundle;
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

/**
 * Everything that labels are made of. The parts that clients write freely come last, and NUL stands in no header and no name:
 * nobody can write one part so that it passes for two.
 */
function keyOf(exchange: Exchange, addedValues: readonly string[]): string {
  const { attempts, protocol, error } = exchange;
  const upstream = attempts.length === 0 ? '' : attempts[attempts.length - 1]?.upstream.name;
  const key = `${upstream}\0${protocol?.name}\0${exchange.method}\0${exchange.status}\0${error?.code}\0${exchange.outcome}\0${exchange.peer.port}\0${exchange.gatewayName}\0${exchange.listenerName}\0${exchange.routeName}\0${exchange.responseModel}\0${cut(exchange.requestModel)}`;
  return addedValues.length === 0 ? key : `${key}\0${JSON.stringify(addedValues)}`;
}

function cut(model: string | undefined): string | undefined {
  return model === undefined || model.length <= maxLabelLength ? model : model.slice(0, maxLabelLength);
}

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

function requestLabelsOf(exchange: Exchange, addedValues: readonly string[]): string[] {
  return [
    backendOf(exchange),
    exchange.protocol === undefined ? 'http' : 'llm',
    methods.has(exchange.method) ? exchange.method : 'other',
    String(exchange.status),
    reasonOf(exchange),
    ...routeLabelsOf(exchange),
    ...addedValues,
  ];
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'CONNECT', 'TRACE']);

function routeLabelsOf({ peer, gatewayName, listenerName, routeName }: Exchange): string[] {
  const bind = peer.port === undefined ? unknown : `bind/${peer.port}`;
  // Corral's routes have no rules within them.
  return [bind, gatewayName || unknown, listenerName || unknown, routeName || unknown, unknown];
}

/** A name that nobody serves is not worth a series of its own: clients could make up any number of them. */
function modelLabelsOf(exchange: Exchange, operation: string): string[] {
  const isServed = exchange.status !== 404;
  return [
    operation,
    providerOf(exchange) ?? unknown,
    (isServed ? exchange.requestModel : undefined) ?? unknown,
    exchange.responseModel ?? unknown,
  ];
}

function backendOf({ attempts }: Exchange): string {
  return attempts.at(-1)?.upstream.name ?? unknown;
}

function textOf(families: Families, { version, inFlight, boxes, reloads }: LiveFacts): string {
  const counted = Object.values(families) as readonly Families[keyof Families][];
  const overflows = counted.filter((family) => family.overflows > 0);
  return [
    gaugeText('agentgateway_build_info', 'The program that answers here.', [{ labels: { tag: `corral-${version}` }, value: 1 }]),
    gaugeText(
      'agentgateway_config_synchronized',
      'Whether the last configuration load/reload was successful or not, being synchronized with the on-disk configuration.',
      [{ value: reloads.isSynchronized ? 1 : 0 }],
    ),
    counterText('corral_reload_total', 'Reloads of the configuration.', [
      { labels: { result: 'failed' }, value: reloads.failed },
      { labels: { result: 'succeeded' }, value: reloads.succeeded },
    ]),
    gaugeText('corral_in_flight', 'Exchanges whose last byte has not left yet.', [{ value: inFlight }]),
    gaugeText(
      'corral_box_up',
      'Whether a box answers.',
      boxes.flatMap(({ name, isAlive }) => (isAlive === undefined ? [] : [{ labels: { box: name }, value: isAlive ? 1 : 0 }])),
    ),
    ...counted.map((family) => family.write()),
    counterText(
      'corral_metric_overflow_total',
      'Look-ups that found no room for another label value and were counted under "other".',
      overflows.map(({ name, overflows: value }) => ({ labels: { metric: name }, value })),
    ),
  ].join('');
}

function counterText(name: string, help: string, values: Parameters<typeof gaugeText>[2]): string {
  return gaugeText(name, help, values).replace(`# TYPE ${name} gauge`, `# TYPE ${name} counter`);
}
