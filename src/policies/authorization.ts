/** Lets requests pass by rules in CEL (agentgateway http/authorization.rs). */
import * as z from 'zod';
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { rulesField, verdictOf, warnOfAbsences } from './authorization-rules.ts';
import { definePolicy, type PolicyScope } from './policy.ts';

const optionsField = z.strictObject({ rules: rulesField });

export type AuthorizationOptions = z.output<typeof optionsField>;

export const authorization = definePolicy<AuthorizationOptions>({
  name: 'authorization',
  about: 'Refuses requests that its rules do not let pass, with 403.',
  places: ['listener', 'route', 'backend'],
  options: optionsField,
  example: `authorization:
  rules:
    - apiKey.user == "alice"
    - require: request.method in ["GET", "POST"]
`,

  inherits: (outer, inner) => ({ rules: [...outer.rules, ...inner.rules] }),

  onRequest(options, scope) {
    const check = checkOf(options, scope, 'request');
    if (check === undefined) return undefined;
    return (c, next) => {
      const checking = check(c.env);
      return checking === undefined ? next() : checking.then(next);
    };
  },

  onBackendAttempt(options, scope) {
    const check = checkOf(options, scope, 'attempt');
    return check === undefined ? undefined : ({ exchange }) => check(exchange);
  },
});

/** Throws authorization_failed. A promise only where a rule reads the request's body. */
function checkOf(
  { rules }: AuthorizationOptions,
  scope: PolicyScope,
  moment: 'request' | 'attempt',
): ((exchange: Exchange) => Promise<void> | undefined) | undefined {
  warnOfAbsences(rules, moment, scope.warn);
  if (rules.length === 0) return undefined;
  const mayPass = verdictOf(rules);
  const readsBody = rules.some(({ condition }) => condition.needs.requestBody);
  const decide = (exchange: Exchange): void => {
    if (!mayPass(exchange)) throw new GatewayError('authorization_failed', 'authorization failed');
  };
  return (exchange) => {
    if (readsBody && exchange.heldBody === undefined) return exchange.bodies.read(exchange).then(() => decide(exchange));
    decide(exchange);
    return undefined;
  };
}
