/**
 * The leg to a box behind a relay, as the Corral in front sees it. A relay (`corral --relay`) is found out by its answer to a
 * probe; from then on every request to it says who calls, signed with the secret that both ends know. The relay owns the slots, the
 * queue and the loads of its box, for all Corrals in front of it: here nothing waits.
 */
import type { LegCaller, Upstream } from '../exchange.ts';
import {
  callerHeader,
  callerSigner,
  relayHeader,
  type SignCaller,
  type SignedCaller,
  type SignedRequest,
} from '../http/signed-caller.ts';
import type { Clock } from '../platform.ts';

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

/** Corral itself: probes, and whatever it does with a box on its own account. */
const itself: SignedCaller = { name: 'corral', isAdmin: true, sharer: '', weight: 1, urgency: 'interactive' };

/** The head of an answer. */
export type Seen = { readonly status: number; readonly headers: Headers };

export class RelayLeg {
  readonly #clock: Pick<Clock, 'wallTime'>;
  #secrets: LegSecrets = noSecrets;
  #sign: SignCaller | undefined;
  #isRelay = false;

  constructor(clock: Pick<Clock, 'wallTime'>) {
    this.#clock = clock;
  }

  /** The box's own Corral stands before it. */
  get isRelay(): boolean {
    return this.#isRelay;
  }

  /** As the newest plan has them for this box (`secretsFor`). */
  adopt(secrets: LegSecrets): void {
    if (secrets.secret !== this.#secrets.secret) {
      this.#sign = secrets.secret === undefined ? undefined : callerSigner(secrets.secret);
    }
    this.#secrets = secrets;
  }

  /** What a request carries beside its own headers; undefined where that is nothing, as for every box without a relay. */
  headersFor(request: SignedRequest, caller?: LegCaller): Promise<Readonly<Record<string, string>>> | undefined {
    const sign = this.#isRelay ? this.#sign : undefined;
    const { access } = this.#secrets;
    return sign === undefined && access === undefined ? undefined : this.#headers(sign, access, request, caller);
  }

  /**
   * Learns from an answer; `shown` is what the request carried for the leg. True: it turned away what did not show a credential that
   * is here, so that asking once more makes sense.
   */
  learn({ status, headers }: Seen, shown: Readonly<Record<string, string>> = {}): boolean {
    if (isAccessRefusal(status, headers)) return false;
    if (headers.get(relayHeader) !== null) this.#isRelay = true;
    else if (status < 300) this.#isRelay = false;
    return status === 401 && this.#isRelay && this.#sign !== undefined && !(callerHeader in shown);
  }

  async #headers(
    sign: SignCaller | undefined,
    access: LegSecrets['access'],
    request: SignedRequest,
    caller: LegCaller | undefined,
  ): Promise<Readonly<Record<string, string>>> {
    const headers: Record<string, string> = {};
    if (access !== undefined) {
      headers['cf-access-client-id'] = access.id;
      headers['cf-access-client-secret'] = access.secret;
    }
    if (sign !== undefined) {
      const signed = caller === undefined ? itself : callerOf(caller);
      headers[callerHeader] = await sign(signed, request, this.#clock.wallTime());
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
