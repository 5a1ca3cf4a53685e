/// <reference types="node" />
/** Connections to upstreams on Node: one undici Agent for plain and ordinary TLS, one more for each distinct TLS setting. */
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { Agent } from 'undici';
import type { UpstreamTls } from '../platform.ts';
import { createTlsClients } from './tls-clients.ts';
import { ignore } from './web-body.ts';

export interface Agents {
  agentFor(tls: UpstreamTls | undefined): Agent;
  close(): Promise<void>;
}

export function createAgents(): Agents {
  const plain = new Agent(agentOptions(undefined));
  const byTls = createTlsClients(
    (tls) => new Agent(agentOptions(tls)),
    // Finishes what is under way.
    (agent) => void agent.close().catch(ignore),
  );
  return {
    agentFor: (tls) => (tls === undefined ? plain : byTls.clientFor(tls)),
    async close() {
      await Promise.all([plain, ...byTls.all].map((agent) => agent.destroy()));
    },
  };
}

function agentOptions(tls: UpstreamTls | undefined): Agent.Options {
  return {
    // A box behind is asked by many at once, and each waits for a whole generation: no limit here, and no second request
    // on a connection that is still answering.
    connections: null,
    pipelining: 1,
    // Cold loads take minutes in silence. Time limits are the gateway's.
    headersTimeout: 0,
    bodyTimeout: 0,
    // Ollama (Go) never closes an idle connection, a tunnel may after some time.
    keepAliveTimeout: 15_000,
    allowH2: tls?.alpn?.includes('h2') ?? false,
    // Headers of an answer: as much as Node's own server takes twice over.
    maxHeaderSize: 32 * 1024,
    connect: { timeout: 2_000, ...(tls === undefined ? {} : tlsOptions(tls)) },
  };
}

function tlsOptions({ root, cert, key, hostname, insecure, insecureHost }: UpstreamTls): object {
  return {
    ...(root === undefined ? {} : { ca: root }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(hostname === undefined ? {} : { servername: hostname }),
    ...(insecure === true ? { rejectUnauthorized: false } : {}),
    checkServerIdentity: insecureHost === true ? () => undefined : identityCheck(hostname),
  };
}

/** The certificate must name `hostname` where one is given, and the dialled name otherwise. */
function identityCheck(hostname: string | undefined): (dialled: string, certificate: PeerCertificate) => Error | undefined {
  return (dialled, certificate) => checkServerIdentity(hostname ?? dialled, certificate);
}
