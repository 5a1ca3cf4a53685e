/**
 * How many calls a box serves at once for one model (OLLAMA_NUM_PARALLEL, 1 unless set), learnt from when first bytes come.
 * Calls beyond that wait in a queue of Ollama's own, without a limit (Ollama llm/llama_server.go), and the box tells nobody.
 * Pure: time is handed in.
 *
 * Nothing known: 8 calls at once, more as soon as more are seen to be served at once, and with every call that ends while all
 * places are taken, as TCP's slow start does. Evidence that the box is full: a call got its first byte only when another one
 * had ended, and so again and again, while never more than some number of streams ran side by side. That number is what the
 * box serves. One more call is let in then, which waits in the box: no slot stands idle between two calls, and should that
 * one get its first byte although the box was thought to be full, the number was wrong and grows.
 *
 * Answers that come in one piece tell nothing: their first byte is their end. So they neither are evidence nor outweigh it for
 * a long time.
 */
export interface Run {
  /** When the call was let in. */
  sentMs: number;
  /** When its first byte came; below 0: not yet. */
  beganMs: number;
  /** What its beginning said of the box: above 0 that it was full. It counts once the call has proved to be a stream. */
  evidence: number;
  /** From whatever kept it from beginning, to its beginning. */
  delayMs: number;
}

const startLimit = 8;
export const maxLimit = 1_024;
/** So much evidence convinces: four calls that began right after another one's end, or twelve that began some time after. */
const convincing = 12;
const maxScore = 24;
const strong = 3;
const weak = 1;
/** A shorter wait proves nothing. */
const minWaitedMs = 20;
/** The most calls at once are those of the last 64 to 128 beginnings that had others waiting behind them. */
const spanBegins = 64;
/** Without fresh evidence one more call is let in after so many answers in one piece, and after so many more of those all doubt it. */
const wholesPerDoubt = 64;
const maxDoubts = 8;
/** So many beginnings in a row that a full box would not have allowed. */
const maxRaises = 3;

export class Parallel {
  inFlight = 0;
  #active = 0;
  #most = 0;
  #mostBefore = 0;
  #begins = 0;
  #limit = startLimit;
  #isFull = false;
  #score = 0;
  #raises = 0;
  #wholes = 0;
  #lastEndMs = Number.NEGATIVE_INFINITY;
  /** Since when as many streams run as ever do. */
  #busySinceMs = Number.POSITIVE_INFINITY;
  /** When one of those ended while others waited, and since when they had run. */
  #freedMs = Number.NEGATIVE_INFINITY;
  #freedFromMs = Number.POSITIVE_INFINITY;

  /** Calls to let in at once. */
  get limit(): number {
    return this.#limit;
  }

  /** How many the box serves at once; undefined: not known. */
  get learnt(): number | undefined {
    return this.#isFull ? this.#mostEver : undefined;
  }

  /** Whether anything is known that a new one would not know. */
  get hasLearnt(): boolean {
    return this.#isFull || this.#limit !== startLimit;
  }

  /** Lets one more in where nothing says that the box is full. False: there is no room. */
  makeRoom(): boolean {
    if (this.#isFull || this.#limit >= maxLimit) return false;
    this.#limit++;
    return true;
  }

  sent(run: Run, nowMs: number): void {
    run.sentMs = nowMs;
    this.inFlight++;
  }

  began(run: Run, nowMs: number): void {
    if (run.beganMs >= 0) return;
    run.beganMs = nowMs;
    this.#active++;
    if (this.#active > this.#mostEver) {
      this.#foundMore(nowMs);
      return;
    }
    run.evidence = this.#judge(run, nowMs);
    run.delayMs = nowMs - Math.max(run.sentMs, this.#lastEndMs);
    if (this.#active === this.#mostEver) this.#busySinceMs = nowMs;
    // Only where more would have been possible does it mean anything that there were not more.
    if (this.inFlight > this.#active && ++this.#begins >= spanBegins) this.#turnSpan();
  }

  ended(run: Run, nowMs: number): void {
    const wasBinding = this.inFlight >= this.#limit;
    this.inFlight--;
    if (run.beganMs < 0) return;
    if (this.#active === this.#mostEver && this.inFlight >= this.#active) {
      this.#freedMs = nowMs;
      this.#freedFromMs = this.#busySinceMs;
    }
    this.#active--;
    this.#lastEndMs = nowMs;
    const streamedMs = nowMs - run.beganMs;
    const isWhole = streamedMs < 5 || streamedMs < run.delayMs / 10;
    const evidence = isWhole ? 0 : run.evidence;
    if (evidence !== 0) this.#weigh(evidence);
    if (evidence > 0 || !wasBinding) return;
    if (!this.#isFull) this.#limit = Math.min(maxLimit, this.#limit + 1);
    else if (isWhole) this.#doubt();
  }

  get #mostEver(): number {
    return Math.max(this.#most, this.#mostBefore);
  }

  #judge({ sentMs }: Run, nowMs: number): number {
    // Nothing ended while it waited: it was not kept from beginning.
    if (sentMs > this.#lastEndMs) return 0;
    const waitedMs = this.#freedMs - Math.max(sentMs, this.#freedFromMs);
    if (waitedMs >= minWaitedMs && waitedMs >= 3 * (nowMs - this.#freedMs)) return strong;
    return this.#active === this.#mostEver ? weak : -weak;
  }

  #foundMore(nowMs: number): void {
    this.#most = this.#active;
    this.#busySinceMs = nowMs;
    this.#score = 0;
    if (!this.#isFull) this.#limit = Math.min(maxLimit, Math.max(this.#limit, 2 * this.#active));
    else if (++this.#raises >= maxRaises) this.#forget();
    else this.#limit = Math.min(maxLimit, this.#active + 1);
  }

  #weigh(evidence: number): void {
    this.#score = Math.max(0, Math.min(maxScore, this.#score + evidence));
    if (evidence > 0) {
      this.#raises = 0;
      this.#wholes = 0;
    }
    if (this.#score >= convincing) this.#isFull = true;
    // A number that has just grown has no score yet and stands all the same.
    else if (this.#isFull && this.#score === 0 && evidence < 0) this.#forget();
    if (this.#isFull && evidence > 0) this.#limit = this.#mostEver + 1;
  }

  #doubt(): void {
    if (++this.#wholes % wholesPerDoubt !== 0) return;
    this.#limit = Math.min(maxLimit, this.#limit + 1);
    if (this.#wholes >= maxDoubts * wholesPerDoubt) this.#forget();
  }

  #forget(): void {
    this.#isFull = false;
    this.#score = 0;
    this.#raises = 0;
    this.#wholes = 0;
    this.#limit = Math.min(maxLimit, Math.max(startLimit, this.#limit, 2 * this.#active));
  }

  #turnSpan(): void {
    this.#begins = 0;
    this.#mostBefore = this.#most;
    this.#most = this.#active;
    this.#busySinceMs = Number.POSITIVE_INFINITY;
  }
}
