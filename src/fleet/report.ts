/**
 * The herd as the admin address tells of it (`GET /fleet`, docs/fleet.md): for people, and for the commands that are built on
 * it. Plain data; members may be added, never removed. Times in milliseconds, sizes in bytes; null: not known.
 */

import { troubleAdvice } from './asking/advice.ts';
import type { RunningModel } from './asking/answers.ts';
import type { Shows } from './asking/shows.ts';
import type { Box } from './box.ts';
import { type Drift, driftOf } from './drift.ts';
import { unionOfModels } from './union.ts';
import { type WarmReport, type WarmRule, warmReportOf } from './warm.ts';

export interface FleetReport {
  readonly boxes: readonly BoxState[];
  /** Each once, in the order of the lists; what these hide from clients (other keys' models, the cloud's) is among them. */
  readonly models: readonly HerdModel[];
  readonly drift: readonly Drift[];
  readonly warm: readonly WarmReport[];
}

export interface HerdModel {
  /** As the box spells it that has the newest copy. */
  readonly name: string;
  /** Who has it, in the order of the configuration. */
  readonly boxes: readonly string[];
}

export interface BoxState {
  readonly name: string;
  /** Without credentials. */
  readonly url: string;
  /** Null: not asked yet. */
  readonly isAlive: boolean | null;
  /** False: another OpenAI-compatible server. */
  readonly isBox: boolean;
  readonly version: string | null;
  readonly isCordoned: boolean;
  readonly cordonedForMs: number | null;
  readonly lookedAgoMs: number | null;
  /** What keeps it from serving, and the mend. */
  readonly trouble: { readonly code: string; readonly why: string; readonly mend: string } | null;
  readonly inFlight: number;
  readonly waiting: number;
  readonly configured: {
    readonly weight: number;
    readonly slots: number | null;
    readonly vramBytes: number | null;
    readonly reserveBytes: number;
    readonly maxLoaded: number | null;
  };
  /** Null: its list is not known. */
  readonly models: readonly ModelState[] | null;
  readonly running: readonly RunningState[];
  readonly loading: readonly { readonly model: string; readonly forMs: number }[];
  /** Models that it is asked for last, because it has failed with them. */
  readonly tripped: readonly string[];
}

export interface ModelState {
  readonly name: string;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly modifiedAt: string;
  /** Where Ollama's cloud would serve it. */
  readonly remoteHost: string | null;
  readonly capabilities: readonly string[] | null;
  readonly contextLength: number | null;
}

export interface RunningState {
  readonly name: string;
  readonly digest: string;
  readonly sizeBytes: number;
  /** Less than `sizeBytes`: the CPU computes a part. */
  readonly vramBytes: number;
  readonly contextLength: number | null;
  readonly expiresAt: string;
  readonly inFlight: number;
  readonly waiting: number;
  /** Calls at once, configured or learnt. */
  readonly slots: number | null;
}

export function fleetReportOf(
  boxes: readonly Box[],
  rules: readonly WarmRule[],
  shows: Shows,
  now: { readonly ms: number; readonly wallMs: number },
): FleetReport {
  return {
    boxes: boxes.map((box) => stateOf(box, shows, now.ms)),
    models: unionOfModels(boxes.filter((box) => box.isListed).map(listingOf)).map(({ model, boxNames }) => ({
      name: model.name,
      boxes: boxNames,
    })),
    drift: driftOf(boxes.map(listingOf)),
    warm: warmReportOf(rules, boxes, now.wallMs),
  };
}

function listingOf({ upstream: { name }, catalogue }: Box): Pick<Box, 'catalogue'> & { readonly name: string } {
  return { name, catalogue };
}

function stateOf(box: Box, shows: Shows, nowMs: number): BoxState {
  const { upstream, trouble, slots, catalogue, duty } = box;
  const { weight = 1, slots: slotsSaid, vramBytes, reserveBytes = 0, maxLoaded } = upstream.box ?? {};
  return {
    name: upstream.name,
    url: urlWithoutCredentials(upstream.baseUrl),
    isAlive: (trouble === undefined ? box.isAlive : false) ?? null,
    isBox: box.isBox,
    version: box.version ?? null,
    isCordoned: duty.isCordoned,
    cordonedForMs: whole(duty.sinceMs(nowMs)),
    lookedAgoMs: whole(box.lookedAgoMs),
    trouble: trouble === undefined ? null : { code: trouble.code, ...troubleAdvice(upstream, trouble) },
    inFlight: box.inFlight,
    waiting: slots.waiting(),
    configured: { weight, slots: slotsSaid ?? null, vramBytes: vramBytes ?? null, reserveBytes, maxLoaded: maxLoaded ?? null },
    models: catalogue === undefined ? null : [...catalogue.values()].map((model) => modelOf(model, shows)),
    running: box.running.map((one) => runningOf(one, box)),
    loading: box.loads.underWay().map(({ model, startedMs }) => ({ model, forMs: Math.round(nowMs - startedMs) })),
    tripped: box.breaker.tripped(nowMs).map(({ model }) => model),
  };
}

function whole(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.round(ms);
}

function modelOf(
  {
    name,
    digest,
    sizeBytes,
    modifiedAt,
    remoteHost,
  }: NonNullable<Box['catalogue']> extends ReadonlyMap<string, infer Model> ? Model : never,
  shows: Shows,
): ModelState {
  const facts = shows.of(digest);
  return {
    name,
    digest,
    sizeBytes,
    modifiedAt,
    remoteHost: remoteHost ?? null,
    capabilities: facts?.capabilities ?? null,
    contextLength: facts?.contextLength ?? null,
  };
}

function runningOf({ name, digest, sizeBytes, vramBytes, contextLength, expiresAt }: RunningModel, { slots }: Box): RunningState {
  return {
    name,
    digest,
    sizeBytes,
    vramBytes,
    contextLength: contextLength ?? null,
    expiresAt,
    inFlight: slots.busy(name),
    waiting: slots.waiting(name),
    slots: slots.limitOf(name) ?? null,
  };
}

export function urlWithoutCredentials(baseUrl: string): string {
  return baseUrl.replace(/\/\/[^/@]*@/, '//');
}
