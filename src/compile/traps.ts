/** What policies cannot do where they stand, or do to others that stand elsewhere, each right by itself: warnings, never errors. */

import { policyNamed } from '../policies/index.ts';
import { limitsTokens } from '../policies/localRateLimit.ts';
import { readsWholeAnswers } from '../policies/transformations.ts';
import type { PolicyLayer } from './policy-stack.ts';

type Warn = (yamlPath: string, message: string) => void;

const locks = ['jwtAuth', 'basicAuth', 'apiKey'] as const;

/** `llm` on a port of its own has no listener in the file: its lock is CORRAL_API_KEY, or attached by name as this is. */
const llmMend =
  'give the listener cors, too, by an entry of the top-level policies (target.gateway.gatewayName: llm, phase: gateway)';

/** A browser asks first whether a page may ask, and shows no credential: a lock of the listener answers before the route's `cors`. */
export function warnOfPreflights(listener: PolicyLayer, route: PolicyLayer, warn: Warn): void {
  if (route.options.cors === undefined || listener.options.cors !== undefined) return;
  const lock = locks.find((name) => {
    const options = listener.options[name];
    return options !== undefined && policyNamed(name)?.protects?.(options) === true;
  });
  if (lock === undefined) return;
  const mend = listener.yamlPath === 'llm' ? llmMend : 'write cors on the listener, too';
  const message = `browsers cannot use it: their preflight requests show no credential, and the listener's ${lock} answers them with 401 first; ${mend}`;
  warn(`${route.yamlPath}.cors`, message);
}

/** Of layers around something that streams. */
export function warnOfWholeAnswers(layers: readonly PolicyLayer[], warn: Warn): void {
  for (const { options, yamlPath } of layers) {
    const given = options.transformations as Parameters<typeof readsWholeAnswers>[0] | undefined;
    if (given === undefined || !readsWholeAnswers(given)) continue;
    const message =
      'streams of models arrive in one piece here: what reads or sets the body of an answer waits for all of it. Edit headers only, or mask texts with promptGuard, which streams';
    warn(`${yamlPath}.transformations`, message);
  }
}

/** Of the layers of one `host` backend, whose answers nobody reads. */
export function warnOfTokenLimits(layers: readonly PolicyLayer[], backend: string, warn: Warn): void {
  const layer = layers.findLast(({ options }) => options.localRateLimit !== undefined);
  if (layer === undefined || !limitsTokens(layer.options.localRateLimit as Parameters<typeof limitsTokens>[0])) return;
  const message = `tokens are not counted at ${backend}, a host backend, whose bodies pass unread: make it an ai backend, or limit requests`;
  warn(`${layer.yamlPath}.localRateLimit`, message);
}
