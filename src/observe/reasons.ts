/** Why an exchange ended as it did, in agentgateway's few words (its metrics' and logs' `reason`), from Corral's own code. */
import type { ErrorCode, GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';

const reasons: Readonly<Partial<Record<ErrorCode, string>>> = {
  listener_not_found: 'NotFound',
  route_not_found: 'NotFound',
  path_not_served: 'NotFound',
  model_not_found: 'NotFound',
  api_key_missing: 'APIKeyAuth',
  api_key_invalid: 'APIKeyAuth',
  jwt_missing: 'JwtAuth',
  jwt_invalid: 'JwtAuth',
  basic_auth_missing: 'BasicAuth',
  basic_auth_invalid: 'BasicAuth',
  ext_authz_denied: 'ExtAuth',
  rate_limited: 'RateLimit',
  guard_rejected: 'Guardrail',
  guard_failed: 'Guardrail',
  body_timeout: 'Timeout',
  upstream_timeout: 'Timeout',
  request_timeout: 'Timeout',
  no_healthy_backend: 'NoHealthyBackend',
  upstream_refused: 'UpstreamFailure',
  upstream_unresolved: 'UpstreamFailure',
  upstream_tls: 'UpstreamFailure',
  upstream_silent: 'UpstreamFailure',
  upstream_unavailable: 'UpstreamFailure',
  upstream_closed: 'UpstreamFailure',
  upstream_foreign_host: 'UpstreamFailure',
  answer_too_large: 'UpstreamFailure',
  broken_stream: 'UpstreamFailure',
};

/** An answer that no upstream gave and that is no error: a list, a preflight, `directResponse`. */
const direct = 'DirectResponse';

export function reasonOf({ error, attempts }: Exchange): string {
  if (error !== undefined) return reasons[error.code] ?? reasonByStatus(error);
  return attempts.length > 0 ? 'Upstream' : direct;
}

function reasonByStatus({ status }: GatewayError): string {
  if (status === 401 || status === 403) return 'Authorization';
  return status < 500 ? 'InvalidRequest' : 'Internal';
}
