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

const optionsField = z.strictObject({
  key: keyField.describe('The key for the upstream; the client never sees it.'),
  passthrough: notYet(),
  credentials: notYet(),
  gcp: notYet(),
  aws: notYet(),
  azure: notYet(),
  copilot: notYet(),
  jwtSign: notYet(),
  oauthTokenExchange: notYet(),
  crossAppAccess: notYet(),
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
    const write = credentialWriterOf(key.location, key.value);
    return ({ outgoing }) => write(outgoing);
  },
});
