/** One box: what is known of it, since when, and how to ask it. Model names are canonical here. */
import { GatewayError } from '../errors.ts';
import type { KnownModel, Upstream } from '../exchange.ts';
import type { Platform } from '../platform.ts';
import { catalogueOf, type RunningModel, runningOf, standingOf } from './asking/answers.ts';
import { type Answer, ask, joinable, type Question, type Stop, within } from './asking/ask.ts';
import { legTrouble } from './asking/leg-trouble.ts';
import { firstRetryMs, isDeadly, Liveness } from './asking/liveness.ts';
import { type LegSecrets, noSecrets, RelayLeg } from './asking/relay.ts';
import type { Shows } from './asking/shows.ts';
import { ToldLoad } from './asking/told-load.ts';
import { Breaker } from './breaker.ts';
import { Duty } from './duty.ts';
import { createLoads, type LoadingPlace, type Loads } from './loads/loads.ts';
import { Memory } from './memory.ts';
import type { BoxOwner } from './owner.ts';
import { Rates } from './rates/rates.ts';
import { createSlots, type Slots } from './slots/slots.ts';
import type { FleetTuning } from './tuning.ts';
import type { WarmTry } from './warm-try.ts';

export interface BoxSetting {
  readonly upstream: Upstream;
  readonly platform: Platform;
  /** What Corral itself writes into `x-corral-instance`. */
  readonly instanceId: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly probeIntervalMs: number;
  readonly tuning: FleetTuning;
  /** From 0 up to 1; spreads the probes of many boxes and many gateways. */
  readonly jitter: () => number;
  readonly stop: Stop;
  readonly leg?: LegSecrets | undefined;
  readonly owner?: BoxOwner | undefined;
  /** What models can do, for all boxes together. */
  readonly shows?: Shows;
  /** The box lists something else than before. */
  readonly onChange?: () => void;
}

/** With the quarter of a second after which a call doubts its box: 2.15 s until another one is asked, where 2.2 are allowed (T4). */
const versionLimitMs = 1_900;
const runningLimitMs = 2_000;
const listLimitMs = 5_000;
const maxVersionBytes = 4 * 1024;
const maxListBytes = 16 * 1024 * 1024;
const showLimitMs = 10_000;
const maxShowBytes = 1024 * 1024;
/** A box with many models is not asked for all of them in a row. */
const showsAtOnce = 200;
/** Where a request carries the look, it has few connections to give away. */
const showsPerRequest = 2;
const maxPostedBytes = 256 * 1024;
/** What is older than this is not known any more. */
const listLastsMs = 60_000;
const never = Number.NEGATIVE_INFINITY;

/** What differs from question to question; without `stop` it ends with all asking. */
type Asked = Pick<Question, 'json' | 'limitMs' | 'maxBytes'> & Partial<Pick<Question, 'stop'>>;

export class Box implements LoadingPlace {
  /** As the newest plan names it. */
  upstream: Upstream;
  /** As the newest plan has it. */
  tuning: FleetTuning;
  /** Answers under way that no lease counts: of upstreams that are no boxes. */
  passing = 0;
  readonly slots: Slots;
  readonly loads: Loads;
  readonly breaker: Breaker;
  /** How fast it is, and what goes into its memory, as far as seen. */
  readonly rates: Rates;
  /** What is in its memory, and what fits into it. */
  readonly memory: Memory;
  readonly duty = new Duty();
  /** Of loads that keep a model warm, by model. */
  readonly warming = new Map<string, WarmTry>();
  /** The way to it, where a relay stands before it. */
  readonly leg: RelayLeg;
  /** What the relay or the owner has told of calls that others have there. */
  readonly others = new ToldLoad(() => this.slots.load());
  /** Who says who may come; undefined: this process, or a relay. */
  readonly owner: BoxOwner | undefined;
  /** When the next look is due, on the clock. */
  dueMs = never;
  /** Grows with every change of what the box lists. */
  revision = 0;
  version: string | undefined;
  /** The last list of models, however old; undefined when there never was one. */
  catalogue: ReadonlyMap<string, KnownModel> | undefined;

  /** Asks whether the box answers `/api/version`, 2 s at most. */
  readonly checkAlive: () => Promise<boolean>;
  /** Asks everything: is it there, is it Ollama, what does it have, what has it in memory. Never rejects. */
  readonly look: () => Promise<void>;
  readonly #askList: () => Promise<boolean>;
  readonly #askRunning: () => Promise<boolean>;

  readonly #setting: BoxSetting;
  #probeIntervalMs: number;
  #headers: Readonly<Record<string, string>>;
  readonly #liveness: Liveness;
  #isOllama: boolean | undefined;
  #isSelf = false;
  #catalogueMs = never;
  #lookStartedMs = never;
  #lookedMs = never;

  constructor(setting: BoxSetting) {
    const { platform, jitter } = setting;
    this.#setting = setting;
    this.#headers = setting.headers;
    this.leg = new RelayLeg(platform.clock, undefined, this.others);
    this.leg.adopt(setting.leg ?? noSecrets);
    this.owner = setting.owner;
    this.breaker = new Breaker(jitter, {
      opened: (model, forMs, failures, why) =>
        platform.report(
          'warn',
          `breaker: ${this.upstream.name} is asked last for ${model.slice(0, 200)} for ${(forMs / 1_000).toFixed(1)} s: ${failures} failures in a row, the last: ${why}`,
        ),
      closed: (model) => platform.report('info', `breaker: ${this.upstream.name} serves ${model.slice(0, 200)} again`),
    });
    this.memory = new Memory(() => this.catalogue, platform.clock);
    this.#liveness = new Liveness({
      gone: (trouble) => platform.report('warn', `fleet: ${this.upstream.name} does not answer any more: ${trouble.message}`),
      back: (goneMs) =>
        platform.report('info', `fleet: ${this.upstream.name} is back after ${Math.max(1, Math.round(goneMs / 1_000))} s`),
    });
    this.rates = new Rates(
      () => platform.clock.now(),
      () => {
        if (platform.hasBackground) void this.#askRunning();
      },
    );
    this.upstream = setting.upstream;
    this.tuning = setting.tuning;
    this.slots = createSlots({
      clock: platform.clock,
      hasBackground: platform.hasBackground,
      box: this,
      runnerKey: (model) => this.runnerKeyOf(model),
    });
    this.#probeIntervalMs = setting.probeIntervalMs;
    this.loads = createLoads(this, platform);
    this.checkAlive = joinable(platform, () => this.#readVersion());
    this.#askList = joinable(platform, () => this.#readList());
    this.#askRunning = joinable(platform, () => this.#readRunning());
    this.look = joinable(platform, () => this.#readAll());
  }

  /** A later plan has the same box, perhaps by another name. */
  adopt({
    upstream,
    headers,
    probeIntervalMs,
    tuning,
    leg = noSecrets,
  }: Pick<BoxSetting, 'upstream' | 'headers' | 'probeIntervalMs' | 'tuning' | 'leg'>): void {
    this.leg.adopt(leg);
    this.upstream = upstream;
    this.#headers = headers;
    this.#probeIntervalMs = probeIntervalMs;
    this.tuning = tuning;
  }

  get isOwnedElsewhere(): boolean {
    return this.owner !== undefined || this.leg.isRelay;
  }

  get inFlight(): number {
    return this.passing + this.slots.busy();
  }

  get isBox(): boolean {
    return this.upstream.kind === 'box' && this.#isOllama !== false;
  }

  /** A probe has found Ollama there; once found, it stays so until something else answers. */
  get isProven(): boolean {
    return this.upstream.kind === 'box' && this.#isOllama === true;
  }

  get isAlive(): boolean | undefined {
    return this.#isSelf ? false : this.#liveness.isUp(this.#nowMs);
  }

  get isDown(): boolean {
    return this.isAlive === false;
  }

  /** Whether what the box has belongs into the lists: it is there, or was until a moment ago. */
  get isListed(): boolean {
    return !this.#isSelf && this.#liveness.isForgiven(this.#nowMs);
  }

  /** What keeps the box from serving, as far as known. */
  get trouble(): GatewayError | undefined {
    return this.#liveness.trouble;
  }

  /** What was in memory when last asked; empty when the box is gone. */
  get running(): readonly RunningModel[] {
    return this.isDown ? [] : this.memory.running;
  }

  hasModel(model: string): boolean | undefined {
    if (this.catalogue === undefined) return undefined;
    // A box that is gone cannot be asked again: what it had is the best guess.
    if (!this.isDown && this.#nowMs - this.#catalogueMs > listLastsMs) return undefined;
    return this.catalogue.has(model);
  }

  isResident(model: string): boolean | undefined {
    return this.isDown ? undefined : this.memory.isResident(model);
  }

  runnerKeyOf(model: string): string {
    return this.memory.runnerKeyOf(model);
  }

  isLost(model: string): boolean {
    return this.memory.isLost(model);
  }

  noteFound(model: string): void {
    this.memory.noteFound(model);
  }

  busyWith(model: string): number {
    return this.slots.busy(model);
  }

  mayClash(model: string, loading: readonly string[]): boolean {
    return this.memory.mayClash(model, loading, this.upstream.box);
  }

  holds(model: string, numCtx: number | undefined): boolean | undefined {
    return this.isDown ? undefined : this.memory.holds(model, numCtx);
  }

  runnerOf(model: string): RunningModel | undefined {
    return this.memory.runnerOf(model);
  }

  /** Digest of the file of its weights, which is not the model's own; undefined: not known (yet). */
  blobOf(model: string): string | undefined {
    const digest = this.catalogue?.get(model)?.digest;
    return digest === undefined ? undefined : this.#setting.shows?.of(digest)?.blob;
  }

  /** Whether the model is known not to be able to do all of this. */
  lacks(model: string, needs: readonly string[]): boolean {
    const digest = this.catalogue?.get(model)?.digest;
    const able = digest === undefined ? undefined : this.#setting.shows?.of(digest)?.capabilities;
    return able !== undefined && needs.some((need) => !able.includes(need));
  }

  /** Asks what is in memory now, 2 s at most. Undefined: the box did not tell. */
  async checkResident(model: string): Promise<boolean | undefined> {
    const asked = this.#askRunning();
    // Without the list of models, names of one blob could not be told to be one.
    if (this.catalogue === undefined) await within(this.#setting.platform.clock, runningLimitMs, this.#askList());
    return (await asked) ? this.runnerOf(model) !== undefined : undefined;
  }

  /** One request of Corral's own. Never rejects; what is there when `limitMs` is over is upstream_silent. */
  post(path: string, json: string, limitMs: number, stop: Stop): Promise<Answer | GatewayError> {
    return this.#ask(path, { json, limitMs, maxBytes: maxPostedBytes, stop });
  }

  noteLoad(model: string, durationMs: number): void {
    this.rates.loadEnded(this.catalogue?.get(model)?.sizeBytes ?? 0, durationMs);
  }

  /** What the box tells of one model. Never rejects. */
  show(model: string): Promise<Answer | GatewayError> {
    return this.#ask('/api/show', { json: JSON.stringify({ model }), limitMs: showLimitMs, maxBytes: maxShowBytes });
  }

  /** Asks everything anew: a look that began before now may have seen what was there before. */
  async lookAgain(): Promise<void> {
    if (this.#lookStartedMs > this.#lookedMs) await this.look();
    await this.look();
  }

  /** How long ago it was looked at last; undefined: never. */
  get lookedAgoMs(): number | undefined {
    return this.#lookedMs === never ? undefined : this.#nowMs - this.#lookedMs;
  }

  /** Whether what is known is older than `maxAgeMs`. */
  isStale(maxAgeMs: number): boolean {
    return this.#nowMs - this.#lookedMs > maxAgeMs;
  }

  /** How long a list may wait for this box: `firstMs` in all for the very first look, `laterMs` for later ones. */
  patienceMs(firstMs: number, laterMs: number): number {
    if (this.#lookedMs !== never) return laterMs;
    const begunMs = this.#lookStartedMs === never ? 0 : this.#nowMs - this.#lookStartedMs;
    return Math.max(firstMs - begunMs, laterMs);
  }

  /** Returns whether the box is back, so that it should be looked at now. */
  noteAnswer(): boolean {
    if (this.#isSelf || !this.#liveness.heard(this.#nowMs)) return false;
    this.dueMs = this.#nowMs;
    return true;
  }

  /** Returns whether the next look should come sooner than planned. */
  noteFailure(error: GatewayError): boolean {
    const wasDown = this.isDown;
    if (isDeadly(error)) this.#liveness.down(this.#nowMs, error);
    else if (error.code !== 'upstream_unavailable' && error.code !== 'upstream_foreign_host') return false;
    return !wasDown && this.hurry(firstRetryMs);
  }

  /** Brings the next look forward to `delayMs` from now, but never to less than a second after the last. */
  hurry(delayMs: number): boolean {
    const dueMs = Math.max(this.#nowMs + delayMs, this.#lookedMs + firstRetryMs);
    if (dueMs >= this.dueMs) return false;
    this.dueMs = dueMs;
    return true;
  }

  get #nowMs(): number {
    return this.#setting.platform.clock.now();
  }

  async #readAll(): Promise<void> {
    const { jitter } = this.#setting;
    this.#lookStartedMs = this.#nowMs;
    // Until this look is over nobody else needs to begin one.
    this.dueMs = this.#nowMs + listLimitMs;
    if (this.isAlive === true && this.#isOllama === true) {
      await Promise.all([this.checkAlive(), this.#askList(), this.#askRunning()]);
    } else {
      // A stranger is first asked who it is: it might be Corral itself, which would ask on and on.
      await this.checkAlive();
      if (this.isAlive === true && this.#isOllama === true) await Promise.all([this.#askList(), this.#askRunning()]);
    }
    this.#lookedMs = this.#nowMs;
    const { shows, platform } = this.#setting;
    if (this.isProven && !this.isDown) {
      // Behind the look, which others wait for.
      if (platform.hasBackground) void shows?.learn(this, showsAtOnce);
      else await shows?.learn(this, showsPerRequest);
    }
    this.dueMs = this.#nowMs + this.#liveness.pauseMs(this.#probeIntervalMs) * (0.9 + 0.2 * jitter());
  }

  async #readVersion(): Promise<boolean> {
    let answer = await this.#ask('/api/version', { limitMs: versionLimitMs, maxBytes: maxVersionBytes });
    // A relay asks for what others shall not see.
    if (!(answer instanceof GatewayError) && this.leg.mayAskAgain(answer, answer.shown))
      answer = await this.#ask('/api/version', { limitMs: versionLimitMs, maxBytes: maxVersionBytes });
    if (!this.#setting.stop.isStopped) this.#judge(answer);
    return this.isAlive === true;
  }

  #judge(answer: Answer | GatewayError): void {
    const { upstream } = this;
    const { instanceId } = this.#setting;
    this.#isSelf = !(answer instanceof GatewayError) && answer.headers.get('x-corral-instance') === instanceId;
    if (answer instanceof GatewayError) {
      this.#liveness.down(this.#nowMs, answer);
    } else if (this.#isSelf) {
      this.#liveness.down(this.#nowMs, new GatewayError('loop_detected', `${upstream.name} is this gateway itself`));
    } else if (upstream.kind !== 'box') {
      this.#liveness.up(this.#nowMs);
    } else {
      this.#judgeStanding(answer);
    }
  }

  #judgeStanding(answer: Answer): void {
    const trouble = legTrouble(answer, answer.text, this.upstream.name);
    if (trouble !== undefined) {
      this.#liveness.down(this.#nowMs, trouble);
      return;
    }
    const standing = standingOf(answer, this.upstream.name);
    if (standing.is === 'unreachable') {
      this.#liveness.down(this.#nowMs, standing.trouble);
      return;
    }
    this.#liveness.up(this.#nowMs, standing.is === 'unclear' ? standing.trouble : undefined);
    if (standing.is === 'unclear') return;
    this.#isOllama = standing.is === 'box';
    this.version = standing.is === 'box' ? standing.version : undefined;
    if (standing.is === 'other') this.#learnList(undefined);
  }

  async #readList(): Promise<boolean> {
    const answer = await this.#ask('/api/tags', { limitMs: listLimitMs, maxBytes: maxListBytes });
    const catalogue = answer instanceof GatewayError ? undefined : catalogueOf(answer);
    if (catalogue !== undefined) this.#learnList(catalogue);
    return catalogue !== undefined;
  }

  #learnList(catalogue: ReadonlyMap<string, KnownModel> | undefined): void {
    this.#catalogueMs = this.#nowMs;
    if (isSameList(this.catalogue, catalogue)) return;
    this.catalogue = catalogue;
    this.revision++;
    this.#setting.onChange?.();
  }

  async #readRunning(): Promise<boolean> {
    const answer = await this.#ask('/api/ps', { limitMs: runningLimitMs, maxBytes: maxListBytes });
    const running = answer instanceof GatewayError ? undefined : runningOf(answer);
    if (running === undefined) return false;
    this.memory.saw(running, this.loads.underWay().length > 0);
    return true;
  }

  #ask(path: string, asked: Asked): Promise<Answer | GatewayError> {
    const { platform, stop } = this.#setting;
    const { upstream, leg } = this;
    return ask(platform, { stop, ...asked, upstream, path, headers: this.#headers, leg });
  }
}

/** Probes come every few seconds and nearly always tell what is known already. */
function isSameList(
  known: ReadonlyMap<string, KnownModel> | undefined,
  told: ReadonlyMap<string, KnownModel> | undefined,
): boolean {
  if (known === undefined || told === undefined) return known === told;
  if (known.size !== told.size) return false;
  for (const [key, { tag }] of told) if (known.get(key)?.tag !== tag) return false;
  return true;
}
