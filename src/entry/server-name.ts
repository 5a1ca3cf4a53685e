/** Which certificate a client gets that asks for a name (SNI). */
import type { ServerCertificate } from '../platform.ts';

/** The exact name, then the longest `*.` that fits, then the one for every name, then the first. */
export function certificateFor(certificates: readonly ServerCertificate[], asked: string): ServerCertificate {
  const name = asked.toLowerCase();
  const exact = certificates.find(({ hostname }) => hostname === name);
  const wild = certificates
    .filter(({ hostname }) => hostname.startsWith('*.') && name.endsWith(hostname.slice(1)))
    .sort((a, b) => b.hostname.length - a.hostname.length);
  const found = exact ?? wild[0] ?? certificates.find(({ hostname }) => hostname === '') ?? certificates[0];
  if (found === undefined) throw new Error('a port with TLS has a certificate');
  return found;
}
