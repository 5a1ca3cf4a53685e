/** TLS towards clients: `protocol: HTTPS` and `tls` of listeners, gateways and `llm`. */
import * as z from 'zod';
import { holdsSecret } from '../fields/secret.ts';
import { pemField } from '../fields/text-or-file.ts';

const foreignProtocols = ['TLS', 'TCP', 'HBONE'];

export const protocolField = z
  .enum(['HTTP', 'HTTPS'], {
    error: ({ input }) =>
      typeof input === 'string' && foreignProtocols.includes(input)
        ? `"${input}" is known to agentgateway, not supported: Corral speaks HTTP and HTTPS`
        : 'expected "HTTP" or "HTTPS", in capitals',
  })
  .optional()
  .describe('How clients speak to this listener: `HTTP` or `HTTPS`. HTTPS needs `tls`.');

/** rustls's names, which agentgateway's files use, and OpenSSL's, which the runtimes want. */
const cipherSuites = {
  TLS13_AES_128_GCM_SHA256: 'TLS_AES_128_GCM_SHA256',
  TLS13_AES_256_GCM_SHA384: 'TLS_AES_256_GCM_SHA384',
  TLS13_CHACHA20_POLY1305_SHA256: 'TLS_CHACHA20_POLY1305_SHA256',
  TLS_AES_128_GCM_SHA256: 'TLS_AES_128_GCM_SHA256',
  TLS_AES_256_GCM_SHA384: 'TLS_AES_256_GCM_SHA384',
  TLS_CHACHA20_POLY1305_SHA256: 'TLS_CHACHA20_POLY1305_SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: 'ECDHE-ECDSA-AES128-GCM-SHA256',
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-ECDSA-CHACHA20-POLY1305',
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: 'ECDHE-RSA-AES128-GCM-SHA256',
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: 'ECDHE-RSA-AES256-GCM-SHA384',
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: 'ECDHE-RSA-CHACHA20-POLY1305',
} as const;

const groups = {
  X25519: 'X25519',
  X25519MLKEM768: 'X25519MLKEM768',
  'P-256': 'P-256',
  'P-384': 'P-384',
  SECP256R1: 'P-256',
  SECP384R1: 'P-384',
  secp256r1: 'P-256',
  secp384r1: 'P-384',
} as const;

function namesField<Names extends Readonly<Record<string, string>>>(names: Names) {
  const keys = Object.keys(names) as [keyof Names & string, ...(keyof Names & string)[]];
  return z
    .array(z.enum(keys))
    .min(1, 'expected at least one name; left out, the runtime chooses')
    .transform((given) => [...new Set(given.map((name) => names[name] as string))])
    .optional();
}

const versionField = z
  .enum(['TLS_V1_2', 'TLS_V1_3'], {
    error: ({ input }) =>
      input === 'TLS_V1_0' || input === 'TLS_V1_1'
        ? 'only TLS 1.2 and 1.3 are spoken: TLS_V1_2 or TLS_V1_3'
        : 'expected TLS_V1_2 or TLS_V1_3',
  })
  .transform((version) => (version === 'TLS_V1_2' ? ('TLSv1.2' as const) : ('TLSv1.3' as const)))
  .optional();

export const listenerTlsField = z
  .strictObject({
    mode: z
      .literal('static', {
        error: ({ input }) =>
          input === 'dynamicCa'
            ? 'dynamicCa is known to agentgateway, not supported: no runtime issues certificates; give a certificate for the names'
            : 'expected "static"',
      })
      .optional()
      .describe('`static`: the certificate is the one given here.'),
    cert: pemField.describe(
      'The certificate, with those between it and its root: path of a PEM file. Read again when it changes.',
    ),
    key: holdsSecret(pemField.describe('Its private key: path of a PEM file.')),
    root: pemField
      .optional()
      .describe('Clients must show a certificate that one of these signed: path of a PEM file. On Node and Bun.'),
    minTLSVersion: versionField.describe('Oldest version of TLS: TLS_V1_2 (the default) or TLS_V1_3. On Node and Bun.'),
    minTlsVersion: versionField.describe('Another spelling of `minTLSVersion`.'),
    maxTLSVersion: versionField.describe('Newest version of TLS. On Node and Bun.'),
    maxTlsVersion: versionField.describe('Another spelling of `maxTLSVersion`.'),
    cipherSuites: namesField(cipherSuites).describe('The cipher suites that may be used, the best first. On Node.'),
    keyExchangeGroups: namesField(groups).describe('The groups that keys may be exchanged in, the best first. On Node.'),
  })
  .superRefine((given, context) => {
    for (const [one, other] of [
      ['minTLSVersion', 'minTlsVersion'],
      ['maxTLSVersion', 'maxTlsVersion'],
    ] as const) {
      if (given[one] !== undefined && given[other] !== undefined)
        context.addIssue({ code: 'custom', path: [other], message: `${one} and ${other} are the same; keep one` });
    }
    const { minVersion, maxVersion } = versionsOf(given);
    if (minVersion === 'TLSv1.3' && maxVersion === 'TLSv1.2')
      context.addIssue('minTLSVersion is newer than maxTLSVersion: nobody could connect');
  })
  .meta({ id: 'listenerTls', description: 'TLS towards clients. Needs `protocol: HTTPS`.' })
  .transform((given): ListenerTls => {
    const { cert, key, root, cipherSuites: suites, keyExchangeGroups } = given;
    return { cert, key, root, ...versionsOf(given), cipherSuites: suites, keyExchangeGroups };
  });

type Version = 'TLSv1.2' | 'TLSv1.3';

/** PEM texts, and names as OpenSSL has them. */
export interface ListenerTls {
  readonly cert: string;
  readonly key: string;
  readonly root: string | undefined;
  readonly minVersion: Version | undefined;
  readonly maxVersion: Version | undefined;
  readonly cipherSuites: readonly string[] | undefined;
  readonly keyExchangeGroups: readonly string[] | undefined;
}

interface GivenVersions {
  readonly minTLSVersion?: Version | undefined;
  readonly minTlsVersion?: Version | undefined;
  readonly maxTLSVersion?: Version | undefined;
  readonly maxTlsVersion?: Version | undefined;
}

function versionsOf(given: GivenVersions): Pick<ListenerTls, 'minVersion' | 'maxVersion'> {
  return {
    minVersion: given.minTLSVersion ?? given.minTlsVersion,
    maxVersion: given.maxTLSVersion ?? given.maxTlsVersion,
  };
}
