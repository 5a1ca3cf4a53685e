/** One inference request from its admission to its last byte. */
import { Admission, nativeJson } from '../fake-ollama/admission.ts';
import type { Answer } from '../fake-ollama/answer.ts';
import { keepAliveMs, limited, nothingAsked } from '../fake-ollama/asked.ts';
import { embeddingsBody } from '../fake-ollama/embeddings.ts';
import { crashText, type Generation } from '../fake-ollama/generation.ts';
import { GoObject } from '../fake-ollama/go-json.ts';
import type { Surface } from '../fake-ollama/surfaces.ts';
import { inputTextsOf, numCtxOf, promptOf, speechOf } from './asked.ts';
import type { Job, Runner } from './runner.ts';
import { busyText, keyOf, type Scheduler } from './scheduler.ts';
import type { BoxSetting, HerdModel, SimulationClock } from './setting.ts';
import { tokensOf } from './setting.ts';
import { answerWhole, type HerdRequest, type Sink } from './sink.ts';

/** What a run needs of its box. */
export interface RunPlace {
  readonly setting: BoxSetting;
  readonly clock: SimulationClock;
  readonly scheduler: Scheduler;
  readonly models: readonly HerdModel[];
  readonly isBusy: boolean;
  /** How much slower the run is, by what else runs on the box. */
  slownessFor(run: Run): number;
  /** After so many tokens the runner is to die; asked once per generation, as it begins. */
  takeCrash(): number | undefined;
  crash(runner: Runner): void;
  nextSerial(): number;
  readonly runs: Set<Run>;
  count(model: string, seen: { promptTokens: number; outputTokens: number }): void;
}

export class Run {
  readonly #place: RunPlace;
  readonly #surface: Surface;
  readonly #request: HerdRequest;
  readonly #sink: Sink;
  readonly #admission: Admission;
  readonly #serial: number;
  runner: Runner | undefined;
  phase: 'waiting' | 'reading' | 'saying' = 'waiting';
  #job: Job | undefined;
  #leaveScheduler: (() => void) | undefined;
  #cancel: (() => void) | undefined;
  #saidTokens = 0;
  #tokens: readonly string[] = [];
  #hasHead = false;
  #isStream = false;
  #isOver = false;

  constructor(place: RunPlace, surface: Surface, request: HerdRequest, sink: Sink) {
    this.#place = place;
    this.#surface = surface;
    this.#request = request;
    this.#sink = sink;
    this.#serial = place.nextSerial();
    const { models } = place;
    this.#admission = new Admission({ models, cloud: 'disabled', surface, pathname: request.pathname, serial: this.#serial });
  }

  start(): void {
    const body = this.#admission.decode(this.#request.body);
    if (!(body instanceof GoObject)) {
      this.#give(body);
      return;
    }
    const chosen = this.#admission.choose(body);
    if ('statusLine' in chosen) {
      this.#give(chosen);
      return;
    }
    const model: HerdModel = chosen;
    const { pathname } = this.#request;
    const keepMs = keepAliveMs(this.#surface.dialect, body);
    const isLoadOnly = this.#surface.work !== 'embed' && nothingAsked(pathname, body);
    if (isLoadOnly && keepMs === 0) {
      this.#place.scheduler.expire(keyOf(model));
      this.#sayLoaded(body, 'unload');
      return;
    }
    if (this.#place.isBusy) {
      this.#give(this.#admission.late(503, busyText, body));
      return;
    }
    this.#place.runs.add(this);
    this.#leaveScheduler = this.#place.scheduler.acquire({
      model,
      numCtx: numCtxOf(body),
      keepAliveMs: keepMs,
      ready: (runner, loadMs) => {
        this.#leaveScheduler = undefined;
        this.runner = runner;
        if (isLoadOnly) this.#sayLoaded(body, 'load');
        else if (this.#surface.work === 'embed') this.#embed(body, runner);
        else this.#generate(body, runner, loadMs);
      },
      failed: (status, message) => {
        this.#leaveScheduler = undefined;
        this.#give(this.#admission.late(status, message, body));
      },
    });
  }

  /** The client has left. */
  leave(): void {
    if (this.#isOver) return;
    this.#leaveScheduler?.();
    this.#over();
  }

  /** Its runner has died (recordings crash-*): streams end as if nothing had happened, but for a last line on Ollama's own API. */
  crash(): void {
    if (this.#isOver) return;
    const framing = this.#surface.framing;
    if (this.#isStream && this.#hasHead && framing !== undefined) {
      for (const text of framing.stream(this.#generation(new GoObject(), 'stop')).crash) this.#sink.chunk(text);
      this.#over();
      this.#sink.end('clean');
      return;
    }
    this.#give(this.#admission.late(500, crashText, new GoObject()));
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancel?.();
    this.#place.runs.delete(this);
    const { runner } = this;
    if (runner === undefined) return;
    if (this.#job !== undefined) runner.end(this.#job);
    this.#place.scheduler.release(runner);
  }

  #give(answer: Answer): void {
    const [, status = '500'] = /^HTTP\/1\.1 (\d+)/.exec(answer.statusLine) ?? [];
    const headers = Object.fromEntries(answer.headers.filter(([name]) => name === 'Content-Type'));
    let text = '';
    for (const piece of answer.pieces as Iterable<{ bytes: Uint8Array }>) text += new TextDecoder().decode(piece.bytes);
    this.#over();
    answerWhole(this.#sink, Number(status), headers, text);
  }

  #sayLoaded(body: GoObject, finish: 'load' | 'unload'): void {
    const framing = this.#surface.framing;
    this.#over();
    const silent = { ...this.#generation(body, finish), promptTokens: 0, tokens: [] };
    answerWhole(this.#sink, 200, framing?.wholeHeaders ?? nativeJson, framing?.whole(silent) ?? '');
  }

  #embed(body: GoObject, runner: Runner): void {
    const { pathname } = this.#request;
    const inputs = inputTextsOf(pathname, body);
    if (inputs === undefined) {
      this.#give(this.#admission.late(400, 'invalid input type', body));
      return;
    }
    const prompt = inputs.join('\n');
    this.#work(runner, prompt, () => {
      this.phase = 'reading';
      const ms = (tokensOf(prompt) / this.#place.setting.promptTokensPerSecond) * 1_000;
      this.#after(ms * this.#place.slownessFor(this), () => {
        const text = embeddingsBody(pathname, String(body.field('model')), inputs, body);
        // Without input it was a load and nothing else.
        if (inputs.length > 0) this.#place.count(runner.model.name, { promptTokens: inputs.length * 3, outputTokens: 0 });
        this.#over();
        answerWhole(
          this.#sink,
          200,
          this.#surface.dialect === 'native' ? nativeJson : { 'Content-Type': 'application/json' },
          text,
        );
      });
    });
  }

  #generate(body: GoObject, runner: Runner, loadMs: number): void {
    const prompt = promptOf(this.#request.pathname, body);
    const { tokens, finish } = limited(speechOf(runner.model.outputTokens ?? 64), body);
    this.#tokens = tokens;
    this.#isStream = (body.field('stream') ?? this.#surface.streamsByDefault) === true;
    this.#work(runner, prompt, (known) => {
      const told = tokensOf(prompt);
      // An over-long prompt is cut to about half the window, and nothing of it is in the cache then (chat-long-prompt-truncated).
      const isCut = told > runner.contextLength;
      const promptTokens = isCut ? Math.floor(runner.contextLength / 2) + 3 : told;
      const fresh = isCut ? promptTokens : Math.max(1, Math.ceil(promptTokens * (1 - known / Math.max(1, prompt.length))));
      this.phase = 'reading';
      const promptMs = (fresh / this.#place.setting.promptTokensPerSecond) * 1_000 * this.#place.slownessFor(this);
      const crashAfter = this.#place.takeCrash();
      const generation: Generation = { ...this.#generation(body, finish), promptTokens, loadDurationMs: loadMs, promptMs };
      this.#after(promptMs, () => {
        this.phase = 'saying';
        if (this.#isStream) this.#speak(runner, generation, crashAfter);
        else this.#sayWhole(runner, generation, crashAfter);
      });
    });
  }

  /** Waits for a slot. */
  #work(runner: Runner, prompt: string, start: (knownCharacters: number) => void): void {
    const said = () => this.#tokens.slice(0, this.#saidTokens).join('');
    this.#job = { prompt, said, start };
    runner.run(this.#job);
  }

  #sayWhole(runner: Runner, generation: Generation, crashAfter: number | undefined): void {
    const count = Math.min(crashAfter ?? generation.tokens.length, generation.tokens.length);
    const outputMs = this.#tokenMs() * count;
    this.#after(outputMs, () => {
      if (crashAfter !== undefined) {
        this.#place.crash(runner);
        return;
      }
      this.#saidTokens = generation.tokens.length;
      this.#done(runner, generation);
      const framing = this.#surface.framing;
      answerWhole(this.#sink, 200, framing?.wholeHeaders ?? {}, framing?.whole({ ...generation, outputMs }) ?? '');
    });
  }

  #speak(runner: Runner, generation: Generation, crashAfter: number | undefined): void {
    const framing = this.#surface.framing?.stream(generation);
    if (framing === undefined) throw new Error('embeddings do not stream');
    const { tokensPerWrite } = this.#place.setting;
    const last = framing.tokens.length;
    const write = (): void => {
      // The first token opens the stream: until then Ollama sends nothing at all.
      if (!this.#hasHead) {
        this.#hasHead = true;
        this.#sink.head(200, framing.headers);
        for (const text of framing.open) this.#sink.chunk(text);
      }
      const to = this.#nextStop(last, crashAfter, tokensPerWrite);
      this.#sink.chunk(framing.tokens.slice(this.#saidTokens, to).join(''));
      this.#saidTokens = to;
      if (crashAfter !== undefined && to >= Math.min(crashAfter, last)) {
        this.#place.crash(runner);
        return;
      }
      if (to < last) {
        next();
        return;
      }
      this.#done(runner, generation);
      this.#sink.chunk(framing.close.join(''));
      this.#sink.end('clean');
    };
    const next = (): void => {
      const tokens = this.#nextStop(last, crashAfter, tokensPerWrite) - this.#saidTokens;
      this.#after(this.#tokenMs() * Math.max(1, tokens), write);
    };
    if (crashAfter === 0) this.#place.crash(runner);
    else next();
  }

  /** The first token travels alone: it is what clients wait for. */
  #nextStop(last: number, crashAfter: number | undefined, tokensPerWrite: number): number {
    return Math.min(last, crashAfter ?? last, this.#saidTokens === 0 ? 1 : this.#saidTokens + tokensPerWrite);
  }

  #done(runner: Runner, generation: Generation): void {
    this.#place.count(runner.model.name, { promptTokens: generation.promptTokens, outputTokens: generation.tokens.length });
    this.#over();
  }

  #tokenMs(): number {
    return (1_000 / this.#place.setting.tokensPerSecond) * this.#place.slownessFor(this);
  }

  #after(delayMs: number, task: () => void): void {
    this.#cancel = this.#place.clock.after(delayMs, () => {
      this.#cancel = undefined;
      task();
    });
  }

  #generation(body: GoObject, finish: Generation['finish']): Generation {
    const streamOptions = body.field('stream_options');
    return {
      model: String(body.field('model') ?? ''),
      tokens: this.#tokens,
      finish,
      promptTokens: 0,
      serial: this.#serial,
      startedAtMs: this.#place.clock.wallTime(),
      loadDurationMs: 0,
      includeUsage: streamOptions instanceof GoObject && streamOptions.field('include_usage') === true,
      maxOutputTokens: null,
      temperature: 1,
    };
  }
}
