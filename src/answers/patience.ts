/**
 * Calls that wait long for their box. After `fleet.loads.headersAfter` the client gets its headers, and from then on heartbeats,
 * because what stands between it and Corral (tunnels, proxies, the client itself) cuts connections that are silent. What
 * the box answers follows in the same body; what goes wrong from here on is told in it, as the protocol tells errors in streams.
 */
import type { Answered } from '../backends/send.ts';
import { type ErrorCode, GatewayError, gatewayErrorOf } from '../errors.ts';
import type { Attempt, Call, Exchange } from '../exchange.ts';
import { messageOf } from '../fleet/asking/advice.ts';
import { waitWordsOf } from '../protocols/heartbeats.ts';
import type { StreamWatch } from '../streams/idle.ts';
import { EarlyBody, type Following } from './early-body.ts';
import { heartbeatOf } from './heartbeats.ts';
import { addWarnings } from './relay.ts';
import type { AnswerTools } from './tools.ts';
import { isEventStream } from './watch.ts';

/** stream: events, and heartbeats between them. json: one value, and spaces before it. */
type Form = 'stream' | 'json';

/** Undefined: the client waits for what the box says, however long. */
export function patienceFor(exchange: Exchange, call: Call, tools: AnswerTools): Patience | undefined {
  const { protocol } = call;
  // A Corral in front is kept waiting in another way, which lets it see how it went (http/early-answer.ts).
  if (exchange.relayed !== undefined) return undefined;
  // What a policy reads to its end before the client gets any of it cannot begin early.
  if (protocol.kind !== 'inference' || exchange.answerIsRead) return undefined;
  if (call.isStream) return protocol.heartbeat === undefined ? undefined : new Patience(exchange, 'stream', tools);
  return tools.limits.fleet.loads.padJson && protocol.body === 'json' ? new Patience(exchange, 'json', tools) : undefined;
}

export class Patience {
  readonly #exchange: Exchange;
  readonly #form: Form;
  readonly #tools: AnswerTools;
  #watch: StreamWatch | undefined;
  #isLate = false;
  #isTapped = false;

  constructor(exchange: Exchange, form: Form, tools: AnswerTools) {
    this.#exchange = exchange;
    this.#form = form;
    this.#tools = tools;
  }

  /** What `serving` comes to, or what leaves before that. */
  answer(serving: Promise<Response>): Promise<Response> {
    const watch = this.#tools.idle.watch();
    this.#watch = watch;
    return new Promise((resolve, reject) => {
      watch.once(this.#tools.limits.fleet.loads.headersAfter, () => {
        this.#isLate = true;
        resolve(this.#early(serving, watch));
      });
      serving.then(
        (response) => {
          this.settle();
          resolve(response);
        },
        (thrown) => {
          this.settle();
          reject(thrown);
        },
      );
    });
  }

  /** Somebody has answered: from now on headers wait for nothing. True: they have left already. */
  settle(): boolean {
    if (!this.#isLate) this.#watch?.stop();
    return this.#isLate;
  }

  /** What comes next ends the exchange by itself. Throws GatewayError for an answer that cannot follow headers that have left. */
  async judge(attempt: Attempt, answered: Answered): Promise<void> {
    const { status, headers } = answered.response;
    const isJson = (headers.get('content-type') ?? '').startsWith('application/json');
    // Calls that only load a model are answered with one object, also where lines were asked for.
    const isLine = isJson && attempt.protocol?.stream?.framing === 'ndjson' && (attempt.rewrites ?? []).length === 0;
    const fits = this.#form === 'json' || isLine || isEventStream(attempt.protocol, headers);
    if (status >= 400 || !fits) throw await refusalIn(this.#exchange, answered, attempt.upstream.name);
    this.#isTapped = isLine || isEventStream(attempt.protocol, headers) || (attempt.rewrites ?? []).length === 0;
  }

  #early(serving: Promise<Response>, watch: StreamWatch): Response {
    const exchange = this.#exchange;
    const { heartbeat } = this.#tools.limits.fleet.loads;
    const isStream = this.#form === 'stream';
    // The exchange ends with the work, and not with this answer.
    exchange.isRelayed = true;
    exchange.status = 200;
    const body = new EarlyBody({
      exchange,
      watch,
      beatEveryMs: heartbeat,
      beat: () => (isStream ? heartbeatOf(exchange) : oneSpace),
      endsLine: isStream && exchange.protocol?.stream?.framing === 'ndjson',
      following: serving.then(
        (response) => this.#follow(response),
        (thrown): Following => ({ error: gatewayErrorOf(thrown), isEnded: false }),
      ),
      wordsOf: (error) => this.#wordsOf(error),
      end: () => this.#tools.exchanges.end(exchange),
    });
    return new Response(body.stream as ReadableStream<Uint8Array<ArrayBuffer>>, { status: 200, headers: this.#headers() });
  }

  async #follow(response: Response): Promise<Following> {
    if (this.#isTapped || (this.#form === 'json' && response.ok)) {
      return { reader: response.body?.getReader(), isEnded: this.#isTapped };
    }
    const text = await response.text().catch(() => '');
    const error = errorOf(response.status, text, 'the answer is no stream');
    // Where one value is owed, the answer's own body is one.
    const { code, message, status } = error;
    const verbatim = { text, contentType: undefined };
    return {
      error: this.#form === 'json' && text !== '' ? new GatewayError(code, message, { status, verbatim }) : error,
      isEnded: false,
    };
  }

  #wordsOf(error: GatewayError): string {
    const { protocol, id } = this.#exchange;
    if (this.#form === 'json') return error.verbatim?.text ?? protocol?.errorBody(error, id).text ?? '';
    return protocol?.errorInStream(error, id, { events: 0 }) ?? '';
  }

  #headers(): Headers {
    const { answerHeaders, protocol, wait, requestModel = '' } = this.#exchange;
    const isSse = this.#form === 'stream' && protocol?.stream?.framing === 'sse';
    const type = this.#form === 'json' ? 'application/json' : isSse ? 'text/event-stream' : 'application/x-ndjson';
    const headers = new Headers({
      ...answerHeaders,
      'content-type': type,
      // nginx and its like gather answers unless told not to, and compress them.
      'x-accel-buffering': 'no',
      'cache-control': isSse ? 'no-cache, no-transform' : 'no-transform',
    });
    addWarnings(this.#exchange, headers);
    if (wait !== undefined) headers.set('x-corral-wait', waitWordsOf(wait, requestModel).replace(/[^\x20-\x7e]/gu, '?'));
    return headers;
  }
}

const oneSpace = new Uint8Array([0x20]);
const maxRefusalBytes = 256 * 1024;
const maxRefusalMs = 10_000;

/** Reads what an upstream said instead of a stream. */
async function refusalIn(exchange: Exchange, { response, lease, abort }: Answered, name: string): Promise<GatewayError> {
  const stop = exchange.clock.after(maxRefusalMs, () => abort(new GatewayError('upstream_closed', `${name} stalled`)));
  try {
    const text = new TextDecoder().decode(await response.body.read(maxRefusalBytes));
    return errorOf(response.status, text, `${name} did not answer with a stream`);
  } catch (thrown) {
    return gatewayErrorOf(thrown);
  } finally {
    stop();
    lease?.end({ how: 'failed' });
  }
}

function errorOf(status: number, text: string, otherwise: string): GatewayError {
  if (status < 400) return new GatewayError('unreadable_answer', otherwise);
  return new GatewayError(codeOf(status), messageOf(text)?.slice(0, 2_000) ?? `the upstream answered ${status}`, { status });
}

function codeOf(status: number): ErrorCode {
  if (status === 404) return 'model_not_found';
  if (status === 429) return 'rate_limited';
  return status < 500 ? 'invalid_body' : 'upstream_unavailable';
}
