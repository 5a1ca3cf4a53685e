/// <reference types="node" />
/** Looks at certificates before a port is opened with them: a mistake there is a mistake in the configuration. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import type { ServerTls } from '../platform.ts';

/** What is wrong, with the key of the YAML that it is about; undefined when the certificates can be used. */
export function certificateTrouble({ certificates, root }: ServerTls): string | undefined {
  for (const { cert, key } of certificates) {
    const certificate = readOr(() => new X509Certificate(cert));
    if (typeof certificate === 'string') return `cert: this is no certificate (${certificate})`;
    const privateKey: KeyObject | string = readOr(() => createPrivateKey(key));
    if (typeof privateKey === 'string') return `key: this is no private key without a passphrase (${privateKey})`;
    if (!certificate.checkPrivateKey(privateKey)) return 'key: this private key belongs to another certificate';
  }
  if (root === undefined) return undefined;
  const trusted = readOr(() => new X509Certificate(root));
  return typeof trusted === 'string' ? `root: this is no certificate (${trusted})` : undefined;
}

/** The system's words, which never hold the key. */
function readOr<Value extends object>(read: () => Value): Value | string {
  try {
    return read();
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}
