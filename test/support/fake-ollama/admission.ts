import { type Answer, wholeAnswer } from './answer.ts';
import { GoJsonError, GoObject, goJson, goTypeOf, parseGoJson } from './go-json.ts';
import { modelOf } from './lists.ts';
import { canonicalName, capabilitiesOf, type FakeModel, isCloudName, isEmbedding, isModelName } from './models.ts';
import { errorBody, type Surface, typeComplaint } from './surfaces.ts';

/** JSON of Ollama's own API. */
export const nativeJson = { 'Content-Type': 'application/json; charset=utf-8' };

export interface AdmissionSetting {
  readonly models: readonly FakeModel[];
  readonly cloud: 'offline' | 'disabled';
  readonly surface: Surface;
  readonly pathname: string;
  readonly serial: number;
}

/** Whether a request may make a model work, and in which words it is refused (recordings of 400 and 404). */
export class Admission {
  readonly surface: Surface;
  readonly #box: AdmissionSetting;
  readonly #pathname: string;
  readonly #serial: number;

  constructor(setting: AdmissionSetting) {
    this.#box = setting;
    this.surface = setting.surface;
    this.#pathname = setting.pathname;
    this.#serial = setting.serial;
  }

  /** Errors before Ollama's handler: middlewares and binding, without a newline. */
  #early(status: number, message: string): Answer {
    return wholeAnswer(status, nativeJson, errorBody(this.surface, status, message, this.#serial));
  }

  /** Errors from the handler: the /v1 writers add a newline and know no charset. */
  late(status: number, message: string, body: GoObject): Answer {
    if (this.surface.dialect === 'native') return this.#early(status, message);
    const extra =
      this.surface.announcesStreams === true && body.field('stream') === true
        ? { 'Cache-Control': 'no-cache', Connection: 'keep-alive' }
        : {};
    const text = errorBody(this.surface, status, message, this.#serial);
    return wholeAnswer(status, { ...extra, 'Content-Type': 'application/json' }, `${text}\n`);
  }

  /** The body, or why it is refused. */
  decode(bodyText: string): GoObject | Answer {
    const surface = this.surface;
    try {
      const value = parseGoJson(bodyText);
      const body = value === null ? new GoObject() : value;
      if (!(body instanceof GoObject)) {
        return this.#early(
          400,
          `json: cannot unmarshal ${goTypeOf(body)} into Go value of type ${surface.pkg}.${surface.struct}`,
        );
      }
      const complaint = typeComplaint(surface, body) ?? this.#missing(body);
      return complaint === undefined ? body : this.#early(400, complaint);
    } catch (error) {
      if (!(error instanceof GoJsonError)) throw error;
      const empty = error.message === 'EOF' && surface.dialect === 'native';
      return this.#early(400, empty ? 'missing request body' : error.message);
    }
  }

  /** What the /v1 middlewares insist on. */
  #missing(body: GoObject): string | undefined {
    const messages = body.field('messages');
    const none = !Array.isArray(messages) || messages.length === 0;
    if (this.#pathname === '/v1/chat/completions' && none) return "[] is too short - 'messages'";
    if (this.#pathname === '/v1/embeddings') {
      const input = body.field('input');
      if (input === undefined || input === null || (Array.isArray(input) && input.length === 0)) return 'invalid input';
    }
    if (this.surface.dialect !== 'anthropic') return undefined;
    if (!body.field('model')) return 'model is required';
    const max = body.field('max_tokens');
    if (typeof max !== 'number' || max <= 0) return 'max_tokens is required and must be positive';
    return none ? 'messages is required' : undefined;
  }

  /** The model, or why it cannot serve. */
  choose(body: GoObject): FakeModel | Answer {
    const asked = body.field('model');
    const name = typeof asked === 'string' ? asked : '';
    const { work } = this.surface;
    if (isCloudName(name)) return this.#cloud();
    if (work === 'chat' && name === '') return this.late(400, 'model is required', body);
    if (work === 'chat' && !isModelName(name)) return this.late(400, 'invalid model name', body);
    // /api/embeddings alone does not fold case (Ollama server/routes.go EmbeddingsHandler).
    const exact = this.#pathname === '/api/embeddings' && name !== name.toLowerCase();
    const model = exact ? undefined : modelOf(this.#box.models, name);
    if (model === undefined) {
      return this.late(
        404,
        work === 'embed' ? `model ${JSON.stringify(name)} not found, try pulling it first` : `model '${name}' not found`,
        body,
      );
    }
    if (work !== 'embed' && isEmbedding(model)) return this.late(400, `${JSON.stringify(name)} does not support ${work}`, body);
    const tools = body.field('tools');
    if (Array.isArray(tools) && tools.length > 0 && !capabilitiesOf(model).includes('tools')) {
      return this.late(400, `registry.ollama.ai/library/${canonicalName(name)} does not support tools`, body);
    }
    if (body.field('think') === true && !capabilitiesOf(model).includes('thinking')) {
      return this.late(400, `${JSON.stringify(name)} does not support thinking`, body);
    }
    return model;
  }

  #cloud(): Answer {
    if (this.#box.cloud === 'disabled')
      return wholeAnswer(403, nativeJson, goJson({ error: 'ollama cloud is disabled: remote model is unavailable' }));
    const error = `Post "https://ollama.com:443${this.#pathname}?ts=1795369054": dial tcp 127.0.0.1:9: connect: connection refused`;
    return wholeAnswer(502, nativeJson, goJson({ error }));
  }
}
