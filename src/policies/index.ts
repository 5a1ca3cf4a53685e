/**
 * Every policy, in the order in which they run: outermost first, so the first has the last word on the answer. The order is
 * agentgateway's (proxy/httpproxy.rs); a policy's place in the YAML does not change it.
 */
import { ai } from './ai.ts';
import { apiKey } from './apiKey.ts';
import { authorization } from './authorization.ts';
import { backendAuth } from './backendAuth.ts';
import { backendTLS } from './backendTLS.ts';
import { basicAuth } from './basicAuth.ts';
import { buffer } from './buffer.ts';
import { cors } from './cors.ts';
import { csrf } from './csrf.ts';
import { delay } from './delay.ts';
import { directResponse } from './directResponse.ts';
import { extAuthz } from './extAuthz.ts';
import { health } from './health.ts';
import { http } from './http.ts';
import { jwtAuth } from './jwtAuth.ts';
import { localRateLimit } from './localRateLimit.ts';
import type { PolicyDefinition } from './policy.ts';
import { requestHeaderModifier } from './requestHeaderModifier.ts';
import { requestMirror } from './requestMirror.ts';
import { requestRedirect } from './requestRedirect.ts';
import { responseHeaderModifier } from './responseHeaderModifier.ts';
import { retry } from './retry.ts';
import { sessionAffinity } from './sessionAffinity.ts';
import { timeout } from './timeout.ts';
import { transformations } from './transformations.ts';
import { urlRewrite } from './urlRewrite.ts';

/**
 * A list cannot hold policies of different options without forgetting them. Safe, because a policy's factories are only ever
 * given what its own schema has made.
 */
function listed<Options>(policy: PolicyDefinition<Options>): PolicyDefinition {
  return policy as unknown as PolicyDefinition;
}

export const policies: readonly PolicyDefinition[] = [
  // A browser's preflight carries no key, so it is answered before keys are asked for; and a 401 needs CORS headers to be read.
  listed(cors),
  // Nothing that costs anything, and nothing that touches the request, happens for somebody who may not come in.
  listed(jwtAuth),
  listed(basicAuth),
  // After the others: what a key may use counts, whoever else the caller has shown to be.
  listed(apiKey),
  // Asks a server, which costs more than a look at a key, and may say no to whom the key lets in.
  listed(extAuthz),
  // Once it is known who asks, and before anything is done for them.
  listed(authorization),
  // Limits count from the first byte, so their place matters little; they are set before anything waits.
  listed(timeout),
  listed(retry),
  // Whoever was turned away above has cost nothing; what is turned away below, a guard's rejection included, has.
  listed(localRateLimit),
  // Before anything that reads the body, and around everything that still changes the answer.
  listed(buffer),
  // On a listener the last: routes match what it has made of the request. Everything that follows sees that, too.
  listed(transformations),
  // Judges the request as the upstream would see it, Host included.
  listed(csrf),
  // Adds to what the answer is made of, further in than CORS: what cors says about the answer cannot be overwritten here.
  listed(responseHeaderModifier),
  // From here on: edits of each try. Headers first, so that an explicit authority of urlRewrite beats a `host` set here.
  listed(requestHeaderModifier),
  listed(urlRewrite),
  // Those that answer by themselves, once everybody has been let in and counted. A delayed answer comes late, whoever gives it.
  listed(requestRedirect),
  listed(delay),
  listed(directResponse),
  // After the edits of path and headers, which a copy shares; before credentials, which are the upstream's alone.
  listed(requestMirror),
  // Of the two limits for one try the backend's own comes second, and the shorter one counts.
  listed(http),
  // After the general header edits: the credential that an upstream needs is not lost to them.
  listed(backendAuth),
  // Decided once per upstream when the plan is made; stands here because it belongs to the backend.
  listed(backendTLS),
  // Read by the compiler, too: they decide which upstream is tried, before any of these edits runs.
  listed(health),
  listed(sessionAffinity),
  // Last: the body is edited for the upstream that was chosen, after everything that could have chosen another.
  listed(ai),
];

const byName = new Map(policies.map((policy) => [policy.name, policy]));

/** The policy of a YAML key; undefined when Corral has none of that name. */
export function policyNamed(name: string): PolicyDefinition | undefined {
  return byName.get(name);
}
