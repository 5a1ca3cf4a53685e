/** How an isolate asks the Durable Object of a box for a slot. What the two say to each other: box-owner.ts. */
import { type ErrorCode, errorTable, GatewayError } from '../errors.ts';
import type { Ask, LeaseSeen, Upstream, Waiter } from '../exchange.ts';
import type { BoxWanted } from '../fleet/boxes.ts';
import { LoadFailed } from '../fleet/loads/load-answer.ts';
import type { BoxOwner, Grant, OwnerOf, OwnerTold } from '../fleet/owner.ts';
import type { Platform } from '../platform.ts';
import { type Admission, type AdmissionLine, parsed, type Refused, readTold, seenText } from './box-owner-words.ts';

export const ownerBinding = 'CORRAL_BOX_OWNER';

/** The part of a Durable Object namespace that is used. */
interface Namespace {
  idFromName(name: string): unknown;
  get(id: unknown): Stub;
}

interface Stub {
  fetch(url: string, init?: RequestInit): Promise<Response>;
}

/** Undefined without the binding: each isolate then counts for itself. */
export function boxOwnersOf(env: Readonly<Record<string, unknown>>, platform: Platform): OwnerOf | undefined {
  const bound = env[ownerBinding];
  if (typeof bound !== 'object' || bound === null) return undefined;
  const namespace = bound as Namespace;
  return (wanted, now, hear) => {
    if (wanted.upstream.kind !== 'box') return undefined;
    const id = namespace.idFromName(wanted.upstream.baseUrl);
    // A stub belongs to the request that it was made in.
    return new RemoteOwner(() => namespace.get(id), now, hear, platform);
  };
}

class RemoteOwner implements BoxOwner {
  readonly #stub: () => Stub;
  readonly #wanted: () => BoxWanted;
  readonly #hear: (told: OwnerTold) => void;
  readonly #platform: Platform;
  #hasToldOfFailure = false;

  constructor(stub: () => Stub, wanted: () => BoxWanted, hear: (told: OwnerTold) => void, platform: Platform) {
    this.#stub = stub;
    this.#wanted = wanted;
    this.#hear = hear;
    this.#platform = platform;
  }

  admit(ask: Ask, waiter: Waiter): Promise<Grant> {
    const box = this.#wanted();
    const stub = this.#stub();
    return new Promise((resolve, reject) => {
      const held = new HeldLease(stub, waiter, (told) => this.#take(told));
      waiter.onGone(() => held.end());
      const { model, numCtx, work } = ask;
      const deadlineInMs = waiter.deadlineMs === undefined ? undefined : waiter.deadlineMs - this.#platform.clock.now();
      const asked: Admission = { box, ask: { model, numCtx, work }, deadlineInMs };
      const reading = held.read(asked, (line) => {
        // Before the call counts as one of this isolate's own, because it is none of those that are told.
        if ('told' in line) this.#take(line.told);
        if ('wait' in line) waiter.onWait?.(line.wait);
        else if ('granted' in line) resolve(held.grant(line.granted));
        else if ('refused' in line) reject(errorOf(line.refused, box.upstream, model));
      });
      waiter.waitUntil(
        reading.then(
          // Without an owner the box serves all the same: better a limit that does not hold than no answer.
          (failure) => {
            if (failure !== undefined && !held.isGranted) this.#tell(failure);
            if (!held.isOver) resolve(held.grant({ queuedMs: 0, loadMs: 0 }));
          },
        ),
      );
    });
  }

  #take(told: unknown): void {
    const read = readTold(told);
    if (read !== undefined) this.#hear(read);
  }

  #tell(failure: unknown): void {
    if (this.#hasToldOfFailure) return;
    this.#hasToldOfFailure = true;
    const { upstream } = this.#wanted();
    const why = failure instanceof Error ? failure.message : String(failure);
    this.#platform.report(
      'warn',
      `the Durable Object of ${upstream.name} does not answer (${why}): its limits do not hold just now`,
    );
  }
}

class HeldLease {
  isOver = false;
  isGranted = false;
  readonly #stub: Stub;
  readonly #waiter: Waiter;
  readonly #hear: (told: unknown) => void;
  readonly #abort = new AbortController();
  #lease: string | undefined;

  constructor(stub: Stub, waiter: Waiter, hear: (told: unknown) => void) {
    this.#stub = stub;
    this.#waiter = waiter;
    this.#hear = hear;
  }

  grant({ queuedMs, loadMs }: { readonly queuedMs: number; readonly loadMs: number }): Grant {
    this.isGranted = true;
    return { queuedMs, loadMs, began: () => void this.#say('began'), end: (seen) => this.end(seen) };
  }

  end(seen?: LeaseSeen): void {
    if (this.isOver) return;
    this.isOver = true;
    // Said as well as shown: how soon a request that was given up is noticed is the runtime's business. Shown only afterwards, because
    // that would end the lease without what became of the call.
    const said = this.#say('end', seenText(seen));
    if (said === undefined) this.#abort.abort();
    else void said.then(() => this.#abort.abort());
  }

  /** Reads until the lease ends. Never rejects; returns what went wrong. */
  async read(asked: Admission, take: (line: AdmissionLine) => void): Promise<unknown> {
    try {
      const response = await this.#stub.fetch('https://owner/admit', {
        method: 'POST',
        body: JSON.stringify(asked),
        signal: this.#abort.signal,
      });
      const reader = response.body?.getReader();
      if (!response.ok || reader === undefined) return new Error(`status ${response.status}`);
      const decoder = new TextDecoder();
      let rest = '';
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return this.isGranted ? undefined : new Error('it broke off');
        const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
        rest = lines.pop() ?? '';
        for (const text of lines) if (text !== '') this.#take(JSON.parse(text) as AdmissionLine, take);
        // It came to be held after it was given up: now it is known which one.
        if (this.isOver) {
          reader.cancel().catch(() => undefined);
          return undefined;
        }
      }
    } catch (thrown) {
      return this.isOver ? undefined : thrown;
    }
  }

  #take(line: AdmissionLine, take: (line: AdmissionLine) => void): void {
    if ('lease' in line) this.#lease = line.lease;
    if ('refused' in line) this.isOver = true;
    take(line);
  }

  /** Undefined where there is no lease to speak of yet. Never rejects. */
  #say(what: 'began' | 'end', body = ''): Promise<void> | undefined {
    if (this.#lease === undefined) return undefined;
    const said = this.#stub
      .fetch(`https://owner/${what}?lease=${this.#lease}`, { method: 'POST', body })
      .then(async (response) => {
        const text = await response.text();
        if (text !== '') this.#hear(parsed(text));
      })
      .catch(() => undefined);
    this.#waiter.waitUntil(said);
    return said;
  }
}

function errorOf({ code, message, status, headers, said }: Refused, upstream: Upstream, model: string): GatewayError {
  if (said !== undefined) return new LoadFailed(upstream, model, { status, headers: new Headers(), text: said });
  const known: ErrorCode = Object.hasOwn(errorTable, code) ? (code as ErrorCode) : 'internal';
  return new GatewayError(known, message, { status, ...(headers !== undefined && { headers }) });
}
