/** The credential that Corral itself shows to an upstream (agentgateway http/auth/mod.rs). */
import * as z from 'zod';
import { secretField } from '../fields/secret.ts';
import { bearerHeader, type CredentialLocation, credentialLocationField, credentialWriterOf } from './credential-location.ts';
import { notYet } from './not-yet.ts';
import { definePolicy } from './policy.ts';

/** What a header can carry; a line end in a key file would otherwise break every request instead of the start. */
const sendableField = secretField.refine((key) => /^[\x20-\x7e]+$/.test(key), {
  error: 'a key that is sent to an upstream must be plain ASCII on one line',
});

const keyField = z
  .union(
    [
      sendableField,
      z.strictObject({
        value: sendableField.describe('The key: a text, or {file: path}.'),
        location: credentialLocationField
          .optional()
          .describe('Where the upstream reads it. Default: `Authorization: Bearer KEY`.'),
      }),
    ],
    { error: 'expected a text, {file: "path"}, or {value: …, location: …}' },
  )
  .transform((key): { value: string; location: CredentialLocation } =>
    typeof key === 'string'
      ? { value: key, location: bearerHeader }
      : { value: key.value, location: key.location ?? bearerHeader },
  );

/** `key` is asked for at the end, so that a foreign kind of credential is one error and not two. */
const optionsField = z
  .strictObject({
    key: keyField.optional().describe('The key for the upstream; the client never sees it. Must be given.'),
    passthrough: notYet(),
    credentials: notYet(),
    gcp: notYet(),
    aws: notYet(),
    azure: notYet(),
    copilot: notYet(),
    jwtSign: notYet(),
    oauthTokenExchange: notYet(),
    crossAppAccess: notYet(),
  })
  .superRefine(({ key }, context) => {
    if (key === undefined)
      context.addIssue('the key is missing: expected key: a text, {file: "path"}, or {value: …, location: …}');
  });

export type BackendAuthOptions = z.output<typeof optionsField>;

export const backendAuth = definePolicy<BackendAuthOptions>({
  name: 'backendAuth',
  about: "Shows an upstream a credential of the gateway's own, in place of the client's.",
  places: ['route', 'backend'],
  options: optionsField,
  // biome-ignore lint/suspicious/noTemplateCurlyInString: this is the YAML's own way to name a variable.
  example: 'backendAuth:\n  key: ${OPENROUTER_API_KEY}\n',

  onAttempt({ key }) {
    if (key === undefined) return () => undefined; // The schema has refused this.
    const write = credentialWriterOf(key.location, key.value);
    return ({ outgoing }) => write(outgoing);
  },
});
