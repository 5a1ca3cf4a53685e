/** What a key's metadata says of its share of a box's slots: `weight` and `class`. agentgateway takes both for notes. */

export type Urgency = 'interactive' | 'bulk';

type Metadata = Readonly<Record<string, unknown>>;

const leastWeight = 0.01;
const mostWeight = 100;

/** 1 unless the metadata has a weight that can be used. */
export function weightOf({ weight }: Metadata): number {
  return isWeight(weight) ? weight : 1;
}

/** interactive unless the metadata says bulk. */
export function urgencyOf(metadata: Metadata): Urgency {
  return metadata.class === 'bulk' ? 'bulk' : 'interactive';
}

/** What of it cannot be used, and what holds instead. */
export function shareWarningsOf({ weight, class: urgency }: Metadata): readonly string[] {
  const warnings: string[] = [];
  if (weight !== undefined && !isWeight(weight)) {
    warnings.push(`metadata.weight: expected a number from ${leastWeight} to ${mostWeight}; this key counts as one of weight 1`);
  }
  if (urgency !== undefined && urgency !== 'bulk' && urgency !== 'interactive') {
    warnings.push('metadata.class: expected "interactive" or "bulk"; this key counts as interactive');
  }
  return warnings;
}

function isWeight(weight: unknown): weight is number {
  return typeof weight === 'number' && weight >= leastWeight && weight <= mostWeight;
}
