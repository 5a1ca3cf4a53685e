/** Where a call may go: one upstream, and how a try at it is prepared. Everything here is decided when the plan is compiled. */
import type { CelExpression } from '../cel/expression.ts';
import type { ErrorCode } from '../errors.ts';
import type { AnswerEdit, AttemptEdit, Exchange, Prediction, Protocol, Translation, Upstream } from '../exchange.ts';
import type { TargetHealth } from './health.ts';

export interface Target {
  readonly upstream: Upstream;
  /** As written in the YAML; undefined leaves the choice to placement (design decision 19). */
  readonly weight: number | undefined;
  /** Failover group: lower ones are exhausted first. */
  readonly group: number;
  /**
   * The configuration itself names who serves when this one cannot (failover groups, failover virtual models): 5xx, 429 and
   * every failure before the first byte then move the request on, whoever answers there.
   */
  readonly failsOver: boolean;
  /** What is equal here, and not a box, shares the load; undefined: file order decides. */
  readonly pool: object | undefined;
  /** How it has fared; undefined where nobody wants to know (`host` backends without a `health` policy). */
  readonly health: TargetHealth | undefined;
  /** What tells sessions apart, where a session stays with its upstream (`sessionAffinity`). */
  readonly affinity: CelExpression | undefined;
  /**
   * detect: bodies pass as the client wrote them, and usage is read. opaque: not even that is looked at. Undefined: policies
   * and translations may change them.
   */
  readonly passthrough: 'detect' | 'opaque' | undefined;
  /** Keys of the configuration that bind every call here, and would not if one passed without being understood. */
  readonly binds: readonly string[];
  /** The configuration names the formats that it speaks: it is spoken to in them until a probe has found Ollama there. */
  readonly namesFormats: boolean;
  /** The context that the configuration pins for every call and every load here, in tokens (`overrides.num_ctx`). */
  readonly pinnedNumCtx?: number | undefined;
  /** Of the names that clients use, those that come here (`llm.models`); undefined: all. */
  readonly takes?: ((requested: string) => boolean) | undefined;
  /** The model that the configuration names for this target, if it does. */
  readonly declares: string | undefined;
  /**
   * The model to ask for, given what the client named; undefined when neither the client nor the configuration names one.
   * On a box the configuration's model is a default, elsewhere it replaces the client's (design decision 1).
   */
  modelFor(requested: string | undefined, isBox: boolean): string | undefined;
  /** The path on the wire, with its query. */
  pathFor(call: PathQuestion): { readonly path: string; readonly query: string };
  /** Policies that edit each try, route before backend. */
  readonly edits: readonly AttemptEdit[];
  /** The same after a translation, on the body as the upstream gets it. */
  readonly finalEdits: readonly AttemptEdit[];
  /**
   * What stands between the client's protocol and the upstream's; undefined where they are the same. Throws GatewayError
   * unsupported_conversion where there is nothing between them.
   */
  translationFor(protocol: Protocol | undefined, isBox: boolean): Translation | undefined;
  /** It answers `/v1/messages/count_tokens` itself; elsewhere the count is estimated. */
  readonly countsTokens: boolean;
  /** Edits of the headers of this backend's own answers. */
  readonly answerEdits: readonly AnswerEdit[];
}

export interface PathQuestion {
  /** Undefined where a request passes without being understood. */
  readonly protocol: Protocol | undefined;
  /** As the client sent it, and the prefix by which its route matched: for the route's rewrite. */
  readonly clientPath: string;
  readonly matchedPrefix: string | undefined;
  readonly query: string;
  readonly isBox: boolean;
  /** The protocol is not the client's: its path says nothing. */
  readonly isTranslated: boolean;
}

/** A target that is going to be tried, with the model it would be asked for. */
export interface Candidate {
  readonly target: Target;
  /** Undefined only where the protocol needs none. */
  readonly model: string | undefined;
  /** Its box is known not to have the model: asked only when the others say that they have not got it either. */
  readonly isLastResort: boolean;
  /** Of a box that was placed among others by it. */
  readonly prediction?: Prediction | undefined;
}

/** What a route ends in. */
export type Backend =
  /** Any HTTP server: everything passes as it came. */
  | { readonly kind: 'host'; readonly targets: readonly Target[] }
  /** Something that speaks LLM protocols. */
  | { readonly kind: 'ai'; readonly ai: AiBackend }
  /** Backends of different kinds, one chosen by weight for each request. */
  | { readonly kind: 'weighted'; readonly choices: readonly { readonly weight: number; readonly backend: Backend }[] }
  /** The route has no backend: its policies may still answer. */
  | { readonly kind: 'none' }
  /** What should stand here cannot: every request is told so. */
  | { readonly kind: 'broken'; readonly code: ErrorCode; readonly message: string };

export interface AiBackend {
  /**
   * The targets that may serve a model, in file order. Throws GatewayError model_not_found when the configuration itself rules
   * the model out (`llm` dialect). Weighted choices between virtual models' targets are made here.
   */
  targetsFor(requested: string | undefined, exchange: Exchange): readonly Target[];
  /** Every target, for start-up, lists and paths that need no model. */
  readonly targets: readonly Target[];
  /** By virtual model: what fails over has targets of its own there, for people who ask how they fare. */
  readonly virtualTargets?: ReadonlyMap<string, readonly Target[]>;
  /** False: this client may neither use the model nor see it in lists. Undefined: everybody may. */
  mayUse?(name: string, exchange: Exchange): boolean;
  /** True: only the request's model tells where it goes, on paths that nobody understands as well (`llm`). */
  readonly needsModel: boolean;
  /** Names that the configuration adds to the models of the boxes: aliases, virtual models, models with a name of their own. */
  readonly addedModels: readonly AddedModel[];
  /** False: lists show only `addedModels` (a `llm` section without a pattern that lets every name pass). */
  listsModel(name: string): boolean;
  /** The path after the route's rewrite: it decides the protocol. */
  pathOf(exchange: Exchange): string;
  /** The route type that `ai.routes` gives a path; undefined when the path decides by itself. */
  routeTypeOf(path: string): string | undefined;
  /** Paths that are opened on boxes beyond the known ones. */
  readonly openPaths: OpenPaths;
}

export interface OpenPaths {
  /** As `METHOD /path`; `*` is any one segment. */
  readonly written: readonly string[];
  /** `path`: undecoded, without query. */
  opens(method: string, path: string): boolean;
}

export interface AddedModel {
  readonly name: string;
  /** The model it stands for, when there is just one. */
  readonly target: string | undefined;
}

/** Every target that a route may end at. */
export function targetsOf(backend: Backend): readonly Target[] {
  switch (backend.kind) {
    case 'host':
      return backend.targets;
    case 'ai':
      return backend.ai.targets;
    case 'weighted':
      return backend.choices.flatMap((choice) => targetsOf(choice.backend));
    case 'none':
    case 'broken':
      return [];
  }
}
