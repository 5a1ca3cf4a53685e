/**
 * The leg to a box behind a relay, as the Corral in front sees it. A relay (`corral --relay`) is found out by its answer to a
 * probe: each carries a number, and only who knows the secret can answer it. From then on every request to it says who calls, signed
 * with that secret and for this relay alone. The relay owns the slots, the queue and the loads of its box, for all Corrals in front of
 * it: here nothing waits.
 */
import type { LegCaller, Upstream } from '../../exchange.ts';
import { type CheckLoad, loadChecker, loadHeader } from '../../http/relay-load.ts';
import {
  audienceOf,
  type CheckRelay,
  callerHeader,
  callerSigner,
  challengeHeader,
  freshNumber,
  relayChecker,
  relayHeader,
  type SignCaller,
  type SignedCaller,
  type SignedRequest,
} from '../../http/signed-caller.ts';
import type { Clock } from '../../platform.ts';
import { ToldLoad } from './told-load.ts';

/** What both ends know, and what opens the way between them. */
export interface LegSecrets {
  readonly secret: string | undefined;
  /** A service token of Cloudflare Access. */
  readonly access: { readonly id: string; readonly secret: string } | undefined;
}

export const noSecrets: LegSecrets = { secret: undefined, access: undefined };

/**
 * What of it this box may get to see. The service token goes where the configuration says so (`fleet.boxes[].access`), and where
 * nobody on the way can read it: what a box answers must never bring it about, because every box can write such an answer.
 */
export function secretsFor({ box, baseUrl }: Pick<Upstream, 'box' | 'baseUrl'>, { secret, access }: LegSecrets): LegSecrets {
  return { secret, access: box?.access === true && baseUrl.startsWith('https:') ? access : undefined };
}

/** Corral itself: probes, and whatever it does with a box on its own account. None of that manages the box. */
const itself: SignedCaller = { name: 'corral', isAdmin: false, sharer: '', weight: 1, urgency: 'interactive' };

/** Whoever runs Corral's commands for boxes: what they change (`pull`) wants the admin scope; what they ask does not. */
export const operator: SignedCaller = { ...itself, isAdmin: true };

/** The head of an answer. */
export type Seen = { readonly status: number; readonly headers: Headers };

/** Asked first and always; lists that the relay answers itself do not carry the proof. */
const probePath = '/api/version';

type Shown = Readonly<Record<string, string>>;

export class RelayLeg {
  readonly #clock: Pick<Clock, 'now' | 'wallTime'>;
  readonly #self: SignedCaller;
  readonly #load: ToldLoad;
  #secrets: LegSecrets = noSecrets;
  #sign: SignCaller | undefined;
  #check: CheckRelay | undefined;
  #checkLoad: CheckLoad | undefined;
  /** Of the relay that has proved last that it knows the secret. */
  #relayName: string | undefined;

  /** `self`: who POSTs without a caller come from. `others`: what others do there. */
  constructor(clock: Pick<Clock, 'now' | 'wallTime'>, self = itself, others = new ToldLoad(() => [])) {
    this.#clock = clock;
    this.#self = self;
    this.#load = others;
  }

  /** The box's own Corral stands before it, as it has proved. */
  get isRelay(): boolean {
    return this.#relayName !== undefined;
  }

  /** As the newest plan has them for this box (`secretsFor`). */
  adopt(secrets: LegSecrets): void {
    const { secret } = secrets;
    if (secret !== this.#secrets.secret) {
      this.#sign = secret === undefined ? undefined : callerSigner(secret);
      this.#check = secret === undefined ? undefined : relayChecker(secret);
      this.#checkLoad = secret === undefined ? undefined : loadChecker(secret);
      this.#relayName = undefined;
      this.#load.forget();
    }
    this.#secrets = secrets;
  }

  /**
   * What a request carries beside its own headers; undefined where that is nothing, as for every box where no secret is known. Asking
   * for the version without a caller is a probe: it asks for the proof anew.
   */
  headersFor(request: SignedRequest, caller?: LegCaller): Promise<Shown> | undefined {
    const isProbe = caller === undefined && request.url.endsWith(probePath) && this.#check !== undefined;
    const isSigned = this.#relayName !== undefined && this.#sign !== undefined;
    const isNothing = !isProbe && !isSigned && this.#secrets.access === undefined;
    return isNothing ? undefined : this.#headers(request, isProbe, caller);
  }

  /** Judges the proof in the answer to a probe; `shown` is what that carried. Whoever does not give one is no relay, or none any more. */
  async prove(headers: Headers, shown: Shown | undefined): Promise<void> {
    const challenge = shown?.[challengeHeader];
    const check = this.#check;
    if (challenge === undefined || check === undefined) return;
    const said = headers.get(relayHeader);
    const name = said === null ? undefined : await check(said, challenge);
    // The secret may have changed meanwhile.
    if (check !== this.#check) return;
    if (name !== this.#relayName) this.#load.forget();
    this.#relayName = name;
  }

  /**
   * Takes out of an answer what the relay tells there of its queue. `shown` is what the request carried: to nothing else does a relay
   * tell it. Undefined, as nearly always: there is nothing.
   */
  hear(headers: Headers, shown: Shown | undefined): Promise<void> | undefined {
    const token = shown?.[callerHeader];
    const value = token === undefined ? null : headers.get(loadHeader);
    if (token === undefined || value === null) return undefined;
    headers.delete(loadHeader);
    // A token for another relay than the one that stands there now brings nothing new.
    if (this.#checkLoad === undefined || audienceOf(token) !== this.#relayName) return undefined;
    return this.#load.hear(value, token, this.#clock.now(), this.#checkLoad);
  }

  /**
   * True: a relay that has proved to be one turned away what was not signed, or not for it, so that asking once more makes sense.
   * `shown` is what the request carried for the leg.
   */
  mayAskAgain({ status }: Seen, shown: Shown = {}): boolean {
    if (status !== 401 || this.#relayName === undefined || this.#sign === undefined) return false;
    const token = shown[callerHeader];
    return token === undefined || audienceOf(token) !== this.#relayName;
  }

  /** Whether a refusal may come from a relay that a probe would find out. */
  isWorthProbe({ status, headers }: Seen): boolean {
    return status === 401 && this.#check !== undefined && headers.has(relayHeader);
  }

  async #headers(request: SignedRequest, isProbe: boolean, caller: LegCaller | undefined): Promise<Shown> {
    const headers: Record<string, string> = {};
    const { access } = this.#secrets;
    if (access !== undefined) {
      headers['cf-access-client-id'] = access.id;
      headers['cf-access-client-secret'] = access.secret;
    }
    if (isProbe) headers[challengeHeader] = freshNumber();
    if (this.#sign !== undefined && this.#relayName !== undefined) {
      const signed = caller !== undefined ? callerOf(caller) : request.method === 'GET' ? itself : this.#self;
      headers[callerHeader] = await this.#sign(signed, request, this.#clock.wallTime(), this.#relayName);
    }
    return headers;
  }
}

function callerOf({ identity, work }: LegCaller): SignedCaller {
  return {
    name: identity?.name,
    isAdmin: identity?.isAdmin === true,
    sharer: work?.sharer ?? (identity?.name === undefined ? '' : `key:${identity.name}`),
    weight: work?.weight ?? 1,
    urgency: work?.urgency ?? 'interactive',
  };
}

/** Cloudflare Access sends people to its login page, and turns programs away with 403 and its own headers. */
export function isAccessRefusal(status: number, headers: Headers): boolean {
  const location = headers.get('location') ?? '';
  if (status === 302 || status === 303) return /^https:\/\/[\w.-]+\.cloudflareaccess\.com\//.test(location);
  return (status === 401 || status === 403) && (headers.get('www-authenticate') ?? '').startsWith('Cloudflare-Access');
}
