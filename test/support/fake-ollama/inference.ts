import { Admission, nativeJson } from './admission.ts';
import { type Answer, type BodyPiece, streamAnswer, wholeAnswer } from './answer.ts';
import { keepAliveMs, limited, nothingAsked } from './asked.ts';
import { embeddingsBody, inputsOf } from './embeddings.ts';
import type { Faults } from './faults.ts';
import { crashText, type Generation } from './generation.ts';
import { GoObject } from './go-json.ts';
import { canonicalName, defaultTokens, type FakeModel } from './models.ts';
import type { ReceivedRequest } from './received.ts';
import type { ResidentModel, Runners } from './runners.ts';
import type { Slots } from './slots.ts';
import { type Surface, surfaces } from './surfaces.ts';
import { pause, whenAborted } from './writer.ts';

export interface InferenceBox {
  readonly models: readonly FakeModel[];
  readonly runners: Runners;
  readonly slots: Slots;
  readonly promptTokens: number;
  readonly cloud: 'offline' | 'disabled';
  nextSerial(): number;
}

/** True for the paths that make a model work. */
export function isInference(pathname: string): boolean {
  return Object.hasOwn(surfaces, pathname);
}

/** Runs one inference request; undefined when the client left before there was anything to say. */
export async function infer(
  box: InferenceBox,
  pathname: string,
  request: ReceivedRequest,
  faults: Faults,
  gone: AbortSignal,
): Promise<Answer | undefined> {
  const surface = surfaces[pathname];
  if (surface === undefined) return undefined;
  const run = new InferenceRun(box, surface, pathname, request, faults, gone);
  return run.answer();
}

class InferenceRun {
  readonly #box: InferenceBox;
  readonly #surface: Surface;
  readonly #pathname: string;
  readonly #request: ReceivedRequest;
  readonly #faults: Faults;
  readonly #gone: AbortSignal;
  readonly #serial: number;
  readonly #admission: Admission;

  constructor(
    box: InferenceBox,
    surface: Surface,
    pathname: string,
    request: ReceivedRequest,
    faults: Faults,
    gone: AbortSignal,
  ) {
    this.#box = box;
    this.#surface = surface;
    this.#pathname = pathname;
    this.#request = request;
    this.#faults = faults;
    this.#gone = gone;
    this.#serial = box.nextSerial();
    this.#admission = new Admission({ models: box.models, cloud: box.cloud, surface, pathname, serial: this.#serial });
  }

  async answer(): Promise<Answer | undefined> {
    const body = this.#admission.decode(this.#request.bodyBytes.toString('utf8'));
    if (!(body instanceof GoObject)) return body;
    const model = this.#admission.choose(body);
    if ('statusLine' in model) return model;
    const { failWith, busy, hang } = this.#faults;
    if (failWith !== undefined) return wholeAnswer(failWith.status, { 'Content-Type': failWith.contentType }, failWith.body);
    if (busy) return this.#admission.late(503, 'server busy, please try again.  maximum pending requests exceeded', body);
    if (hang === 'inference') {
      await whenAborted(this.#gone);
      return undefined;
    }
    const loaded = await this.#load(model, body);
    if (loaded === undefined || 'statusLine' in loaded) return loaded;
    if (this.#surface.work === 'embed') return this.#embed(body);
    return this.#generate(model, loaded, body);
  }

  async #load(model: FakeModel, body: GoObject): Promise<ResidentModel | Answer | undefined> {
    const key = canonicalName(model.name);
    const { runners } = this.#box;
    if (this.#faults.outOfMemory && !runners.resident.has(key)) {
      return this.#admission.late(500, 'model requires more system memory (5.3 GiB) than is available (3.9 GiB)', body);
    }
    const options = body.field('options');
    const numCtx = options instanceof GoObject ? options.field('num_ctx') : undefined;
    const contextLength = typeof numCtx === 'number' ? numCtx : undefined;
    const outcome = await runners.load(key, model, { loadMs: this.#faults.loadMs, contextLength, gone: this.#gone });
    const resident = runners.resident.get(key);
    if (outcome === 'client left' || resident === undefined) return undefined;
    const keepMs = keepAliveMs(this.#surface.dialect, body);
    if (keepMs !== undefined) resident.expiresAt = Date.now() + keepMs;
    return resident;
  }

  #embed(body: GoObject): Answer {
    const inputs = inputsOf(body, this.#pathname === '/api/embeddings' ? 'prompt' : 'input');
    if (inputs === undefined) return this.#admission.late(400, 'invalid input type', body);
    const text = embeddingsBody(this.#pathname, String(body.field('model')), inputs, body);
    return wholeAnswer(200, this.#surface.dialect === 'native' ? nativeJson : { 'Content-Type': 'application/json' }, text);
  }

  async #generate(model: FakeModel, resident: ResidentModel, body: GoObject): Promise<Answer | undefined> {
    const loadOnly = nothingAsked(this.#pathname, body);
    if (loadOnly) return this.#loadOnly(model, body);
    if (!(await this.#box.slots.take(this.#gone))) return undefined;
    resident.inFlight++;
    const onOver = once(() => {
      resident.inFlight--;
      this.#box.slots.release();
      if (keepAliveMs(this.#surface.dialect, body) === 0) this.#box.runners.resident.delete(canonicalName(model.name));
    });
    const { tokens, finish } = limited(model.tokens ?? defaultTokens, body);
    const generation = this.#generation(body, tokens, finish, this.#faults.loadMs);
    const streams = (body.field('stream') ?? this.#surface.streamsByDefault) === true;
    const crashAfter = this.#faults.crashAfterTokens;
    if (crashAfter !== undefined) resident.crashed = true;
    const answer =
      streams && (crashAfter === undefined || crashAfter > 0) ? this.#stream(generation) : await this.#whole(generation, body);
    return { ...answer, onOver };
  }

  #loadOnly(model: FakeModel, body: GoObject): Answer {
    const unload = keepAliveMs(this.#surface.dialect, body) === 0;
    if (unload) this.#box.runners.resident.delete(canonicalName(model.name));
    const silent = { ...this.#generation(body, [], unload ? 'unload' : 'load', 0), promptTokens: 0 };
    const framing = this.#surface.framing;
    return wholeAnswer(200, framing?.wholeHeaders ?? nativeJson, framing?.whole(silent) ?? '');
  }

  async #whole(generation: Generation, body: GoObject): Promise<Answer> {
    await pause(generation.tokens.length * this.#tokenMs(), this.#gone);
    const framing = this.#surface.framing;
    if (this.#faults.crashAfterTokens !== undefined || framing === undefined) return this.#admission.late(500, crashText, body);
    return wholeAnswer(200, framing.wholeHeaders, framing.whole(generation));
  }

  #stream(generation: Generation): Answer {
    const framing = this.#surface.framing?.stream(generation);
    if (framing === undefined) throw new Error('embeddings do not stream');
    const crashAfter = this.#faults.crashAfterTokens;
    const tokenMs = this.#tokenMs();
    const encoder = new TextEncoder();
    function* pieces(): Generator<BodyPiece> {
      let afterMs = tokenMs;
      const piece = (text: string): BodyPiece => {
        const next = { afterMs, bytes: encoder.encode(text) };
        afterMs = 0;
        return next;
      };
      // The first token opens the stream: until then Ollama sends nothing at all.
      for (const text of framing?.open ?? []) yield piece(text);
      for (const text of framing?.tokens.slice(0, crashAfter) ?? []) {
        yield piece(text);
        afterMs = tokenMs;
      }
      afterMs = 0;
      for (const text of (crashAfter === undefined ? framing?.close : framing?.crash) ?? []) yield piece(text);
    }
    return streamAnswer(framing.headers, pieces(), 'clean');
  }

  #tokenMs(): number {
    return this.#faults.tokensPerSecond === 0 ? 0 : 1000 / this.#faults.tokensPerSecond;
  }

  #generation(body: GoObject, tokens: readonly string[], finish: Generation['finish'], loadDurationMs: number): Generation {
    const streamOptions = body.field('stream_options');
    const max = body.field('max_output_tokens');
    const temperature = body.field('temperature');
    return {
      model: String(body.field('model') ?? ''),
      tokens,
      finish,
      promptTokens: this.#box.promptTokens,
      serial: this.#serial,
      startedAtMs: Date.now(),
      loadDurationMs,
      includeUsage: streamOptions instanceof GoObject && streamOptions.field('include_usage') === true,
      maxOutputTokens: typeof max === 'number' ? max : null,
      temperature: typeof temperature === 'number' ? temperature : 1,
    };
  }
}

function once(task: () => void): () => void {
  let done = false;
  return () => {
    if (!done) task();
    done = true;
  };
}
