/**
 * Keeps models in memory where the configuration wants them (`fleet.warm`). One round looks at what is there and begins what
 * is missing; it is called every few seconds, on Workers by the cron trigger. Nothing that is in use goes for it, and nothing
 * that another entry keeps. When its time is over a model is left alone: its keep_alive runs out.
 */
import { GatewayError } from '../errors.ts';
import type { Ask, Waiter } from '../exchange.ts';
import { canonicalModel } from '../fields/model-name.ts';
import type { Clock, Platform } from '../platform.ts';
import { messageOf } from './asking/advice.ts';
import { instantOf } from './asking/answers.ts';
import { createStop } from './asking/ask.ts';
import type { Box } from './box.ts';
import { loadRequestOf } from './loads/load-answer.ts';
import { viewOf } from './placement/views.ts';
import { roomOf } from './rates/capacity.ts';
import type { WarmTry } from './warm-try.ts';

export interface WarmRule {
  readonly model: string;
  /** On how many boxes, or on which ones. */
  readonly boxes: number | readonly string[];
  readonly numCtx: number | undefined;
  /** Milliseconds since the epoch → whether the model is wanted then. */
  isDue(wallMs: number): boolean;
}

/** One entry for people. */
export interface WarmReport {
  readonly model: string;
  readonly boxes: number | readonly string[];
  readonly numCtx: number | undefined;
  /** It is wanted now. */
  readonly isDue: boolean;
  /** Where it is in memory as wanted. */
  readonly warmOn: readonly string[];
}

export interface WarmTools {
  readonly clock: Clock;
  readonly report: Platform['report'];
  /** Of models: what they can do, by digest. */
  readonly canGenerate: (box: Box, model: string) => boolean;
}

/** How often a round is due. */
export const warmRoundMs = 15_000;
/** Three rounds of a cron trigger may be missed. Never below the usual five minutes of Ollama. */
const keepAlive = '360s';
const renewAfterMs = 120_000;
/** Whoever keeps it longer than this anyway (OLLAMA_KEEP_ALIVE) is not to be cut short. */
const longEnoughMs = 1_800_000;
const renewLimitMs = 30_000;
/** By then a load has pushed out what has to go first. */
const settledAfterMs = 1_000;
const firstBackOffMs = 30_000;
const maxBackOffMs = 900_000;
const never = Number.NEGATIVE_INFINITY;

/** Settles when everything that this round began is over; never rejects. */
export async function keepWarm(rules: readonly WarmRule[], boxes: readonly Box[], tools: WarmTools): Promise<void> {
  const wallMs = tools.clock.wallTime();
  const due = rules.filter((rule) => rule.isDue(wallMs));
  const kept = new Set(due.map(({ model }) => canonicalModel(model)));
  for (const box of boxes) forgetOthers(box, kept);
  await Promise.all(due.flatMap((rule) => keepOne(rule, boxes, kept, tools)));
}

/**
 * The context that the configuration keeps a model warm with, as long as it does: also of calls that name none, or each of them would have
 * it loaded anew with the box's own. By canonical names; undefined: there is none for any model.
 */
export function warmContexts(
  rules: readonly WarmRule[],
  clock: Pick<Clock, 'wallTime'>,
): ((model: string) => number | undefined) | undefined {
  const naming = rules.flatMap(({ model, numCtx, isDue }) =>
    numCtx === undefined ? [] : [{ model: canonicalModel(model), numCtx, isDue }],
  );
  if (naming.length === 0) return undefined;
  return (model) => {
    let most: number | undefined;
    for (const rule of naming)
      if (rule.model === model && rule.numCtx > (most ?? 0) && rule.isDue(clock.wallTime())) most = rule.numCtx;
    return most;
  };
}

export function warmReportOf(rules: readonly WarmRule[], boxes: readonly Box[], wallMs: number): readonly WarmReport[] {
  return rules.map((rule) => {
    const model = canonicalModel(rule.model);
    return {
      model: rule.model,
      boxes: rule.boxes,
      numCtx: rule.numCtx,
      isDue: rule.isDue(wallMs),
      warmOn: boxes.filter((box) => box.holds(model, rule.numCtx) === true).map(({ upstream }) => upstream.name),
    };
  });
}

function keepOne(rule: WarmRule, boxes: readonly Box[], kept: ReadonlySet<string>, tools: WarmTools): Promise<void>[] {
  const model = canonicalModel(rule.model);
  const homes = boxes.filter((box) => isHome(box, rule, model));
  const wanted = typeof rule.boxes === 'number' ? rule.boxes : homes.length;
  const held = homes
    .filter((box) => box.holds(model, rule.numCtx) === true)
    .sort((a, b) => keptSince(b, model) - keptSince(a, model));
  const warm = held.slice(0, wanted);
  const coming = homes.filter((box) => !held.includes(box) && isComing(box, model, tools.clock.now()));
  const missing = wanted - warm.length - coming.length;
  const places = missing <= 0 ? [] : placesFor(rule, model, homes, boxes, kept, tools).slice(0, missing);
  return [
    ...warm
      .filter((box) => isRenewalDue(box, model, tools.clock) && !mayHaveToGo(box, model))
      .map((box) => renew(box, rule, model, tools)),
    ...places.map((box) => load(box, rule, model, tools)),
  ];
}

function isHome(box: Box, { boxes }: WarmRule, model: string): boolean {
  const isNamed = typeof boxes === 'number' || boxes.includes(box.upstream.name);
  const known = box.catalogue?.get(model);
  return (
    isNamed && box.isBox && box.isAlive === true && !box.duty.isCordoned && known !== undefined && known.remoteHost === undefined
  );
}

/** Of several boxes that have it, those that were kept warm go on. */
function keptSince({ warming }: Box, model: string): number {
  return warming.get(model)?.renewedMs ?? never;
}

function isComing(box: Box, model: string, nowMs: number): boolean {
  const tried = box.warming.get(model);
  const isOurs = tried?.isUnderWay === true && nowMs - tried.startedMs < box.tuning.loadTimeoutMs + renewLimitMs;
  return isOurs || box.loads.underWay().some((one) => one.model === model);
}

function isLoading({ loads, warming }: Box): boolean {
  return loads.underWay().length > 0 || [...warming.values()].some(({ isUnderWay }) => isUnderWay);
}

/** The boxes that could take it now: those where nothing has to go first, then those with the most room. */
function placesFor(
  { numCtx }: WarmRule,
  model: string,
  homes: readonly Box[],
  boxes: readonly Box[],
  kept: ReadonlySet<string>,
  { clock, report }: WarmTools,
): readonly Box[] {
  const nowMs = clock.now();
  const free = homes.flatMap((box) => {
    const tried = box.warming.get(model);
    const view = viewOf(box, model, { numCtx }, boxes, nowMs);
    // Without `/api/ps` nothing is known of what would have to go.
    if (view === undefined || view.isResident || isComing(box, model, nowMs) || (tried?.againMs ?? never) > nowMs) return [];
    // What loads now is in no list yet, and might be what this one would push out: the next round knows.
    if (isLoading(box)) return [];
    const hindrance = !view.fits
      ? 'it does not fit into the memory for models'
      : view.victims.some((victim) => kept.has(victim.model))
        ? 'the memory is full of other models that are kept warm'
        : undefined;
    if (hindrance !== undefined) tellOnce(box, model, hindrance, report);
    const isInTheWay = hindrance !== undefined || view.victims.some(({ isBusy }) => isBusy);
    return isInTheWay ? [] : [{ box, pushesOut: view.victims.length, freeBytes: freeBytesOf(box) }];
  });
  return free.sort((a, b) => a.pushesOut - b.pushesOut || b.freeBytes - a.freeBytes).map(({ box }) => box);
}

/** A box whose memory was never full comes after those whose room is known. */
function freeBytesOf(box: Box): number {
  const taken = box.running.reduce((sum, { vramBytes }) => sum + vramBytes, 0);
  return (roomOf(box.upstream.box, box.memory.capacity.room).bytes ?? 0) - taken;
}

/** A client's call sets keep_alive back to what the box has for it. */
function isRenewalDue(box: Box, model: string, clock: Clock): boolean {
  if (isComing(box, model, clock.now())) return false;
  const endsMs = instantOf(box.runnerOf(model)?.expiresAt ?? '');
  if (endsMs - clock.wallTime() > longEnoughMs) return false;
  const tried = box.warming.get(model);
  if (tried === undefined) return true;
  if (tried.againMs > clock.now()) return false;
  const usedMs = box.rates.of(model)?.usedMs ?? never;
  return clock.now() - tried.renewedMs >= renewAfterMs || usedMs > tried.renewedMs;
}

/**
 * Whether a load of another model may push it out. Ollama lets one that is in use go as soon as nobody uses it, unless its keep_alive
 * is set meanwhile: the load, and all others behind it, would wait for that to be over (server/sched.go, useLoadedRunner).
 */
function mayHaveToGo(box: Box, model: string): boolean {
  const others = box.loads.underWay().filter((one) => one.model !== model);
  const names = others.map((one) => one.model);
  if (others.length === 0 || !box.mayClash(model, names)) return false;
  // An idle one goes at once. One that has been seen since is left in peace, and a long load must not let its time run out.
  const settledMs = Math.max(...others.map(({ startedMs }) => startedMs)) + settledAfterMs;
  return box.slots.busy(model) > 0 || box.memory.capacity.seenMs < settledMs;
}

function askOf(box: Box, { model, numCtx }: Pick<WarmRule, 'model' | 'numCtx'>, { canGenerate }: WarmTools): Ask {
  const use = canGenerate(box, canonicalModel(model)) ? 'generate' : 'embed';
  return {
    model,
    numCtx,
    work: { promptTokens: 0, conversation: undefined, sharer: '', weight: 1, urgency: 'bulk', use },
  };
}

/** Loads as every cold load goes, so that clients join it, and then sets its keep_alive. */
async function load(box: Box, rule: WarmRule, model: string, tools: WarmTools): Promise<void> {
  const { clock, report } = tools;
  const tried = tryOf(box, model);
  const startedMs = clock.now();
  Object.assign(tried, { isUnderWay: true, startedMs });
  try {
    await box.loads.ready(askOf(box, rule, tools), nobody);
    await setKeepAlive(box, rule, model, box.tuning.loadTimeoutMs, tools);
    await box.checkResident(model);
    report(
      'info',
      `warm: ${box.upstream.name} has ${clip(model)} in memory after ${((clock.now() - startedMs) / 1_000).toFixed(1)} s`,
    );
  } catch (thrown) {
    noteFailure(box, model, thrown, tools);
  } finally {
    tried.isUnderWay = false;
  }
}

async function renew(box: Box, rule: WarmRule, model: string, tools: WarmTools): Promise<void> {
  const tried = tryOf(box, model);
  Object.assign(tried, { isUnderWay: true, startedMs: tools.clock.now() });
  try {
    await setKeepAlive(box, rule, model, renewLimitMs, tools);
  } catch (thrown) {
    noteFailure(box, model, thrown, tools);
  } finally {
    tried.isUnderWay = false;
  }
}

/** Throws GatewayError where the box did not do it. */
async function setKeepAlive(box: Box, rule: WarmRule, model: string, limitMs: number, tools: WarmTools): Promise<void> {
  // Another context than the runner has would load the model anew.
  const numCtx = box.holds(model, rule.numCtx) === true ? (box.runnerOf(model)?.contextLength ?? rule.numCtx) : rule.numCtx;
  const { path, json } = loadRequestOf(askOf(box, { model: rule.model, numCtx }, tools));
  const body = `${json.slice(0, -1)},"keep_alive":"${keepAlive}"}`;
  const answer = await box.post(path, body, limitMs, createStop());
  if (answer instanceof GatewayError) throw answer;
  if (answer.status >= 300) {
    const said = messageOf(answer.text ?? '') ?? `it answered ${answer.status}`;
    throw new GatewayError('load_failed', `${box.upstream.name} could not load ${clip(model)}: ${said.slice(0, 500)}`);
  }
  const tried = tryOf(box, model);
  if (tried.failures > 0) tools.report('info', `warm: ${box.upstream.name} keeps ${clip(model)} again`);
  Object.assign(tried, { renewedMs: tools.clock.now(), failures: 0, againMs: never, told: undefined });
}

function noteFailure(box: Box, model: string, thrown: unknown, { clock, report }: WarmTools): void {
  const tried = tryOf(box, model);
  tried.againMs = clock.now() + Math.min(firstBackOffMs * 2 ** tried.failures, maxBackOffMs);
  tried.failures = Math.min(tried.failures + 1, 10);
  if (tried.failures === 1) tellOnce(box, model, thrown instanceof Error ? thrown.message : String(thrown), report);
}

function tellOnce(box: Box, model: string, why: string, report: Platform['report']): void {
  const tried = tryOf(box, model);
  if (tried.told === why) return;
  tried.told = why;
  report('warn', `warm: ${box.upstream.name} does not keep ${clip(model)} in memory: ${why}`);
}

function tryOf({ warming }: Box, model: string): WarmTry {
  const known = warming.get(model);
  if (known !== undefined) return known;
  const fresh: WarmTry = { isUnderWay: false, startedMs: never, renewedMs: never, failures: 0, againMs: never, told: undefined };
  warming.set(model, fresh);
  return fresh;
}

/** No more is remembered than there are entries. */
function forgetOthers({ warming }: Box, kept: ReadonlySet<string>): void {
  for (const [model, { isUnderWay }] of warming) if (!kept.has(model) && !isUnderWay) warming.delete(model);
}

/** Nobody waits for it but the keeper itself. */
const nobody: Waiter = { deadlineMs: undefined, onGone: () => undefined, waitUntil: () => undefined };

function clip(model: string): string {
  return model.slice(0, 200);
}
