/** One base URL that answers, and what is known of boxes. */
import type { GatewayError } from '../errors.ts';
import type { UpstreamTls } from '../platform.ts';

/** One base URL that answers: a box, or another OpenAI-compatible server, or any host. */
export interface Upstream {
  /** Shown to people: the backend's name in the YAML, unique in the plan. Never a URL with secrets. */
  readonly name: string;
  /** Scheme and authority, `http://localhost:11434`, no path, no trailing slash. */
  readonly baseUrl: string;
  /** What the configuration says: `box` is presumed for OpenAI-compatible URLs without a vendor credential. */
  readonly kind: 'box' | 'openai' | 'host';
  readonly tls: UpstreamTls | undefined;
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

/** What Corral knows of the boxes. Reading costs no waiting; asking is bounded and shared by all who ask at once. */
export interface Fleet {
  /** Whether this upstream answers as Ollama: the configuration's presumption until a probe has told. */
  isBox(upstream: Upstream): boolean;
  /** Undefined: never asked, or not lately. */
  isAlive(upstream: Upstream): boolean | undefined;
  /** By canonical name (`canonicalModel`); undefined when the box's list is not known. */
  hasModel(upstream: Upstream, model: string): boolean | undefined;
  /** Whether the box would hand this model on to Ollama's cloud, as far as its list tells. */
  isRemote(upstream: Upstream, model: string): boolean;
  /** Undefined when not known. */
  isResident(upstream: Upstream, model: string): boolean | undefined;
  /** Requests under way at this upstream, counted by Corral. */
  inFlight(upstream: Upstream): number;
  /** `GET /api/version` (any answer counts for other hosts), 2 s at most, shared by all who ask at once. */
  checkAlive(upstream: Upstream): Promise<boolean>;
  /** `/api/ps` now, 2 s at most: is the model in memory? Undefined when the box does not tell. */
  checkResident(upstream: Upstream, model: string): Promise<boolean | undefined>;
  /** An attempt met this fate: keeps liveness current between probes. */
  noteAnswer(upstream: Upstream): void;
  noteFailure(upstream: Upstream, error: GatewayError): void;
  enter(upstream: Upstream): void;
  leave(upstream: Upstream): void;
}
