/** The metrics as Prometheus reads them: what was counted, and what is true when somebody asks. */
import type { Families } from './metric-families.ts';
import { gaugeText } from './series.ts';

/** What is true when somebody asks. */
export interface LiveFacts {
  readonly version: string;
  readonly inFlight: number;
  readonly boxes: readonly {
    readonly name: string;
    readonly isAlive: boolean | undefined;
    /** Calls that wait for one of its slots; left out where there are none to wait for. */
    readonly waiting?: number | undefined;
    /** Models that it is asked for last; left out when there are none. */
    readonly tripped?: readonly unknown[];
    /** It is out of service. */
    readonly isCordoned?: true;
  }[];
  /** Models that are not the same on all boxes; undefined: nobody has looked. */
  readonly driftingModels?: number;
  readonly reloads: ReloadFacts;
}

export interface ReloadFacts {
  readonly succeeded: number;
  readonly failed: number;
  /** False while the configuration's latest text could not be used. */
  readonly isSynchronized: boolean;
}

export function textOf(families: Families, { version, inFlight, boxes, driftingModels, reloads }: LiveFacts): string {
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
    gaugeText(
      'corral_breaker_open',
      'Models that a box is asked for last because it has failed with them several times in a row.',
      boxes.flatMap(({ name, isAlive, tripped = [] }) =>
        isAlive === undefined ? [] : [{ labels: { box: name }, value: tripped.length }],
      ),
    ),
    gaugeText(
      'corral_queue_waiting',
      'Calls that wait for a slot of a box.',
      boxes.flatMap(({ name, waiting }) => (waiting === undefined ? [] : [{ labels: { box: name }, value: waiting }])),
    ),
    gaugeText(
      'corral_box_cordoned',
      'Whether a box is out of service: it finishes what it has begun and gets no new work.',
      boxes.flatMap(({ name, isAlive, isCordoned }) =>
        isAlive === undefined && isCordoned === undefined ? [] : [{ labels: { box: name }, value: isCordoned === true ? 1 : 0 }],
      ),
    ),
    gaugeText(
      'corral_model_digest_drift',
      'Models that are not the same on all boxes.',
      driftingModels === undefined ? [] : [{ value: driftingModels }],
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
