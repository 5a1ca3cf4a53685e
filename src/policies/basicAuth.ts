/**
 * Asks for a user's name and password (agentgateway http/basicauth.rs). Differs on purpose: strict unless told otherwise
 * (design decision 5), and hashes that give the passwords away are refused when the file is read.
 */
import * as z from 'zod';
import { GatewayError } from '../errors.ts';
import type { Exchange } from '../exchange.ts';
import { parsedOr } from '../fields/text-field.ts';
import { textOrFileField } from '../fields/text-or-file.ts';
import { takeIdentity } from './caller.ts';
import {
  type CredentialLocation,
  credentialLocationField,
  credentialReaderOf,
  credentialRemoverOf,
} from './credential-location.ts';
import { usersOf } from './htpasswd.ts';
import { createPasswordCheck, type Verdict } from './password-check.ts';
import { definePolicy } from './policy.ts';
import { createWorkGate } from './work-gate.ts';

const optionsField = z.strictObject({
  htpasswd: textOrFileField
    // A list and no Map: policies are compared as JSON when routes are grouped.
    .transform((text, context) => parsedOr(() => [...usersOf(text)], context))
    .describe(
      'Users and the hashes of their passwords, as `htpasswd -B` writes them: the text ("$$" for each "$"), or {file: path}.',
    ),
  realm: z
    .string()
    .regex(/^[\x20-\x7e]{1,200}$/, { error: 'expected plain ASCII' })
    .nullish()
    .describe('Shown by browsers when they ask for the password. Default: Restricted.'),
  mode: z
    .enum(['strict', 'optional'])
    .default('strict')
    .describe(
      'strict: a user and password are needed (default; agentgateway: optional). optional: none is needed, a wrong one is refused.',
    ),
  authorizationLocation: credentialLocationField
    .optional()
    .describe('Where they stand in the request, as base64 of `user:password`. Default: `Authorization: Basic …`.'),
});

export type BasicAuthOptions = z.output<typeof optionsField>;

const basicHeader: CredentialLocation = { kind: 'header', name: 'authorization', prefix: 'Basic ' };

/** bcrypt keeps the whole process busy, so more at once would only make each slower. */
const gateLimits = { maxRunning: 2, maxWaiting: 64 };

export const basicAuth = definePolicy<BasicAuthOptions>({
  name: 'basicAuth',
  about: "Asks for a user's name and password, as browsers do, and checks them against an htpasswd file.",
  places: ['listener', 'route'],
  options: optionsField,
  example: `basicAuth:
  realm: models
  htpasswd: |
    alice:$$2y$$05$$LMZ.8WGNqvagmtJz2Gw6VuiE6khXc2zc0FDTHrfWJyLT66HM8BMAa
`,
  inherits: 'both',
  protects: (options) => options.mode === 'strict',

  onRequest(options, scope) {
    const location = options.authorizationLocation ?? basicHeader;
    const read = credentialReaderOf(location);
    const header = location.kind === 'header' ? location.name : undefined;
    const { check } = createPasswordCheck({
      users: new Map(options.htpasswd),
      // A request that a Worker's client gives up may never give its place back, and Workers bound the time of each anyway.
      gate: scope.runtime === 'workerd' ? undefined : scope.state.kept('basicAuth/checks', () => createWorkGate(gateLimits)),
    });
    const challenge = { 'www-authenticate': `Basic realm="${(options.realm ?? 'Restricted').replace(/["\\]/g, '\\$&')}"` };

    return async (c, next) => {
      const exchange = c.env;
      const credential = read(exchange);
      if (credential === undefined) {
        if (options.mode === 'strict') throw missing(challenge);
      } else {
        const given = pairOf(credential);
        if (given === undefined) throw invalid(challenge);
        const verdict = check(given.user, given.password);
        accept(exchange, verdict instanceof Promise ? await verdict : verdict, given.user, challenge);
        if (header !== undefined) exchange.consumedHeaders.add(header);
      }
      await next();
    };
  },

  /** A verified header is in `consumedHeaders`; a query parameter or cookie is cut out of what surrounds it here. */
  onAttempt({ authorizationLocation: location }) {
    if (location === undefined || location.kind === 'header') return undefined;
    const remove = credentialRemoverOf(location);
    return ({ exchange, outgoing }) => {
      if (exchange.claims?.basicAuth !== undefined) remove(outgoing);
    };
  },
});

function accept(exchange: Exchange, verdict: Verdict, username: string, challenge: Readonly<Record<string, string>>): void {
  if (verdict === 'wrong') throw invalid(challenge);
  if (verdict === 'overworked') {
    const headers = { 'retry-after': '1' };
    throw new GatewayError('overloaded', 'too many passwords are being checked right now; try again in a moment', { headers });
  }
  exchange.claims = { ...exchange.claims, basicAuth: { username } };
  takeIdentity(exchange, username);
}

/** RFC 7617: base64 of UTF-8, the name ends at the first colon. */
function pairOf(credential: string): { readonly user: string; readonly password: string } | undefined {
  try {
    const bytes = Uint8Array.from(atob(credential), (letter) => letter.charCodeAt(0));
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    const colon = text.indexOf(':');
    return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
  } catch {
    return undefined;
  }
}

function missing(headers: Readonly<Record<string, string>>): GatewayError {
  const message = 'basic authentication failure: no basic authentication credentials found';
  return new GatewayError('basic_auth_missing', message, { headers });
}

function invalid(headers: Readonly<Record<string, string>>): GatewayError {
  return new GatewayError('basic_auth_invalid', 'basic authentication failure: invalid credentials', { headers });
}
