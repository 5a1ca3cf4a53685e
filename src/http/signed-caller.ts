/**
 * Who calls, as one Corral tells another: signed with a secret that both know. Used on the leg from a Corral in front to a
 * relay beside the box. HMAC-SHA-256 by WebCrypto, which compares in constant time.
 *
 * The signature covers the caller, the relay that it is meant for, the time, a number that is used once, the method and the path with
 * its query; not the body.
 * Whoever can exchange bodies on the leg can read the prompts as well, so that the leg needs TLS (a tunnel) in either case; and a
 * signed body would have to be read whole before anybody is let in. What is left, sending the same request once more, is what
 * the memory of used numbers prevents (`ReplayMemory`).
 */

export const callerHeader = 'x-corral-caller';

/**
 * Says in an answer that a relay gave it: `1`, which anybody can say, or, to who asks with `challengeHeader`, its name and the proof
 * that it knows the secret: `<name>.<HMAC>` (`relayProver`).
 */
export const relayHeader = 'x-corral-relay';

/** A number that is used once, from who wants that proof. */
export const challengeHeader = 'x-corral-challenge';

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

/** wrong: not signed with this secret, or not for this request. clock: the two clocks are too far apart. used: it has been here before. audience: meant for another relay. */
export type CallerProblem = 'wrong' | 'clock' | 'used' | 'audience';

/** How far the clocks of the two ends may be apart. */
export const toleranceMs = 60_000;
const maxTokenLength = 4 * 1024;
const maxTextLength = 256;
/** Tens of thousands are remembered. */
const maxNumberLength = 64;
/** However far one front end goes: nobody gets all of a queue, and nobody nothing. */
const leastWeight = 0.01;
const maxWeight = 100;
const purpose = 'corral caller 2\n';
const proofPurpose = 'corral relay 1\n';

type Bytes = Uint8Array<ArrayBuffer>;
type KeyOf = () => Promise<CryptoKey>;

/** Signs for one request to the relay of this name (`audience`): the value of `callerHeader`. `wallTimeMs` since the epoch. */
export type SignCaller = (caller: SignedCaller, request: SignedRequest, wallTimeMs: number, audience: string) => Promise<string>;

export function callerSigner(secret: string): SignCaller {
  const keyOf = keyFrom(secret);
  return async ({ name, isAdmin, sharer, weight, urgency }, request, wallTimeMs, audience) => {
    const said = {
      a: audience,
      t: Math.round(wallTimeMs),
      n: freshNumber(),
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

/** `audience`: the name of the relay that checks. */
export function callerChecker(secret: string, audience: string, memory: ReplayMemory = new ReplayMemory()): CheckCaller {
  const keyOf = keyFrom(secret);
  return async (token, request, wallTimeMs) => {
    const [payload = '', signature = '', ...rest] = token.length > maxTokenLength ? [] : token.split('.');
    const given = bytesOf(signature);
    if (rest.length > 0 || payload === '' || given === undefined) return 'wrong';
    if (!(await crypto.subtle.verify('HMAC', await keyOf(), given, signedBytes(payload)))) return 'wrong';
    const said = readSaid(payload);
    if (said === undefined || said.target !== targetOf(request)) return 'wrong';
    // Whoever is shown a token may carry it to another relay with the same secret.
    if (said.audience !== audience) return 'audience';
    if (Math.abs(said.timeMs - wallTimeMs) > toleranceMs) return 'clock';
    return memory.isFirst(said.number, said.timeMs + toleranceMs, wallTimeMs) ? said.caller : 'used';
  };
}

/** The relay that this token is meant for, as it says itself; undefined where it cannot be read. */
export function audienceOf(token: string): string | undefined {
  return readSaid(token.slice(0, Math.max(0, token.indexOf('.'))))?.audience;
}

/** URL-safe, never the same twice. */
export function freshNumber(): string {
  return base64Of(crypto.getRandomValues(new Uint8Array(12)));
}

/** The relay's end: the value of `relayHeader` that answers this challenge; undefined where that is none. */
export type ProveRelay = (challenge: string) => Promise<string> | undefined;

/** `name`: of this relay; no dot in it. */
export function relayProver(secret: string, name: string): ProveRelay {
  const keyOf = keyFrom(secret);
  const prove = async (challenge: string) => {
    const proof = await crypto.subtle.sign('HMAC', await keyOf(), proofBytes(challenge, name));
    return `${name}.${base64Of(new Uint8Array(proof))}`;
  };
  return (challenge) => (/^[\w-]{16,64}$/.test(challenge) ? prove(challenge) : undefined);
}

/** The name of the relay that answered this challenge; undefined where it has not proved that it knows the secret. Never throws. */
export type CheckRelay = (said: string, challenge: string) => Promise<string | undefined>;

export function relayChecker(secret: string): CheckRelay {
  const keyOf = keyFrom(secret);
  return async (said, challenge) => {
    const [, name, proof = ''] = /^([\w-]{1,64})\.([\w-]{43})$/.exec(said) ?? [];
    const given = bytesOf(proof);
    if (name === undefined || given === undefined) return undefined;
    return (await crypto.subtle.verify('HMAC', await keyOf(), given, proofBytes(challenge, name))) ? name : undefined;
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
export function keyFrom(secret: string): KeyOf {
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

function proofBytes(challenge: string, name: string): Bytes {
  return new TextEncoder().encode(`${proofPurpose}${challenge}\n${name}`);
}

/** Both ends read the URL in the same way, so that neither's spelling counts. */
function targetOf({ method, url }: SignedRequest): string {
  const { pathname, search } = new URL(url);
  return `${method} ${pathname}${search}`;
}

interface Said {
  readonly audience: string | undefined;
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
  const { a, t, n, q, name, admin, sharer, weight, bulk } = said as Readonly<Record<string, unknown>>;
  if (typeof t !== 'number' || typeof n !== 'string' || n === '' || n.length > maxNumberLength || typeof q !== 'string')
    return undefined;
  // No number, or one such as 1e999: nobody's share may be reckoned with it.
  if (weight !== undefined && !(typeof weight === 'number' && Number.isFinite(weight))) return undefined;
  return {
    audience: typeof a === 'string' ? a : undefined,
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
export function base64Of(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

export function bytesOf(text: string): Bytes | undefined {
  if (!/^[\w-]+$/.test(text)) return undefined;
  try {
    return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
  } catch {
    return undefined;
  }
}
