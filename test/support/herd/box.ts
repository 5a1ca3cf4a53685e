/** One simulated Ollama box, driven by a clock: requests come in, its answers go into their sinks. See README.md beside this file. */

import type { Answer } from '../fake-ollama/answer.ts';
import { listAnswer } from '../fake-ollama/lists.ts';
import { detailsOf, digestOf, displayName } from '../fake-ollama/models.ts';
import { routerAnswer } from '../fake-ollama/paths.ts';
import { surfaces } from '../fake-ollama/surfaces.ts';
import { Run, type RunPlace } from './run.ts';
import type { Runner } from './runner.ts';
import { Scheduler } from './scheduler.ts';
import { type BoxSetting, type HerdModel, type SimulationClock, usualBox } from './setting.ts';
import { answerWhole, type HerdRequest, type Sink } from './sink.ts';
import { throughTunnel } from './tunnel.ts';

/** What a box has counted by itself. */
export interface BoxLedger {
  /** Answers that were said to their end. */
  readonly completed: number;
  readonly promptTokens: number;
  readonly outputTokens: number;
}

export class SimulatedBox {
  readonly setting: BoxSetting;
  readonly scheduler: Scheduler;
  /** up · refusing: nobody listens there · silent: a black hole, connections neither open nor close. */
  state: 'up' | 'refusing' | 'silent' = 'up';
  /** Every inference gets 503. */
  isBusy = false;
  models: readonly HerdModel[];
  readonly ledger: Map<string, BoxLedger> = new Map();
  readonly #clock: SimulationClock;
  readonly #runs = new Set<Run>();
  readonly #open = new Map<Sink, () => void>();
  readonly #crashes: number[] = [];
  readonly #place: RunPlace;
  #serial = 400;
  requests = 0;
  inferences = 0;

  constructor(setting: Partial<BoxSetting> & Pick<BoxSetting, 'url'>, clock: SimulationClock) {
    this.setting = { ...usualBox, ...setting };
    this.models = this.setting.models;
    this.#clock = clock;
    this.scheduler = new Scheduler(this.setting, clock);
    this.#place = this.#placeOfRuns();
  }

  /** Requests that wait for an answer or get one just now, by the box's own count. */
  get open(): number {
    return this.#open.size;
  }

  get completed(): number {
    let sum = 0;
    for (const { completed } of this.ledger.values()) sum += completed;
    return sum;
  }

  /** Generations at work. */
  get active(): number {
    let sum = 0;
    for (const runner of this.scheduler.runners.values()) sum += runner.active;
    return sum;
  }

  /** Takes a request; the returned function is the client's leaving. */
  take(request: HerdRequest, client: Sink): () => void {
    const { tunnelSilenceMs } = this.setting;
    if (tunnelSilenceMs === undefined) return this.#take(request, client);
    return throughTunnel({ silenceMs: tunnelSilenceMs, clock: this.#clock, isDown: this.state === 'refusing' }, client, (sink) =>
      this.#take(request, sink),
    );
  }

  /** The runner that has this model dies. */
  crashRunner(model: string): void {
    for (const runner of this.scheduler.runners.values()) if (runner.model.name === model) this.#crash(runner);
  }

  /** The next generation's runner dies after so many tokens. */
  crashNext(afterTokens: number): void {
    this.#crashes.push(afterTokens);
  }

  /** The machine goes: `ollama serve` ends and all connections with it, or the network swallows everything. */
  die(how: 'refusing' | 'silent' = 'refusing'): void {
    this.state = how;
    const open = [...this.#open];
    // Whoever was in the black hole when it opened never hears again; only its own leaving ends it.
    if (how === 'refusing') this.#open.clear();
    for (const run of [...this.#runs]) run.leave();
    this.scheduler.reset();
    if (how === 'refusing') for (const [sink] of open) sink.end('cut');
  }

  /** It is there again, with nothing in memory. */
  comeBack(): void {
    this.state = 'up';
    this.scheduler.faults.outOfMemory = false;
    this.scheduler.faults.slowness = 1;
    this.isBusy = false;
    this.#crashes.length = 0;
  }

  #take(request: HerdRequest, client: Sink): () => void {
    this.requests++;
    let isOver = false;
    const sink: Sink = {
      head: (status, headers) => {
        if (!isOver && this.state === 'up') client.head(status, headers);
      },
      chunk: (text) => {
        if (!isOver && this.state === 'up') client.chunk(text);
      },
      end: (how) => {
        if (isOver || this.state === 'silent') return;
        isOver = true;
        this.#open.delete(sink);
        client.end(how);
      },
    };
    let run: Run | undefined;
    const leave = (): void => {
      if (isOver) return;
      isOver = true;
      this.#open.delete(sink);
      run?.leave();
    };
    this.#open.set(sink, leave);
    if (this.state !== 'up') return leave;
    const surface = surfaces[request.pathname];
    if (surface === undefined || request.method !== 'POST') this.#answerList(request, sink);
    else {
      this.inferences++;
      run = new Run(this.#place, surface, request, sink);
      run.start();
    }
    return leave;
  }

  #answerList(request: HerdRequest, sink: Sink): void {
    const { method, pathname, body } = request;
    if (method === 'GET' && pathname === '/api/ps') {
      answerWhole(sink, 200, { 'Content-Type': 'application/json; charset=utf-8' }, JSON.stringify({ models: this.#listed() }));
      return;
    }
    const box = { models: this.models, runners: { listed: () => [] }, version: this.setting.version };
    give(sink, routerAnswer(method, pathname) ?? listAnswer(box, method, pathname, body));
  }

  /** Loading models are not listed, crashed ones are (recordings ps-during-load, crash-ps-right-after). */
  #listed(): Record<string, unknown>[] {
    return [...this.scheduler.runners.values()]
      .filter(({ isLoading }) => !isLoading)
      .sort((a, b) => b.expiresAtMs - a.expiresAtMs)
      .map(({ model, bytes, expiresAtMs, contextLength }) => ({
        name: displayName(model),
        model: displayName(model),
        size: bytes,
        digest: digestOf(model),
        details: detailsOf(model),
        expires_at: new Date(Math.min(expiresAtMs, 8.64e15)).toISOString(),
        size_vram: Math.min(bytes, this.setting.vramBytes),
        context_length: contextLength,
      }));
  }

  #crash(runner: Runner): void {
    runner.hasCrashed = true;
    for (const run of [...this.#runs]) if (run.runner === runner) run.crash();
  }

  /**
   * The chip is shared. Two prompts are read at half the speed each; answers of one model are written together, nearly for the price of
   * one; another model's take turns; and whoever writes waits for pieces of the prompts that are read meanwhile.
   */
  #slownessOf(run: Run): number {
    const { sharedCost, foreignCost, readingCost } = this.setting;
    let slowness = 1;
    for (const other of this.#runs) {
      if (other === run || other.phase === 'waiting') continue;
      if (other.phase === 'reading') slowness += run.phase === 'reading' ? 1 : readingCost;
      else slowness += other.runner === run.runner ? sharedCost : foreignCost;
    }
    return slowness;
  }

  #placeOfRuns(): RunPlace {
    const box = this;
    return {
      setting: this.setting,
      clock: this.#clock,
      scheduler: this.scheduler,
      runs: this.#runs,
      get models() {
        return box.models;
      },
      get isBusy() {
        return box.isBusy;
      },
      slownessFor: (run) => this.#slownessOf(run),
      takeCrash: () => this.#crashes.shift(),
      crash: (runner) => this.#crash(runner),
      nextSerial: () => ++this.#serial,
      count: (model, { promptTokens, outputTokens }) => {
        const before = this.ledger.get(model);
        this.ledger.set(model, {
          completed: (before?.completed ?? 0) + 1,
          promptTokens: (before?.promptTokens ?? 0) + promptTokens,
          outputTokens: (before?.outputTokens ?? 0) + outputTokens,
        });
      },
    };
  }
}

function give(sink: Sink, answer: Answer | undefined): void {
  if (answer === undefined) {
    answerWhole(sink, 200, { 'Content-Type': 'application/json; charset=utf-8' }, '{"status":"success"}');
    return;
  }
  let text = '';
  for (const piece of answer.pieces as Iterable<{ bytes: Uint8Array }>) text += new TextDecoder().decode(piece.bytes);
  const type = answer.headers.find(([name]) => name === 'Content-Type');
  answerWhole(sink, Number(answer.statusLine.slice(9, 12)), type === undefined ? {} : { 'Content-Type': type[1] }, text);
}
