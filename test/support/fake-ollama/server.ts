import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { clearTimeout, setTimeout } from 'node:timers';
import { type Answer, wholeAnswer, withHeaders } from './answer.ts';
import { type ClosedPort, holdPort, listen } from './closed-port.ts';
import { type Faults, noFaults, spoiled } from './faults.ts';
import { guard } from './guard.ts';
import { infer, isInference } from './inference.ts';
import { listAnswer } from './lists.ts';
import { canonicalName, type FakeModel } from './models.ts';
import { allowOf, routerAnswer } from './paths.ts';
import { GrowingRequest, type ReceivedRequest } from './received.ts';
import { openReplay, type Replay, type ReplayOptions, replayedAnswer, replayFor } from './replay.ts';
import { Runners } from './runners.ts';
import { Slots } from './slots.ts';
import { type Outcome, sendAnswer, whenAborted } from './writer.ts';

export interface FakeOllamaOptions {
  /** Names, or more than names. Default: `llama3.2`. */
  readonly models?: readonly (string | FakeModel)[];
  /** 0 (the default) takes a free port. */
  readonly port?: number;
  readonly version?: string;
  /** Prompt tokens of every generation; completion tokens are the tokens sent. Default 19, as recorded. */
  readonly promptTokens?: number;
  /** OLLAMA_NUM_PARALLEL, for the whole box. Default: no limit (a real one has 1 per model). */
  readonly parallel?: number;
  /** OLLAMA_MAX_LOADED_MODELS. Default 3. */
  readonly maxLoaded?: number;
  /** OLLAMA_ORIGINS. */
  readonly origins?: readonly string[];
  /** False: as bound to 0.0.0.0, no Host check. Default true. */
  readonly checkHost?: boolean;
  /** What happens to `:cloud` names. Default `offline` (502); `disabled` is OLLAMA_NO_CLOUD=1 (403). */
  readonly cloud?: 'offline' | 'disabled';
  readonly faults?: Partial<Faults>;
}

export interface FakeOllama {
  /** Base URL without a trailing slash. */
  readonly url: string;
  readonly port: number;
  /** Everything that came, in order, answered or not. */
  readonly requests: readonly ReceivedRequest[];
  readonly loads: { readonly started: number; readonly completed: number; readonly aborted: number };
  /** Names of the models in memory, as `canonical:tag`. */
  readonly resident: readonly string[];
  /** How many generations wait for a slot. */
  readonly waiting: number;
  /** Open connections. */
  readonly connections: number;
  /** Changes faults for the requests to come; the others stay as they are. */
  set(faults: Partial<Faults>): void;
  /** A healthy box again, without replays. */
  clear(): void;
  setModels(models: readonly (string | FakeModel)[]): void;
  /** Answers requests that equal the recorded one with the recorded answer. Other requests go to the model. */
  replay(recordingName: string, options?: ReplayOptions): void;
  /** The next request that fits, whole; one that has come already counts unless it was handed out before. Fails after `timeoutMs` (5 s). */
  nextRequest(fits?: (request: ReceivedRequest) => boolean, timeoutMs?: number): Promise<ReceivedRequest>;
  /** Connections are refused from now on; those that stand are cut. The port stays reserved. */
  refuse(): Promise<void>;
  /** Listens again on the same port. */
  listen(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a box on 127.0.0.1. */
export async function startFakeOllama(options: FakeOllamaOptions = {}): Promise<FakeOllama> {
  const box = new FakeBox(options);
  await box.open(options.port ?? 0);
  return box;
}

interface Waiter {
  readonly fits: (request: ReceivedRequest) => boolean;
  readonly resolve: (request: ReceivedRequest) => void;
}

class FakeBox implements FakeOllama {
  readonly requests: GrowingRequest[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #options: FakeOllamaOptions;
  readonly #runners: Runners;
  readonly #slots: Slots;
  readonly #complete = new Set<GrowingRequest>();
  readonly #handedOut = new Set<GrowingRequest>();
  #waiters: Waiter[] = [];
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
    for (const model of this.#models) if (model.resident === true) this.#runners.place(canonicalName(model.name), model);
  }

  replay(recordingName: string, options: ReplayOptions = {}): void {
    this.#replays.push(openReplay(recordingName, options));
  }

  async nextRequest(fits: (request: ReceivedRequest) => boolean = () => true, timeoutMs = 5000): Promise<ReceivedRequest> {
    const present = this.requests.find(
      (request) => this.#complete.has(request) && !this.#handedOut.has(request) && fits(request),
    );
    if (present !== undefined) {
      this.#handedOut.add(present);
      return present;
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        fits,
        resolve: (request) => {
          clearTimeout(timer);
          resolve(request);
        },
      };
      const timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter((each) => each !== waiter);
        reject(
          new Error(
            `no such request within ${timeoutMs} ms; came: ${this.requests.map((each) => `${each.method} ${each.path}`).join(', ')}`,
          ),
        );
      }, timeoutMs);
      this.#waiters.push(waiter);
    });
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
    this.requests.push(request);
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
        this.#announce(request);
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
    if (times === undefined || !isInference(pathname) || request.method !== 'POST') return this.#faults;
    if (times <= 0) return noFaults;
    const faults = this.#faults;
    this.#faults = { ...faults, times: times - 1 };
    return faults;
  }

  get #promptTokens(): number {
    return this.#options.promptTokens ?? 19;
  }

  #announce(request: GrowingRequest): void {
    this.#complete.add(request);
    const waiter = this.#waiters.find(({ fits }) => fits(request));
    if (waiter === undefined) return;
    this.#waiters = this.#waiters.filter((each) => each !== waiter);
    this.#handedOut.add(request);
    waiter.resolve(request);
  }
}

const missingHost: Answer = {
  statusLine: 'HTTP/1.1 400 Bad Request: missing required Host header',
  headers: [
    ['Content-Type', 'text/plain; charset=utf-8'],
    ['Connection', 'close'],
  ],
  pieces: [{ afterMs: 0, bytes: new TextEncoder().encode('400 Bad Request: missing required Host header') }],
  ending: 'clean',
};

/** What Go answers when the request cannot be read at all. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable) return;
  const words = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
  socket.end(`HTTP/1.1 ${words}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n${words}`);
}

function pathnameOf(path: string): string {
  const question = path.indexOf('?');
  return question < 0 ? path : path.slice(0, question);
}

/** False when the client left in the middle of it. */
async function readBody(incoming: IncomingMessage, request: GrowingRequest): Promise<boolean> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
  } catch {
    return false;
  } finally {
    request.bodyBytes = Buffer.concat(chunks);
  }
  return incoming.complete;
}
