/**
 * Big batches of embeddings. An indexer sends hundreds of texts in one call, and a box that embeds them does nothing else
 * until it has done them all. So the batch goes out in parts, one at a time to each box that has the same model, and each of
 * them waits for its slot behind whoever chats (`bulk`). The answers come back as one, in order.
 */
import type { Refusal } from '../backends/attempts.ts';
import { ClientGone } from '../backends/send.ts';
import type { Candidate } from '../backends/target.ts';
import { GatewayError, gatewayErrorOf } from '../errors.ts';
import { type AttemptRecord, addAnswerHeader, type Call, type Exchange, onGone, type Upstream } from '../exchange.ts';
import { createJoinedAnswers, type Inputs, inputsOf, type JoinedAnswers } from '../protocols/embedding-batch.ts';
import { type Homes, homesAmong } from './embedding-homes.ts';
import { noteAnswering, openPart, type Part, type PartAnswer, servePart, settlePart } from './embedding-part.ts';
import { tellBoxes } from './placed.ts';
import { respondWithRefusal } from './refusal.ts';
import { addWarnings } from './relay.ts';
import type { AnswerTools } from './tools.ts';

/** How many parts there were, on answers that were put together. */
const partsHeader = 'x-corral-parts';
const queuedHeader = 'x-corral-queued';
const positionHeader = 'x-corral-queue-position';
/** These speak of the first part's answer alone. */
const ofOnePart = [
  'content-encoding',
  'transfer-encoding',
  'etag',
  'content-md5',
  'content-digest',
  'digest',
  'x-corral-warning',
];

/** The inputs of a call that is to be split, and waits as bulk. Undefined: it goes as it is. */
export function batchOf(call: Call, { limits }: AnswerTools): Inputs | undefined {
  const { split, maxBatch } = limits.fleet.embeddings;
  return split ? inputsOf(call, maxBatch) : undefined;
}

/** What is left for the ordinary way: nobody of these has been asked. */
export interface Unsplit {
  readonly candidates: readonly Candidate[];
}

/** `candidates` in the order to try. Throws what a part has failed with, or ClientGone. */
export async function answerBatch(
  exchange: Exchange,
  call: Call,
  inputs: Inputs,
  candidates: readonly Candidate[],
  tools: AnswerTools,
): Promise<Response | Unsplit> {
  let left = candidates;
  for (;;) {
    const homes = homesAmong(left, call.protocol, exchange, tools);
    if (homes === undefined) return { candidates: left };
    const rest = left.filter((one) => !homes.candidates.includes(one));
    const batch = new Batch(exchange, call, inputs, homes, tools);
    const hasElsewhere = rest.some(({ isLastResort }) => !isLastResort);
    try {
      const ended = await batch.run();
      if (ended.kind !== 'refused') return ended.response;
      const { candidate, refusal } = ended;
      // Others have another model of this name. As long as nothing was answered, all of it may still be theirs.
      if (batch.isUnanswered && rest.length > 0 && mayMoveOn(refusal, tools)) left = rest;
      else return respondWithRefusal(exchange, candidate, refusal, candidates, tools);
    } catch (thrown) {
      if (thrown instanceof ClientGone || !batch.isUnanswered || !hasElsewhere) throw thrown;
      if (!gatewayErrorOf(thrown).retryable) throw thrown;
      left = rest;
    }
  }
}

/** Another box may do better with the batch, as the loop over the boxes judges it for one call. */
function mayMoveOn({ status, text }: Refusal, tools: AnswerTools): boolean {
  return [502, 503, 504].includes(status) || tools.isModelMissing(status, text) || tools.faultOf(status, text).mayMoveOn;
}

type BatchEnd = { readonly kind: 'joined'; readonly response: Response } | Exclude<PartAnswer, { kind: 'read' }>;

/** One run over all parts at boxes that have the same model. */
class Batch {
  readonly #exchange: Exchange;
  readonly #inputs: Inputs;
  readonly #homes: Homes;
  readonly #tools: AnswerTools;
  readonly #maxBatch: number;
  readonly #partCount: number;
  readonly #joined: JoinedAnswers;
  readonly #startedMs: number;
  readonly #underWay = new Set<Part>();
  /** Parts at each box. */
  readonly #busy = new Map<Upstream, number>();
  readonly #answeredBy = new Set<Upstream>();
  #headers: Headers | undefined;
  #answering: AttemptRecord | undefined;
  #next = 0;
  #answered = 0;
  #bytes = 0;
  #isOver = false;

  constructor(exchange: Exchange, call: Call, inputs: Inputs, homes: Homes, tools: AnswerTools) {
    this.#exchange = exchange;
    this.#inputs = inputs;
    this.#homes = homes;
    this.#tools = tools;
    this.#maxBatch = tools.limits.fleet.embeddings.maxBatch;
    this.#partCount = Math.ceil(inputs.count / this.#maxBatch);
    this.#joined = createJoinedAnswers(call.protocol);
    this.#startedMs = exchange.clock.now();
    // The parts write into the same ones.
    exchange.answerHeaders ??= {};
  }

  /** No box has answered any part. */
  get isUnanswered(): boolean {
    return this.#answered === 0;
  }

  run(): Promise<BatchEnd> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        if (this.#isOver) return;
        this.#isOver = true;
        for (const part of this.#underWay) part.leave();
        settle();
      };
      const fill = () => {
        while (!this.#isOver && this.#next < this.#partCount && this.#underWay.size < this.#homes.room) {
          this.#serve(this.#next++).then(
            (ended) => {
              if (ended !== undefined) end(() => resolve(ended));
              else if (this.#answered < this.#partCount) fill();
              else end(() => resolve({ kind: 'joined', response: this.#response() }));
            },
            (thrown) => end(() => reject(thrown)),
          );
        }
      };
      onGone(this.#exchange, () => end(() => reject(new ClientGone())));
      fill();
    });
  }

  /** Undefined: it was answered, and there is room for the next one. */
  async #serve(number: number): Promise<BatchEnd | undefined> {
    const first = number * this.#maxBatch;
    const beyond = Math.min(first + this.#maxBatch, this.#inputs.count);
    const part = openPart(this.#exchange, this.#inputs.callOf(first, beyond), this.#tools);
    const row = this.#homes.rowFor(part.exchange, this.#busy);
    const home = row[0]?.target.upstream;
    this.#underWay.add(part);
    this.#count(home, 1);
    let failure: unknown;
    try {
      const answer = await servePart(part, row, (bytes) => this.#take(bytes), this.#tools);
      if (answer.kind !== 'read') return answer;
      this.#joined.add(number, answer.text, first, beyond - first);
      this.#noteAnswer(number, answer, part.exchange);
      return undefined;
    } catch (thrown) {
      failure = thrown;
      throw thrown;
    } finally {
      this.#underWay.delete(part);
      this.#count(home, -1);
      settlePart(this.#exchange, part.exchange, failure);
    }
  }

  #count(home: Upstream | undefined, by: 1 | -1): void {
    if (home !== undefined) this.#busy.set(home, (this.#busy.get(home) ?? 0) + by);
  }

  #take(bytes: number): void {
    this.#bytes += bytes;
    const { maxBodyBytes } = this.#tools.limits;
    if (this.#bytes <= maxBodyBytes) return;
    throw new GatewayError(
      'answer_too_large',
      `the embeddings of this batch are larger than ${maxBodyBytes} bytes together; send fewer inputs at once, or raise fleet.maxBodyBytes`,
    );
  }

  #noteAnswer(number: number, { headers, upstream }: Extract<PartAnswer, { kind: 'read' }>, part: Exchange): void {
    this.#answered++;
    this.#answeredBy.add(upstream);
    this.#answering ??= part.attempts.at(-1);
    if (number === 0) this.#headers = headers;
  }

  #response(): Response {
    const exchange = this.#exchange;
    const bytes = this.#joined.bytes(exchange.clock.now() - this.#startedMs);
    const headers = new Headers(this.#headers);
    for (const name of ofOnePart) headers.delete(name);
    noteAnswering(exchange, this.#answering);
    addWarnings(exchange, headers);
    tellBoxes(headers, [...this.#answeredBy], this.#tools.fleet);
    if (exchange.queuedMs !== undefined) {
      addAnswerHeader(exchange, queuedHeader, String(Math.round(exchange.queuedMs)));
      addAnswerHeader(exchange, positionHeader, String(exchange.queuePosition ?? 0));
    }
    for (const name in exchange.answerHeaders) headers.set(name, exchange.answerHeaders[name] ?? '');
    headers.set(partsHeader, String(this.#partCount));
    headers.set('content-length', String(bytes.length));
    exchange.answerBytes = bytes.length;
    return new Response(bytes as Uint8Array<ArrayBuffer>, { status: 200, headers });
  }
}
