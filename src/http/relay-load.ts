/**
 * How busy a relay is, as it tells a Corral in front: calls under way and waiting, by model, of everybody who sends to it. Each answer
 * to a request whose caller was signed carries it, and no other. It is signed together with that request's token, so that it counts
 * for this answer alone.
 *
 *     x-corral-load: <milliseconds>;<model>:<under way>:<waiting>:<served at once>,….<HMAC>
 *
 * The milliseconds are the relay's own and never go back: what was said later counts. Models are told by a hash of what tells
 * runners apart on both ends (the digest of the blob): their names are nobody's business on the way.
 */
import { hashOf } from '../fields/hash.ts';
import { base64Of, bytesOf, keyFrom } from './signed-caller.ts';

export const loadHeader = 'x-corral-load';

/** Of one runner. */
export interface RunnerLoad {
  /** As `runnerHash` makes it. */
  readonly hash: string;
  readonly busy: number;
  readonly waiting: number;
  /** How many calls are served at once; undefined: not known yet. */
  readonly slots: number | undefined;
}

export interface RelayLoad {
  readonly atMs: number;
  /** Those with something to do. */
  readonly runners: readonly RunnerLoad[];
}

/** More are not told, the busiest first: 32 take up less than 1 KB. */
export const maxRunners = 32;
const most = 999_999;
const entry = '[0-9a-z]{1,7}:\\d{1,6}:\\d{1,6}:\\d{0,6}';
const pattern = new RegExp(`^(\\d{1,15});((?:${entry}(?:,${entry}){0,${maxRunners - 1}})?)$`);
const purpose = 'corral load 1\n';

/** `key`: of `Slots`. */
export function runnerHash(key: string): string {
  return hashOf(key).toString(36);
}

/** The value of `loadHeader` in the answer to the request that carried this token. */
export type SignLoad = (load: RelayLoad, token: string) => Promise<string>;

export function loadSigner(secret: string): SignLoad {
  const keyOf = keyFrom(secret);
  return async (load, token) => {
    const said = textOf(load);
    const signature = await crypto.subtle.sign('HMAC', await keyOf(), signedBytes(token, said));
    return `${said}.${base64Of(new Uint8Array(signature))}`;
  };
}

/** What it says, signed or not; undefined where it cannot be read. */
export function readLoad(value: string): RelayLoad | undefined {
  const [, at = '', list = ''] = pattern.exec(value.slice(0, Math.max(0, value.indexOf('.')))) ?? [];
  if (at === '') return undefined;
  const runners = list === '' ? [] : list.split(',').map(runnerOf);
  return { atMs: Number(at), runners };
}

/** Whether the relay has said so, in answer to this token. Never throws. */
export type CheckLoad = (value: string, token: string) => Promise<boolean>;

export function loadChecker(secret: string): CheckLoad {
  const keyOf = keyFrom(secret);
  return async (value, token) => {
    const dot = value.indexOf('.');
    const given = bytesOf(value.slice(dot + 1));
    if (dot < 0 || given === undefined) return false;
    return await crypto.subtle.verify('HMAC', await keyOf(), given, signedBytes(token, value.slice(0, dot)));
  };
}

function textOf({ atMs, runners }: RelayLoad): string {
  const told = [...runners].sort((one, other) => other.busy + other.waiting - one.busy - one.waiting).slice(0, maxRunners);
  const entries = told.map(({ hash, busy, waiting, slots }) =>
    [hash, Math.min(most, busy), Math.min(most, waiting), slots === undefined ? '' : Math.min(most, slots)].join(':'),
  );
  return `${Math.max(0, Math.round(atMs))};${entries.join(',')}`;
}

function runnerOf(text: string): RunnerLoad {
  const [hash = '', busy, waiting, slots] = text.split(':');
  return { hash, busy: Number(busy), waiting: Number(waiting), slots: slots === '' ? undefined : Number(slots) };
}

/** A token holds no line break. */
function signedBytes(token: string, said: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${purpose}${token}\n${said}`);
}
