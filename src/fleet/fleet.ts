/**
 * What Corral knows of the boxes. Reading is a look into memory; asking is bounded, shared by all who ask at once, and done
 * in the background where the runtime has one, with requests where it has not (`catchUp`).
 */
import { GatewayError } from '../errors.ts';
import { cordonedError } from '../exchange/cordoned.ts';
import type { Ask, Fleet, KnownModel, Upstream } from '../exchange.ts';
import { canonicalModel } from '../fields/model-name.ts';
import type { RelayLoad } from '../http/relay-load.ts';
import type { Platform } from '../platform.ts';
import { admitTo } from './admission.ts';
import { troubleAdvice } from './asking/advice.ts';
import type { RunningModel } from './asking/answers.ts';
import { within } from './asking/ask.ts';
import { type LegSecrets, noSecrets, secretsFor } from './asking/relay.ts';
import type { Box } from './box.ts';
import { type Boxes, createBoxes, placeOf } from './boxes.ts';
import type { TrippedModel } from './breaker.ts';
import { Entry } from './entry.ts';
import { createKeeper, type Keeper } from './keeper.ts';
import { loadOfAll } from './load-of-all.ts';
import { explainPlacement, type PlacementLine, placeAmong, predictFor } from './placement/place.ts';
import { urlWithoutCredentials } from './report.ts';
import { type FleetTuning, usualTuning } from './tuning.ts';
import { type ListedModel, type ListedRunner, unionOfModels, unionOfRunners } from './union.ts';
import { type WarmRule, warmContexts } from './warm.ts';

export interface FleetSetting {
  readonly upstreams: readonly Upstream[];
  readonly platform: Platform;
  /** What this gateway writes into `x-corral-instance`: a box that answers with it is the gateway itself. */
  readonly instanceId: string;
  /** What a probe of this upstream must carry (`host`, a tunnel's credential). Asked once; lower-case names. */
  readonly headersFor?: (upstream: Upstream) => Readonly<Record<string, string>>;
  /** Between two probes of a box that answers. */
  readonly probeIntervalMs?: number;
  readonly tuning?: FleetTuning;
  /** What relays among the boxes want to know. */
  readonly leg?: LegSecrets;
  /** From 0 up to 1; Math.random unless a test says otherwise. */
  readonly jitter?: () => number;
  /** The boxes of all plans; left out, this herd has its own. */
  readonly boxes?: Boxes;
  /** Models that stay in memory. */
  readonly warm?: readonly WarmRule[];
}

/** One box for people: the banner, readiness. */
export interface BoxReport {
  readonly name: string;
  /** Without credentials. */
  readonly url: string;
  /** It answers and nothing is known to keep it from serving. Undefined: not asked yet. */
  readonly isAlive: boolean | undefined;
  /** False: another OpenAI-compatible server. */
  readonly isBox: boolean;
  /** Calls that wait for one of its slots. */
  readonly waiting?: number;
  readonly version: string | undefined;
  /** Names as the box spells them; undefined when its list is not known. */
  readonly models: readonly string[] | undefined;
  /** What is wrong and what to do about it; undefined when nothing is. */
  readonly why: string | undefined;
  readonly mend: string | undefined;
  /** Models that it is asked for last, because it has failed with them several times in a row. */
  readonly tripped?: readonly TrippedModel[];
  /** It is out of service; left out when it serves. */
  readonly isCordoned?: true;
}

/** The whole herd: the fleet as requests see it, and what lists, banner and readiness ask. */
export interface Herd extends Fleet {
  /** Starts asking in the background, where the runtime allows that. */
  start(): void;
  /** Ends all asking, for every plan. What is known stays readable. */
  stop(): void;
  /** The plan's last exchange has ended: boxes that no other plan has are asked no more. */
  release(): void;
  /** Where nothing runs in the background: the probes that are due, for `Peer.waitUntil`. Undefined: nothing to do. */
  catchUp(): Promise<void> | undefined;
  /**
   * Before a list is answered: asks boxes whose state is older than a second and waits 40 ms at most for those that are not
   * known to be gone, 2 s for those never asked before. What takes longer goes on behind the answer: `waitUntil` keeps it
   * alive where nothing runs between requests. Never rejects.
   */
  learn(waitUntil?: (work: Promise<unknown>) => void): Promise<void>;
  /** Every model that a box has, each once, newest first; boxes gone for more than 30 s do not count. */
  models(): readonly ListedModel[];
  /** Every model in memory, each once. */
  running(): readonly ListedRunner[];
  describe(): readonly BoxReport[];
  /** Whether any box answers now: then the demo box is gone. */
  hasAnsweringBox(): boolean;
  /** The last known list of one box; empty when there is none. */
  modelsOn(upstream: Upstream): readonly KnownModel[];
  /** The runner that would serve the model, as last seen: for the warning that it runs on the CPU. */
  runnerOn(upstream: Upstream, model: string): RunningModel | undefined;
  /** What a call to this model with so many tokens would meet now at each box, for people. */
  explain(model: string, promptTokens: number, conversation?: string): readonly PlacementLine[];
  /** A box said that it has not got this model: when it was thought to, its list is asked for again. */
  noteMissing(upstream: Upstream, model: string): void;
}

const freshForMs = 1_000;
const firstWaitMs = 2_000;
const laterWaitMs = 40;
/** Workers allow six connections at once per request, and the request itself needs some. */
const maxCaughtUpAtOnce = 2;

/** The herd with those who look after it. */
export interface TendedHerd extends Herd {
  isRelay(upstream: Upstream): boolean;
  /** What the boxes have to do now, by runner: what a relay tells Corrals in front. */
  load(): RelayLoad;
  readonly keeper: Keeper;
}

export function createFleet(setting: FleetSetting): TendedHerd {
  const { platform } = setting;
  const { clock } = platform;
  const boxes = setting.boxes ?? createBoxes(setting);
  const taken = boxesOf(setting, boxes);
  const asked = taken.filter((box) => box.upstream.kind === 'box');
  const { boxOf } = boxes;
  const wantedContext = warmContexts(setting.warm ?? [], clock);
  let isReleased = false;
  let listed: { key: string; models: readonly ListedModel[] } = { key: '', models: [] };

  return {
    keeper: createKeeper({ boxes: asked, all: boxes, rules: setting.warm ?? [], platform }),
    start: boxes.start,
    stop: boxes.stop,
    release() {
      if (!isReleased) for (const box of taken) boxes.giveBack(box);
      isReleased = true;
    },
    catchUp() {
      const due = asked.filter((box) => box.dueMs <= clock.now()).slice(0, maxCaughtUpAtOnce);
      if (due.length === 0 || platform.hasBackground || boxes.isStopped) return undefined;
      return Promise.all(due.map((box) => box.look())).then(() => undefined);
    },
    async learn(waitUntil) {
      const stale = asked.filter((box) => !box.isDown && box.isStale(freshForMs));
      const looks = stale.map((box) => {
        const patienceMs = box.patienceMs(firstWaitMs, laterWaitMs);
        const look = box.look();
        waitUntil?.(look);
        return within(clock, patienceMs, look);
      });
      // A box that is gone is not waited for, but whoever asks for a list wants to know whether it is back.
      for (const box of asked.filter((one) => one.isDown && !boxes.isStopped)) {
        const look = box.look();
        waitUntil?.(look);
      }
      await Promise.all(looks);
    },
    models() {
      const present = asked.filter((box) => box.isListed);
      const key = present.map((box) => `${box.upstream.name}\n${box.revision}`).join('\n');
      if (key !== listed.key) {
        listed = { key, models: unionOfModels(present.map((box) => ({ name: box.upstream.name, catalogue: box.catalogue }))) };
      }
      return listed.models;
    },
    running: () => unionOfRunners(asked.map((box) => ({ name: box.upstream.name, running: box.running }))),
    describe: () => asked.map((box) => reportOf(box, clock.now())),
    hasAnsweringBox: () => asked.some((box) => box.isAlive === true && box.trouble === undefined),
    modelsOn: (upstream) => [...(boxOf(upstream)?.catalogue?.values() ?? [])],
    runnerOn: (upstream, model) => boxOf(upstream)?.runnerOf(canonicalModel(model)),
    explain: (model, promptTokens, conversation) => explainPlacement(asked, { model, promptTokens, conversation }, clock.now()),
    noteMissing(upstream, model) {
      const box = boxOf(upstream);
      if (box?.hasModel(canonicalModel(model)) === true && box.hurry(0)) boxes.replan(box);
    },

    isBox: (upstream) => boxOf(upstream)?.isBox ?? upstream.kind === 'box',
    isProvenBox: (upstream) => boxOf(upstream)?.isProven ?? false,
    isAlive: (upstream) => boxOf(upstream)?.isAlive,
    hasModel: (upstream, model) => boxOf(upstream)?.hasModel(canonicalModel(model)),
    isRemote: (upstream, model) => boxOf(upstream)?.catalogue?.get(canonicalModel(model))?.remoteHost !== undefined,
    isResident: (upstream, model) => boxOf(upstream)?.isResident(canonicalModel(model)),
    isTripped(upstream, model) {
      const box = boxOf(upstream);
      if (box === undefined) return false;
      const name = canonicalModel(model);
      return box.breaker.isTripped(name, clock.now()) || box.others.isResting(name, clock.now());
    },
    isCordoned: (upstream) => boxOf(upstream)?.duty.isCordoned ?? false,
    factsOf(upstream, model) {
      const digest = boxOf(upstream)?.catalogue?.get(canonicalModel(model))?.digest;
      return digest === undefined ? undefined : boxes.shows.of(digest);
    },
    load: () => loadOfAll(asked, clock.now()),
    isRelay: (upstream) => boxOf(upstream)?.leg.isRelay ?? false,
    async learnLeg(upstream, answer, shown) {
      const box = boxOf(upstream);
      if (box === undefined || !box.leg.isWorthProbe(answer)) return false;
      // What it says of itself counts nowhere: a probe asks for the proof.
      await box.checkAlive();
      return box.leg.mayAskAgain(answer, shown);
    },
    hearLeg: (upstream, headers, shown) => boxOf(upstream)?.leg.hear(headers, shown),
    legHeaders: (upstream, request, caller) => boxOf(upstream)?.leg.headersFor(request, caller),
    inFlight: (upstream) => boxOf(upstream)?.inFlight ?? 0,
    checkAlive: async (upstream) => (await boxOf(upstream)?.checkAlive()) ?? false,
    checkResident: async (upstream, model) => await boxOf(upstream)?.checkResident(canonicalModel(model)),
    noteAnswer(upstream) {
      const box = boxOf(upstream);
      if (box?.noteAnswer() === true) boxes.replan(box);
    },
    noteFailure(upstream: Upstream, error: GatewayError) {
      const box = boxOf(upstream);
      if (box?.noteFailure(error) === true) boxes.replan(box);
    },
    enter(upstream) {
      const box = boxOf(upstream);
      if (box !== undefined) box.passing++;
    },
    leave(upstream) {
      const box = boxOf(upstream);
      if (box !== undefined && box.passing > 0) box.passing--;
    },
    predict(upstream, ask) {
      const box = boxOf(upstream);
      return box === undefined ? undefined : predictFor(box, ask, clock.now());
    },
    place(placed) {
      // As the call will have it (answers/ollama-options.ts): a load beside it with another context would be for nothing.
      const wanted =
        wantedContext === undefined ? placed : placed.map((one) => ({ ...one, ask: withContext(one.ask, wantedContext) }));
      return placeAmong(wanted, boxOf, taken, clock.now(), platform.hasBackground);
    },
    admit(upstream, ask, waiter) {
      const box = boxOf(upstream);
      if (box === undefined) throw new GatewayError('no_backends', `${upstream.name} is not among the boxes of this plan`);
      if (box.duty.isCordoned) throw cordonedError(box.upstream.name);
      const model = canonicalModel(ask.model);
      if (!box.breaker.isQuiet) box.breaker.began(model, clock.now());
      const entry = new Entry(box, model, ask, clock);
      try {
        const admitted = admitTo(entry, ask, waiter);
        if (!(admitted instanceof Promise)) return admitted;
        waiter.onGone(() => entry.left());
        return admitted.catch((thrown) => entry.refused(thrown));
      } catch (thrown) {
        return entry.refused(thrown);
      }
    },
  };
}

function withContext(ask: Ask, contextOf: (model: string) => number | undefined): Ask {
  const numCtx = ask.numCtx ?? contextOf(canonicalModel(ask.model));
  return numCtx === ask.numCtx ? ask : { ...ask, numCtx };
}

/** Several names of one place are one box, named after the first: several routes may name it. */
function boxesOf(
  { upstreams, headersFor, probeIntervalMs = 10_000, tuning = usualTuning, leg = noSecrets }: FleetSetting,
  boxes: Boxes,
): Box[] {
  const byPlace = new Map<string, Box>();
  for (const upstream of upstreams) {
    const headers = headersFor?.(upstream) ?? {};
    const wanted = { upstream, headers, probeIntervalMs, tuning, leg: secretsFor(upstream, leg) };
    const place = placeOf(wanted);
    const known = byPlace.get(place);
    if (known === undefined) byPlace.set(place, boxes.take(wanted));
    else boxes.alias(upstream, known);
  }
  return [...byPlace.values()];
}

function reportOf(box: Box, nowMs: number): BoxReport {
  const { upstream, trouble } = box;
  const advice = trouble === undefined ? undefined : troubleAdvice(upstream, trouble);
  return {
    name: upstream.name,
    url: urlWithoutCredentials(upstream.baseUrl),
    isAlive: trouble === undefined ? box.isAlive : false,
    isBox: box.isBox,
    waiting: box.slots.waiting(),
    version: box.version,
    models: box.catalogue === undefined ? undefined : [...box.catalogue.values()].map((model) => model.name),
    why: advice?.why,
    mend: advice?.mend,
    ...(box.duty.isCordoned && { isCordoned: true as const }),
    ...(box.breaker.openCount > 0 && { tripped: box.breaker.tripped(nowMs) }),
  };
}
