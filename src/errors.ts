/**
 * The closed table of everything that can go wrong. A code decides the status and whether another box may be tried;
 * both are decided here, where the error is born, and nowhere else. Status codes are agentgateway's where it has the case
 * (agentgateway crates/agentgateway/src/proxy/mod.rs).
 */
export const errorTable = {
  // The request does not fit the configuration.
  listener_not_found: { status: 404, retryable: false },
  route_not_found: { status: 404, retryable: false },
  path_not_served: { status: 404, retryable: false },
  method_not_allowed: { status: 405, retryable: false },
  delegation_cycle: { status: 500, retryable: false },
  no_backends: { status: 500, retryable: false },
  rewrite_failed: { status: 500, retryable: false },

  // The request may not pass.
  api_key_missing: { status: 401, retryable: false },
  api_key_invalid: { status: 401, retryable: false },
  relay_caller_unknown: { status: 401, retryable: false },
  admin_scope_required: { status: 403, retryable: false },
  foreign_client: { status: 403, retryable: false },
  foreign_host: { status: 403, retryable: false },
  foreign_origin: { status: 403, retryable: false },
  model_not_allowed: { status: 403, retryable: false },
  model_authorization_denied: { status: 403, retryable: false },
  cloud_model_refused: { status: 403, retryable: false },
  box_not_named: { status: 409, retryable: false },

  jwt_missing: { status: 401, retryable: false },
  jwt_invalid: { status: 401, retryable: false },
  jwt_keys_unavailable: { status: 503, retryable: false },
  basic_auth_missing: { status: 401, retryable: false },
  basic_auth_invalid: { status: 401, retryable: false },
  authorization_failed: { status: 403, retryable: false },
  network_refused: { status: 403, retryable: false },
  ext_authz_denied: { status: 403, retryable: false },
  csrf_failed: { status: 403, retryable: false },
  guard_rejected: { status: 403, retryable: false },
  guard_failed: { status: 503, retryable: false },
  rate_limited: { status: 429, retryable: false },
  policy_refused: { status: 503, retryable: false },

  // The request cannot be understood.
  invalid_body: { status: 400, retryable: false },
  missing_model: { status: 400, retryable: false },
  unsupported_parameter: { status: 400, retryable: false },
  unsupported_conversion: { status: 400, retryable: false },
  image_unsupported: { status: 400, retryable: false },
  virtual_model_no_matching_target: { status: 400, retryable: false },
  body_timeout: { status: 408, retryable: false },
  body_too_large: { status: 413, retryable: false },
  unsupported_encoding: { status: 415, retryable: false },

  // No box could serve it.
  model_not_found: { status: 404, retryable: true },
  upstream_refused: { status: 503, retryable: true },
  upstream_unresolved: { status: 503, retryable: true },
  upstream_tls: { status: 503, retryable: true },
  upstream_silent: { status: 503, retryable: true },
  upstream_unavailable: { status: 503, retryable: true },
  upstream_closed: { status: 502, retryable: true },
  upstream_foreign_host: { status: 502, retryable: true },
  no_healthy_backend: { status: 503, retryable: true },
  answer_too_large: { status: 502, retryable: false },
  unreadable_answer: { status: 502, retryable: false },
  upstream_timeout: { status: 504, retryable: true },
  queue_full: { status: 503, retryable: true },
  queue_timeout: { status: 503, retryable: true },
  box_cordoned: { status: 503, retryable: true },
  load_failed: { status: 500, retryable: true },
  context_exceeded: { status: 400, retryable: false },
  request_timeout: { status: 504, retryable: false },
  broken_stream: { status: 502, retryable: false },
  loop_detected: { status: 508, retryable: false },
  overloaded: { status: 503, retryable: false },
  draining: { status: 503, retryable: false },
  internal: { status: 500, retryable: false },
} as const;

export type ErrorCode = keyof typeof errorTable;

export interface ErrorOptions {
  /** Replaces the table's status, where an upstream's own status is handed on. */
  status?: number;
  /** Headers for the answer, e.g. `Retry-After`. Names in lower case. */
  headers?: Readonly<Record<string, string>>;
  /**
   * The answer's body as the configuration or a server that decides writes it, in place of the protocol's own shape: an
   * undefined type sends none, as agentgateway does for these.
   */
  verbatim?: { readonly text: string; readonly contentType: string | undefined };
  /** The member of the request that it is about, for protocols whose errors name one. */
  param?: string;
  /** What happened underneath. Logged, never sent. */
  cause?: unknown;
}

/** An error that a client may see: the message says what happened and what to do about it, and holds no secret. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly retryable: boolean;
  readonly headers: Readonly<Record<string, string>> | undefined;
  readonly verbatim: ErrorOptions['verbatim'];
  readonly param: string | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = options.status ?? errorTable[code].status;
    this.retryable = errorTable[code].retryable;
    this.headers = options.headers;
    this.verbatim = options.verbatim;
    this.param = options.param;
  }
}

/** Any thrown value as a GatewayError; what is not one is a fault of ours and tells the client nothing more than that. */
export function gatewayErrorOf(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  return new GatewayError('internal', 'Corral met an internal error. The log has the details.', { cause: thrown });
}
