/**
 * Who calls, as one Corral tells another: signed with a secret that both know. Used on the leg from a Corral in front to a
 * relay beside the box. HMAC-SHA-256 by WebCrypto, which compares in constant time.
 *
 * The signature covers the caller, the time, a number that is used once, the method and the path with its query; not the body.
 * Whoever can exchange bodies on the leg can read the prompts as well, so that the leg needs TLS (a tunnel) in either case; and a
 * signed body would have to be read whole before anybody is let in. What is left, sending the same request once more, is what
 * the memory of used numbers prevents (`ReplayMemory`).
 */

export const callerHeader = 'x-corral-caller';

/** Says in an answer that a relay gave it: `1`, the version of what the two say to each other. */
export const relayHeader = 'x-corral-relay';

/** What the Corral in front knows of the caller. */
export interface SignedCaller {
  /** For logs; undefined where nobody is known. */
  readonly name: string | undefined;
  readonly isAdmin: boolean;
  /** As `Work` has them. */
  readonly sharer: string;
  readonly weight: number;
  readonly urgency: 'interactive' | 'bulk';
}

export interface SignedRequest {
  readonly method: string;
  /** Absolute; what comes before the path does not count. */
  readonly url: string;
}

/** wrong: not signed with this secret, or not for this request. clock: the two clocks are too far apart. used: it has been here before. */
export type CallerProblem = 'wrong' | 'clock' | 'used';

/** How far the clocks of the two ends may be apart. */
export const toleranceMs = 60_000;
const maxTokenLength = 4 * 1024;
const maxTextLength = 256;
/** However far one front end goes: nobody gets all of a queue, and nobody nothing. */
const leastWeight = 0.01;
const maxWeight = 100;
const purpose = 'corral caller 1\n';

type Bytes = Uint8Array<ArrayBuffer>;
type KeyOf = () => Promise<CryptoKey>;

/** Signs for one request: the value of `callerHeader`. `wallTimeMs` since the epoch. */
export type SignCaller = (caller: SignedCaller, request: SignedRequest, wallTimeMs: number) => Promise<string>;

export function callerSigner(secret: string): SignCaller {
  const keyOf = keyFrom(secret);
  return async ({ name, isAdmin, sharer, weight, urgency }, request, wallTimeMs) => {
    const said = {
      t: Math.round(wallTimeMs),
      n: base64Of(crypto.getRandomValues(new Uint8Array(12))),
      q: targetOf(request),
      ...(name === undefined ? {} : { name: name.slice(0, maxTextLength) }),
      ...(isAdmin && { admin: true }),
      ...(sharer !== '' && { sharer: sharer.slice(0, maxTextLength) }),
      ...(weight !== 1 && { weight }),
      ...(urgency === 'bulk' && { bulk: true }),
    };
    const payload = base64Of(new TextEncoder().encode(JSON.stringify(said)));
    const signature = await crypto.subtle.sign('HMAC', await keyOf(), signedBytes(payload));
    return `${payload}.${base64Of(new Uint8Array(signature))}`;
  };
}

/** Verifies the value of `callerHeader`. Never throws. */
export type CheckCaller = (token: string, request: SignedRequest, wallTimeMs: number) => Promise<SignedCaller | CallerProblem>;

export function callerChecker(secret: string, memory: ReplayMemory = new ReplayMemory()): CheckCaller {
  const keyOf = keyFrom(secret);
  return async (token, request, wallTimeMs) => {
    const [payload = '', signature = '', ...rest] = token.length > maxTokenLength ? [] : token.split('.');
    const given = bytesOf(signature);
    if (rest.length > 0 || payload === '' || given === undefined) return 'wrong';
    if (!(await crypto.subtle.verify('HMAC', await keyOf(), given, signedBytes(payload)))) return 'wrong';
    const said = readSaid(payload);
    if (said === undefined || said.target !== targetOf(request)) return 'wrong';
    if (Math.abs(said.timeMs - wallTimeMs) > toleranceMs) return 'clock';
    return memory.isFirst(said.number, said.timeMs + toleranceMs, wallTimeMs) ? said.caller : 'used';
  };
}

/**
 * The numbers of requests that have been here, for as long as their time still counts: two minutes at most. Only who knows the
 * secret gets one in, so that at the limit, which is some 500 requests a second, the oldest may go.
 */
export class ReplayMemory {
  readonly #maxNumbers: number;
  readonly #untilMs = new Map<string, number>();

  constructor(maxNumbers = 65_536) {
    this.#maxNumbers = maxNumbers;
  }

  /** Wall times. */
  isFirst(number: string, untilMs: number, nowMs: number): boolean {
    for (const [old, until] of this.#untilMs) {
      if (until >= nowMs && this.#untilMs.size < this.#maxNumbers) break;
      this.#untilMs.delete(old);
    }
    if (this.#untilMs.has(number)) return false;
    this.#untilMs.set(number, untilMs);
    return true;
  }

  get size(): number {
    return this.#untilMs.size;
  }
}

/** The key itself is kept and not its promise: on Workers a promise belongs to the request that made it. */
function keyFrom(secret: string): KeyOf {
  let key: CryptoKey | undefined;
  return async () => {
    key ??= await crypto.subtle.importKey('raw', new TextEncoder().encode(secret), { name: 'HMAC', hash: 'SHA-256' }, false, [
      'sign',
      'verify',
    ]);
    return key;
  };
}

function signedBytes(payload: string): Bytes {
  return new TextEncoder().encode(purpose + payload);
}

/** Both ends read the URL in the same way, so that neither's spelling counts. */
function targetOf({ method, url }: SignedRequest): string {
  const { pathname, search } = new URL(url);
  return `${method} ${pathname}${search}`;
}

interface Said {
  readonly timeMs: number;
  readonly number: string;
  readonly target: string;
  readonly caller: SignedCaller;
}

/** After its signature was found good; read with care all the same, because the other end may be a later Corral. */
function readSaid(payload: string): Said | undefined {
  const bytes = bytesOf(payload);
  let said: unknown;
  try {
    said = bytes === undefined ? undefined : JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
  if (typeof said !== 'object' || said === null) return undefined;
  const { t, n, q, name, admin, sharer, weight, bulk } = said as Readonly<Record<string, unknown>>;
  if (typeof t !== 'number' || typeof n !== 'string' || n === '' || typeof q !== 'string') return undefined;
  // No number, or one such as 1e999: nobody's share may be reckoned with it.
  if (weight !== undefined && !(typeof weight === 'number' && Number.isFinite(weight))) return undefined;
  return {
    timeMs: t,
    number: n,
    target: q,
    caller: {
      name: typeof name === 'string' ? name : undefined,
      isAdmin: admin === true,
      sharer: typeof sharer === 'string' ? sharer : '',
      weight: weight === undefined ? 1 : Math.min(maxWeight, Math.max(leastWeight, weight)),
      urgency: bulk === true ? 'bulk' : 'interactive',
    },
  };
}

/** URL-safe, without padding. */
function base64Of(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

function bytesOf(text: string): Bytes | undefined {
  if (!/^[\w-]+$/.test(text)) return undefined;
  try {
    return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
  } catch {
    return undefined;
  }
}
