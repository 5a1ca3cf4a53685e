/**
 * Counters and histograms in memory. A series is a plain object that is found once and then counted on; the families write
 * themselves down as Prometheus text. Each family has a limit of series: label values come from clients, too.
 */

/** Beyond so many label tuples a metric counts what is new under the value "other". */
export const maxSeries = 2_000;
/** A longer label value is cut. */
export const maxLabelLength = 128;
export const otherValue = 'other';

export interface Counter {
  value: number;
}

/** Counts by bucket, not cumulative; the last one is `+Inf`. */
export class Histogram {
  readonly bounds: readonly number[];
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds, counts } = this;
    let index = 0;
    // A plain walk: of some fifteen bounds the first few catch nearly everything.
    while (index < bounds.length && value > (bounds[index] as number)) index++;
    counts[index] = (counts[index] as number) + 1;
    this.sum += value;
  }
}

export interface FamilyOptions {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** False: what is counted goes nowhere. */
  readonly isKept?: boolean;
  readonly maxSeries?: number;
}

/** All series of one metric. */
export interface Family<Series> {
  readonly name: string;
  /** The series with these label values, in the order of `labels`. The same object each time. */
  with(...values: readonly string[]): Series;
  /** Look-ups that found no room and went to the series of "other". */
  readonly overflows: number;
  /** Prometheus text 0.0.4 (prometheus.io/docs/instrumenting/exposition_formats); empty while there is no series. */
  write(): string;
}

function createFamily<Series>(
  { name, help, labels, isKept = true, maxSeries: limit = maxSeries }: FamilyOptions,
  type: 'counter' | 'gauge' | 'histogram',
  create: () => Series,
  writeOne: (series: Series, labelText: string) => string,
): Family<Series> {
  const byKey = new Map<string, { readonly labelText: string; readonly series: Series }>();
  const nowhere = create();
  const other = labels.map(() => otherValue);
  let overflows = 0;

  const find = (values: readonly string[]): Series => {
    const cut = values.map((value) => (value.length > maxLabelLength ? value.slice(0, maxLabelLength) : value));
    const labelText = labels.map((label, index) => `${label}="${escaped(cut[index] ?? '')}"`).join(',');
    const known = byKey.get(labelText);
    if (known !== undefined) return known.series;
    if (byKey.size >= limit && values !== other) {
      overflows++;
      return find(other);
    }
    const series = create();
    byKey.set(labelText, { labelText, series });
    return series;
  };

  return {
    name,
    with: (...values) => (isKept ? find(values) : nowhere),
    get overflows() {
      return overflows;
    },
    write() {
      if (byKey.size === 0) return '';
      let text = `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
      for (const { labelText, series } of byKey.values()) text += writeOne(series, labelText);
      return text;
    },
  };
}

export function createCounterFamily(options: FamilyOptions): Family<Counter> {
  return createFamily<Counter>(
    options,
    'counter',
    () => ({ value: 0 }),
    ({ value }, labelText) => `${options.name}${braced(labelText)} ${value}\n`,
  );
}

export function createHistogramFamily(options: FamilyOptions & { readonly bounds: readonly number[] }): Family<Histogram> {
  const { name, bounds } = options;
  return createFamily(
    options,
    'histogram',
    () => new Histogram(bounds),
    (histogram, labelText) => {
      const comma = labelText === '' ? '' : ',';
      let text = '';
      let count = 0;
      for (const [index, inBucket] of histogram.counts.entries()) {
        count += inBucket;
        text += `${name}_bucket{${labelText}${comma}le="${bounds[index] ?? '+Inf'}"} ${count}\n`;
      }
      return `${text}${name}_sum${braced(labelText)} ${histogram.sum}\n${name}_count${braced(labelText)} ${count}\n`;
    },
  );
}

/** A metric whose values are known when it is asked for. */
export function gaugeText(
  name: string,
  help: string,
  values: readonly { readonly labels?: Readonly<Record<string, string>>; readonly value: number }[],
): string {
  if (values.length === 0) return '';
  const lines = values.map(({ labels = {}, value }) => {
    const labelText = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
    return `${name}${braced(labelText.join(','))} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${lines.join('')}`;
}

function braced(labelText: string): string {
  return labelText === '' ? '' : `{${labelText}}`;
}

function escaped(value: string): string {
  return /[\\"\n]/.test(value) ? value.replace(/[\\"\n]/g, (found) => (found === '\n' ? '\\n' : `\\${found}`)) : value;
}
