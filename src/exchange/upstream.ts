/** One base URL that answers, and what is known of boxes. */
import type { GatewayError } from '../errors.ts';
import type { SignedRequest } from '../http/signed-caller.ts';
import type { UpstreamTls } from '../platform.ts';
import type { Ask, Lease, Placing, Prediction, Waiter, Work } from './work.ts';

/** One base URL that answers: a box, or another OpenAI-compatible server, or any host. */
export interface Upstream {
  /** Shown to people: the backend's name in the YAML, unique in the plan. Never a URL with secrets. */
  readonly name: string;
  /** Scheme and authority, `http://localhost:11434`, no path, no trailing slash. */
  readonly baseUrl: string;
  /** What the configuration says: `box` is presumed for OpenAI-compatible URLs without a vendor credential. */
  readonly kind: 'box' | 'openai' | 'host';
  readonly tls: UpstreamTls | undefined;
  /** What `fleet.boxes` says of it; undefined when it says nothing. */
  readonly box?: BoxOptions | undefined;
}

/** What is configured of one box (`fleet.boxes`). Undefined members are learnt. */
export interface BoxOptions {
  /** Of two boxes that are alike, one of twice the weight gets twice the calls. 1 unless said. */
  readonly weight: number;
  /** Requests that one model serves at once (OLLAMA_NUM_PARALLEL). */
  readonly slots: number | undefined;
  readonly vramBytes: number | undefined;
  /** Of that, what the owner of the machine keeps for other things. */
  readonly reserveBytes: number;
  /** Models in memory at once (OLLAMA_MAX_LOADED_MODELS). */
  readonly maxLoaded: number | undefined;
  /** On Workers: the binding through which it is reached. */
  readonly binding?: string | undefined;
  /** Cloudflare Access stands before it: requests to it show the service token, over https. Left out: no. */
  readonly access?: boolean | undefined;
  /** What every request to it carries, such as a tunnel's credential. Lower-case names. May hold secrets. */
  readonly headers: Readonly<Record<string, string>>;
}

/** One model as one box tells of it. */
export interface KnownModel {
  /** `name:tag` as the box spells it. */
  readonly name: string;
  readonly digest: string;
  /** The item of `/api/tags`, exact. */
  readonly tag: string;
  readonly sizeBytes: number;
  readonly modifiedAt: string;
  /** Set for models that Ollama's cloud would serve. */
  readonly remoteHost: string | undefined;
}

/** What a box tells of a model when it is asked for it (`/api/show`). */
export interface ModelFacts {
  /** `completion`, `embedding`, `tools`, `vision`, `thinking`, `insert`; undefined on older boxes. */
  readonly capabilities: readonly string[] | undefined;
  /** Tokens: the most that the model was made for, not what a runner has. */
  readonly contextLength: number | undefined;
  /** Digest of the file of its weights, by which Ollama's scheduler tells runners apart. */
  readonly blob?: string | undefined;
}

/** For whom a request goes to a box. An exchange is one. */
export interface LegCaller {
  readonly identity: { readonly name: string | undefined; readonly isAdmin: boolean } | undefined;
  readonly work: Work | undefined;
}

/** What Corral knows of the boxes. Reading costs no waiting; asking is bounded and shared by all who ask at once. */
export interface Fleet {
  /** Whether this upstream answers as Ollama: the configuration's presumption until a probe has told. */
  isBox(upstream: Upstream): boolean;
  /** Whether a probe has found Ollama there. */
  isProvenBox(upstream: Upstream): boolean;
  /** Undefined: never asked, or not lately. */
  isAlive(upstream: Upstream): boolean | undefined;
  /** By canonical name (`canonicalModel`); undefined when the box's list is not known. */
  hasModel(upstream: Upstream, model: string): boolean | undefined;
  /** Whether the box would hand this model on to Ollama's cloud, as far as its list tells. */
  isRemote(upstream: Upstream, model: string): boolean;
  /** Undefined when not known. */
  isResident(upstream: Upstream, model: string): boolean | undefined;
  /** The box has failed with this model several times in a row, and is better not asked for it just now: the others come first. */
  isTripped(upstream: Upstream, model: string): boolean;
  /** Out of service: it finishes what it has begun, and gets no new work while another box may do it. */
  isCordoned(upstream: Upstream): boolean;
  /** What is known of the model beside its name; undefined until the box has been asked. */
  factsOf(upstream: Upstream, model: string): ModelFacts | undefined;
  /** Requests under way at this upstream, counted by Corral. */
  inFlight(upstream: Upstream): number;
  /** A Corral of the box's own stands before it and grants its slots. Left out: no. */
  isRelay?(upstream: Upstream): boolean;
  /** What a request carries on the leg to a relay: who calls, signed, and what opens the way. Undefined, as nearly always: nothing. */
  legHeaders?(
    upstream: Upstream,
    request: SignedRequest,
    caller: LegCaller,
  ): Promise<Readonly<Record<string, string>>> | undefined;
  /**
   * An answer may tell that a relay stands there, which wants to see what it was not `shown`: a probe finds out. True: asking once
   * more makes sense.
   */
  learnLeg?(
    upstream: Upstream,
    answer: { readonly status: number; readonly headers: Headers },
    shown: Readonly<Record<string, string>> | undefined,
  ): Promise<boolean>;
  /** Takes out of an answer to what was `shown` how busy the relay says it is; settles when it counts. Undefined: there is nothing. */
  hearLeg?(upstream: Upstream, headers: Headers, shown: Readonly<Record<string, string>>): Promise<void> | undefined;
  /** `GET /api/version` (any answer counts for other hosts), 2 s at most, shared by all who ask at once. */
  checkAlive(upstream: Upstream): Promise<boolean>;
  /** `/api/ps` now, 2 s at most: is the model in memory? Undefined when the box does not tell. */
  checkResident(upstream: Upstream, model: string): Promise<boolean | undefined>;
  /** An attempt met this fate: keeps liveness current between probes. */
  noteAnswer(upstream: Upstream): void;
  noteFailure(upstream: Upstream, error: GatewayError): void;
  /** For upstreams that are no boxes; boxes grant leases. */
  enter(upstream: Upstream): void;
  leave(upstream: Upstream): void;
  /** What this box would need to the first token; undefined when nothing is known that tells boxes apart. */
  predict(upstream: Upstream, ask: Ask): Prediction | undefined;
  /**
   * The order among boxes that the configuration holds for equals: one placing for each, in the order they came. Undefined: too
   * little is known of one of them, or the configuration wants no predictions.
   */
  place(asked: readonly { readonly upstream: Upstream; readonly ask: Ask }[]): readonly Placing[] | undefined;
  /**
   * A slot of the box, with the model in memory: at once where both are there, and else as soon as they are. Throws or rejects
   * with GatewayError: queue_full and queue_timeout, or what the load came to; the next box may be asked then. Never settles
   * after its waiter has gone.
   */
  admit(upstream: Upstream, ask: Ask, waiter: Waiter): Lease | Promise<Lease>;
}
