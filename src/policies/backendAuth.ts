/** The credentials that Corral itself shows to an upstream (agentgateway http/auth/mod.rs). */
import * as z from 'zod';
import type { AttemptEdit } from '../exchange.ts';
import { secretField } from '../fields/secret.ts';
import { bearerHeader, credentialWriterOf, type WritableLocation, writableLocationField } from './credential-location.ts';
import { foreign } from './foreign.ts';
import { definePolicy } from './policy.ts';

/** What a header can carry; a line end in a key file would otherwise break every request instead of the start. */
export const sendableField = secretField.refine((key) => /^[\x20-\x7e]+$/.test(key), {
  error: 'a key that is sent to an upstream must be plain ASCII on one line',
});

const keyField = z
  .union(
    [
      sendableField,
      z.strictObject({
        value: sendableField.describe('The key: a text, or {file: path}.'),
        location: writableLocationField.nullish().describe('Where the upstream reads it. Default: `Authorization: Bearer KEY`.'),
      }),
    ],
    { error: 'expected a text, {file: "path"}, or {value: …, location: …}' },
  )
  .transform((key): { value: string; location: WritableLocation } =>
    typeof key === 'string'
      ? { value: key, location: bearerHeader }
      : { value: key.value, location: key.location ?? bearerHeader },
  );

const credentialField = z.strictObject({
  location: writableLocationField.describe('Where the upstream reads it.'),
  key: sendableField.describe('The credential: a text, or {file: path}.'),
});

const vendor =
  "made for one vendor's cloud; reach that vendor through its OpenAI-compatible address with key, or through a small proxy that signs";

/** Nothing is required by itself, so that a foreign kind of credential is one error and not two. */
const optionsField = z
  .strictObject(
    {
      key: keyField.optional().describe('The key for the upstream; the client never sees it.'),
      passthrough: z
        .strictObject({
          location: writableLocationField
            .nullish()
            .describe('Where the upstream reads it. Default: `Authorization: Bearer TOKEN`.'),
        })
        .optional()
        .describe('Shows the upstream the token that jwtAuth has verified. Without one nothing is shown: API keys never go on.'),
      credentials: z
        .array(credentialField)
        .max(16, { error: 'at most 16 credentials' })
        .optional()
        .describe('Further credentials, each at its own place: for upstreams that ask for more than one.'),
      gcp: foreign(vendor),
      aws: foreign(vendor),
      azure: foreign(vendor),
      copilot: foreign(vendor),
      jwtSign: foreign('signs a token for each request; put a small proxy that signs in front of the upstream'),
      oauthTokenExchange: foreign(
        'trades tokens with an OAuth server; do it in an extAuthz server over HTTP that answers the new one in includeResponseHeaders',
      ),
      crossAppAccess: foreign(
        'trades tokens with an OAuth server; do it in an extAuthz server over HTTP that answers the new one in includeResponseHeaders',
      ),
    },
    {
      error: (issue) =>
        issue.input === 'copilot'
          ? `known to agentgateway, not supported: copilot is ${vendor}`
          : 'expected an object, such as {key: "…"}',
    },
  )
  .superRefine(({ key, passthrough, credentials }, context) => {
    if (key !== undefined && passthrough !== undefined)
      context.addIssue('expected key or passthrough, not both: put the key among the credentials, at a place of its own');
    if (key === undefined && passthrough === undefined && credentials === undefined)
      context.addIssue(
        'the key is missing: expected key: a text, {file: "path"}, or {value: …, location: …}; or passthrough, or credentials',
      );
  });

export type BackendAuthOptions = z.output<typeof optionsField>;

export const backendAuth = definePolicy<BackendAuthOptions>({
  name: 'backendAuth',
  about: "Shows an upstream a credential of the gateway's own, in place of the client's.",
  places: ['route', 'backend'],
  options: optionsField,
  // biome-ignore lint/suspicious/noTemplateCurlyInString: this is the YAML's own way to name a variable.
  example: 'backendAuth:\n  key: ${OPENROUTER_API_KEY}\n',

  onAttempt({ key, passthrough, credentials = [] }) {
    const edits: AttemptEdit[] = [];
    if (passthrough !== undefined) edits.push(passingOn(passthrough.location ?? bearerHeader));
    if (key !== undefined) edits.push(showing(key.location, key.value));
    for (const { location, key: value } of credentials) edits.push(showing(location, value));
    const [only] = edits;
    if (only !== undefined && edits.length === 1) return only;
    return (attempt) => {
      for (const edit of edits) edit(attempt);
    };
  },
});

function showing(location: WritableLocation, credential: string): AttemptEdit {
  const write = credentialWriterOf(location);
  return ({ outgoing }) => write(outgoing, credential);
}

/** Only what was verified goes on: an upstream may trust that somebody has looked. */
function passingOn(location: WritableLocation): AttemptEdit {
  const write = credentialWriterOf(location);
  return ({ exchange, outgoing }) => {
    const token = exchange.claims?.rawToken;
    if (token !== undefined) write(outgoing, token);
  };
}
