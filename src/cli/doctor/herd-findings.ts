/** What shows when boxes are held against each other and against the configuration. Pure. */
import { canonicalModel } from '../../fields/model-name.ts';
import type { BoxState, FleetReport } from '../../fleet/report.ts';
import type { WarmRule } from '../../fleet/warm.ts';
import { shortDigest } from '../fleet/agreement.ts';
import { listText, plainText } from '../table.ts';
import { type Finding, finding } from './finding.ts';
import { isOlder } from './versions.ts';

export function herdFindings({ boxes, drift }: FleetReport, warm: readonly WarmRule[], allowsCloud: boolean): Finding[] {
  const alive = boxes.filter(({ isAlive, isBox }) => isAlive === true && isBox);
  return [
    ...skewFindings(alive),
    ...drift.map(({ model, digests }) =>
      finding(
        'warn',
        'digest_drift',
        `${plainText(model)} is not the same on all boxes: ${digests.map((one) => `${shortDigest(one.digest)} on ${listText(one.boxes)}`).join(', ')}.`,
        `corral fleet sync ${plainText(model)}`,
        { model },
      ),
    ),
    ...alive.flatMap((box) => cloudFindings(box, allowsCloud)),
    ...loneFindings(alive),
    ...warm.flatMap((rule) => warmFindings(rule, boxes)),
  ];
}

function skewFindings(alive: readonly BoxState[]): Finding[] {
  const byVersion = new Map<string, string[]>();
  for (const { name, version } of alive) if (version !== null) byVersion.set(version, [...(byVersion.get(version) ?? []), name]);
  if (byVersion.size < 2) return [];
  const versions = [...byVersion.keys()].sort((one, other) => (isOlder(one, other) ? 1 : -1));
  const told = versions.map((version) => `${plainText(version, 64)} on ${listText(byVersion.get(version) ?? [])}`).join(', ');
  return [
    finding(
      'warn',
      'version_skew',
      `Boxes have different versions of Ollama: ${told}. The same call may be answered differently, or fail on the older one.`,
      `Bring all to ${plainText(versions[0] ?? '', 64)}.`,
    ),
  ];
}

function cloudFindings({ name: box, models }: BoxState, allowsCloud: boolean): Finding[] {
  const cloud = (models ?? []).filter(({ remoteHost }) => remoteHost !== null).map(({ name }) => plainText(name, 200));
  if (cloud.length === 0) return [];
  const why = `${box} lists models of Ollama's cloud: ${listText(cloud)}. What is asked of them leaves the house`;
  return [
    allowsCloud
      ? finding('info', 'cloud_models', `${why}, and fleet.allowCloudModels lets it.`, 'Set it to false to refuse them.', { box })
      : finding('info', 'cloud_models', `${why}, so they are refused.`, 'fleet.allowCloudModels: true lets them be used.', {
          box,
        }),
  ];
}

/** With one box nothing can be said that the owner does not know. */
function loneFindings(alive: readonly BoxState[]): Finding[] {
  if (alive.length < 2) return [];
  const owners = new Map<string, Set<string>>();
  for (const { name, models } of alive)
    for (const model of models ?? [])
      if (model.remoteHost === null)
        owners.set(canonicalModel(model.name), (owners.get(canonicalModel(model.name)) ?? new Set()).add(name));
  return alive.flatMap(({ name: box, models }) => {
    const alone = (models ?? []).filter((model) => owners.get(canonicalModel(model.name))?.size === 1);
    if (alone.length === 0) return [];
    const names = alone.map(({ name }) => plainText(name, 200));
    const isOne = names.length === 1;
    return [
      finding(
        'info',
        'no_failover',
        `${listText(names)} ${isOne ? 'is' : 'are'} on ${box} only: when it is gone, nobody serves ${isOne ? 'it' : 'them'}.`,
        `corral fleet sync --from ${box} ${isOne ? names[0] : 'MODEL'}`,
        { box, model: isOne ? (alone[0]?.name ?? null) : null },
      ),
    ];
  });
}

function warmFindings({ model, boxes: wanted }: WarmRule, boxes: readonly BoxState[]): Finding[] {
  const meant = typeof wanted === 'number' ? boxes : boxes.filter(({ name }) => wanted.includes(name));
  const having = meant.filter(
    ({ isAlive, models }) => isAlive === true && models?.some(({ name }) => canonicalModel(name) === canonicalModel(model)),
  );
  const count = typeof wanted === 'number' ? wanted : wanted.length;
  const where = typeof wanted === 'number' ? '' : ` of ${listText(wanted)}`;
  if (having.length === 0)
    return [
      finding(
        'warn',
        'warm_unservable',
        `fleet.warm wants ${model} in memory, and no box${where} that answers has it.`,
        `corral fleet pull ${model} --box BOX`,
        { model },
      ),
    ];
  if (having.length >= count) return [];
  return [
    finding(
      'warn',
      'warm_too_few',
      `fleet.warm wants ${model} on ${count} boxes${where}, and ${having.length} of those that answer ${having.length === 1 ? 'has' : 'have'} it: ${listText(having.map(({ name }) => name))}.`,
      `corral fleet sync --from ${having[0]?.name} ${model}`,
      { model },
    ),
  ];
}
