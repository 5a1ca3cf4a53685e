/// <reference types="node" />
/** TLS of a port on Node: certificates by name, and other ones while it is open. */
import type { ServerOptions } from 'node:https';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import type { ServerCertificate, ServerTls } from '../platform.ts';
import { certificateFor } from './server-name.ts';

export interface NodeTls {
  /** For `https.createServer`. */
  readonly options: ServerOptions;
  /** For the next connections. Throws what OpenSSL says of a certificate that it cannot use; the old ones stay then. */
  renew(tls: ServerTls, server: { setSecureContext(options: SecureContextOptions): void }): void;
}

export function createNodeTls(first: ServerTls): NodeTls {
  let current = { tls: first, contexts: contextsOf(first) };
  return {
    options: {
      ...(optionsOf(first) as ServerOptions),
      ...(first.root === undefined ? {} : { requestCert: true, rejectUnauthorized: true }),
      SNICallback(name, tell) {
        const { tls, contexts } = current;
        tell(null, contexts.get(certificateFor(tls.certificates, name)));
      },
    },
    renew(tls, server) {
      const contexts = contextsOf(tls);
      server.setSecureContext(optionsOf(tls));
      current = { tls, contexts };
    },
  };
}

function contextsOf(tls: ServerTls): ReadonlyMap<ServerCertificate, SecureContext> {
  return new Map(tls.certificates.map((certificate) => [certificate, createSecureContext(optionsOf(tls, certificate))]));
}

function optionsOf(tls: ServerTls, certificate = tls.certificates[0]): SecureContextOptions {
  const { root, minVersion, maxVersion, cipherSuites, keyExchangeGroups } = tls;
  return {
    ...(certificate === undefined ? {} : { cert: certificate.cert, key: certificate.key }),
    ...(root === undefined ? {} : { ca: root }),
    minVersion: minVersion ?? 'TLSv1.2',
    ...(maxVersion === undefined ? {} : { maxVersion }),
    ...(cipherSuites === undefined ? {} : { ciphers: cipherSuites.join(':'), honorCipherOrder: true }),
    ...(keyExchangeGroups === undefined ? {} : { ecdhCurve: keyExchangeGroups.join(':') }),
  };
}
