import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Answer, wholeAnswer, withHeaders } from './answer.ts';
import { type ClosedPort, holdPort, listen } from './closed-port.ts';
import type { FakeOllama, FakeOllamaOptions } from './fake-box.ts';
import { type Faults, noFaults, spoiled } from './faults.ts';
import { guard } from './guard.ts';
import { missingHost, readBody, refuseMalformed } from './http-edge.ts';
import { Inbox } from './inbox.ts';
import { infer, isInference } from './inference.ts';
import { listAnswer } from './lists.ts';
import { canonicalName, type FakeModel } from './models.ts';
import { allowOf, routerAnswer } from './paths.ts';
import { GrowingRequest, type ReceivedRequest } from './received.ts';
import { openReplay, type Replay, type ReplayOptions, replayedAnswer, replayFor } from './replay.ts';
import { Runners } from './runners.ts';
import { Slots } from './slots.ts';
import { type Outcome, sendAnswer, whenAborted } from './writer.ts';

/** Starts a box on 127.0.0.1. */
export async function startFakeOllama(options: FakeOllamaOptions = {}): Promise<FakeOllama> {
  const box = new FakeBox(options);
  await box.open(options.port ?? 0);
  return box;
}

class FakeBox implements FakeOllama {
  readonly #inbox = new Inbox();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #options: FakeOllamaOptions;
  readonly #runners: Runners;
  readonly #slots: Slots;
  #replays: Replay[] = [];
  #models: readonly FakeModel[] = [];
  #faults: Faults;
  #serial = 400;
  #held: ClosedPort | undefined;
  port = 0;

  constructor(options: FakeOllamaOptions) {
    this.#options = options;
    this.#faults = { ...noFaults, ...options.faults };
    this.#runners = new Runners(options.maxLoaded ?? 3);
    this.#slots = new Slots(options.parallel ?? Number.POSITIVE_INFINITY);
    this.setModels(options.models ?? ['llama3.2']);
    // Go looks at a missing Host itself, and takes a megabyte of headers.
    this.#server = createServer({
      requireHostHeader: false,
      maxHeaderSize: 1 << 20,
      keepAliveTimeout: 0,
      requestTimeout: 0,
      headersTimeout: 0,
    });
    this.#server.on('request', (request, response) => void this.#take(request, response));
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => refuseMalformed(error, socket));
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  get requests(): readonly ReceivedRequest[] {
    return this.#inbox.requests;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get loads(): FakeOllama['loads'] {
    return this.#runners.loads;
  }

  get resident(): readonly string[] {
    return [...this.#runners.resident.keys()];
  }

  get waiting(): number {
    return this.#slots.waiting;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  set(faults: Partial<Faults>): void {
    this.#faults = { ...this.#faults, ...faults };
  }

  clear(): void {
    this.#faults = noFaults;
    this.#replays = [];
  }

  setModels(models: readonly (string | FakeModel)[]): void {
    this.#models = models.map((model) => (typeof model === 'string' ? { name: model } : model));
    this.#runners.forget((key) => !this.#models.some((model) => canonicalName(model.name) === key));
    for (const model of this.#models) if (model.resident === true) this.#runners.place(canonicalName(model.name), model);
  }

  replay(recordingName: string, options: ReplayOptions = {}): void {
    this.#replays.push(openReplay(recordingName, options));
  }

  nextRequest(fits?: (request: ReceivedRequest) => boolean, timeoutMs?: number): Promise<ReceivedRequest> {
    return this.#inbox.next(fits, timeoutMs);
  }

  async open(port: number): Promise<void> {
    this.port = await listen(this.#server, port);
  }

  async refuse(): Promise<void> {
    if (this.#held !== undefined) return;
    await this.#close();
    this.#held = await holdPort(this.port);
  }

  async listen(): Promise<void> {
    if (this.#held === undefined) return;
    // The port is held until it listens again: nobody can slip in between.
    await this.open(this.port);
    await this.#held.release();
    this.#held = undefined;
  }

  async stop(): Promise<void> {
    await this.#held?.release();
    this.#held = undefined;
    await this.#close();
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async #take(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = new GrowingRequest({
      method: incoming.method ?? '',
      path: incoming.url ?? '',
      httpVersion: incoming.httpVersion,
      rawHeaders: incoming.rawHeaders,
      remotePort: incoming.socket.remotePort,
    });
    this.#inbox.came(request);
    const leaving = new AbortController();
    const onClose = () => {
      request.closedByClientAt = performance.now();
      leaving.abort();
    };
    incoming.socket.once('close', onClose);
    const gone = leaving.signal;
    let outcome: Outcome = 'client left';
    try {
      if (await readBody(incoming, request)) {
        this.#inbox.isWhole(request);
        outcome = await this.#respond(incoming, response, request, gone);
      }
    } finally {
      incoming.socket.off('close', onClose);
      if (outcome === 'client left') request.closedByClientAt ??= performance.now();
      else request.closedByClientAt = undefined;
      request.settle(outcome);
    }
  }

  async #respond(
    incoming: IncomingMessage,
    response: ServerResponse,
    request: GrowingRequest,
    gone: AbortSignal,
  ): Promise<Outcome> {
    const pathname = pathnameOf(request.path);
    const faults = this.#faultsFor(request, pathname);
    if (faults.hang === 'all') {
      await whenAborted(gone);
      return 'client left';
    }
    const answer = await this.#answer(request, pathname, faults, gone);
    if (answer === undefined || gone.aborted) {
      answer?.onOver?.();
      return 'client left';
    }
    return sendAnswer(incoming, response, answer, gone);
  }

  async #answer(request: GrowingRequest, pathname: string, faults: Faults, gone: AbortSignal): Promise<Answer | undefined> {
    const replay = replayFor(this.#replays, request);
    if (replay !== undefined) return spoiled(replayedAnswer(replay, request, this.#promptTokens), faults);
    if (faults.foreignHost) return wholeAnswer(403, {}, '');
    if (request.httpVersion === '1.1' && request.header('host') === undefined) return missingHost;
    const verdict = guard(
      request,
      { checkHost: this.#options.checkHost ?? true, origins: this.#options.origins ?? [] },
      allowOf(pathname),
    );
    const answer =
      verdict.answer ?? routerAnswer(request.method, pathname) ?? (await this.#handle(request, pathname, faults, gone));
    return answer === undefined ? undefined : withHeaders(answer, verdict.headers);
  }

  async #handle(request: GrowingRequest, pathname: string, faults: Faults, gone: AbortSignal): Promise<Answer | undefined> {
    if (isInference(pathname)) {
      const box = {
        models: this.#models,
        runners: this.#runners,
        slots: this.#slots,
        promptTokens: this.#promptTokens,
        cloud: this.#options.cloud ?? ('offline' as const),
        nextSerial: () => ++this.#serial,
      };
      const answer = await infer(box, pathname, request, faults, gone);
      return answer === undefined ? undefined : spoiled(answer, faults);
    }
    const box = { models: this.#models, runners: this.#runners, version: this.#options.version ?? '0.99.0-src' };
    // What is left are management paths: a test only wants to see that they were reached.
    return (
      listAnswer(box, request.method, pathname, request.bodyBytes.toString('utf8')) ??
      wholeAnswer(200, { 'Content-Type': 'application/json; charset=utf-8' }, '{"status":"success"}')
    );
  }

  #faultsFor(request: GrowingRequest, pathname: string): Faults {
    const { times } = this.#faults;
    // A load says nothing, so nothing of it can break off half-way.
    if (breaksAnswers(this.#faults) && isLoad(pathname, request.body)) return noFaults;
    if (times === undefined || !isInference(pathname) || request.method !== 'POST') return this.#faults;
    if (times <= 0) return noFaults;
    const faults = this.#faults;
    this.#faults = { ...faults, times: times - 1 };
    return faults;
  }

  get #promptTokens(): number {
    return this.#options.promptTokens ?? 19;
  }
}

function breaksAnswers({ crashAfterTokens, cutAfterChunks, endAfterChunks, stallAfterChunks }: Faults): boolean {
  return [crashAfterTokens, cutAfterChunks, endAfterChunks, stallAfterChunks].some((after) => after !== undefined);
}

/** Without a prompt and without an input the model is loaded, and that is all. */
function isLoad(pathname: string, body: string): boolean {
  return (pathname === '/api/generate' && !body.includes('"prompt"')) || (pathname === '/api/embed' && !body.includes('"input"'));
}

function pathnameOf(path: string): string {
  const question = path.indexOf('?');
  return question < 0 ? path : path.slice(0, question);
}
