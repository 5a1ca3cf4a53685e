/** What runtimes cannot do for ports with TLS, in words that name the mend. */
import type { ServerTls } from '../platform.ts';

const mend = 'leave it out, or let Node or something in front of Corral speak TLS';

export function refusedByBun({ cipherSuites, keyExchangeGroups }: ServerTls): string | undefined {
  if (cipherSuites !== undefined) return `Bun cannot choose all cipher suites (those of TLS 1.3 stay): cipherSuites: ${mend}`;
  if (keyExchangeGroups !== undefined) return `Bun cannot choose groups of key exchange: keyExchangeGroups: ${mend}`;
  return undefined;
}

export function refusedByDeno({ certificates, root, ...rest }: ServerTls): string | undefined {
  if (root !== undefined) return `Deno cannot ask clients for certificates: root: ${mend}`;
  const { minVersion, maxVersion, cipherSuites, keyExchangeGroups } = rest;
  // What it does anyway may be said.
  if (minVersion === 'TLSv1.3' || maxVersion === 'TLSv1.2') return `Deno always speaks TLS 1.2 and 1.3: ${mend}`;
  if (cipherSuites !== undefined) return `Deno cannot choose cipher suites: cipherSuites: ${mend}`;
  if (keyExchangeGroups !== undefined) return `Deno cannot choose groups of key exchange: keyExchangeGroups: ${mend}`;
  if (certificates.length > 1) {
    return 'Deno has one certificate for a port: put the names into one certificate, or give each listener a port of its own';
  }
  return undefined;
}

export function refusedByWorkers(): string {
  return 'Workers open no ports, and Cloudflare speaks TLS for them: leave tls out and write protocol: HTTP; certificates are set at the route or custom domain';
}
