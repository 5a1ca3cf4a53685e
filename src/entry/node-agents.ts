/// <reference types="node" />
/** Connections to upstreams on Node: one undici Agent for plain and ordinary TLS, one more for each distinct TLS setting. */
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { Agent } from 'undici';
import { GatewayError } from '../errors.ts';
import type { UpstreamTls } from '../platform.ts';

/** Far above what configurations name; a plan that is loaded again and again must not pile up agents. */
const maxTlsAgents = 64;

export interface Agents {
  agentFor(tls: UpstreamTls | undefined): Agent;
  close(): Promise<void>;
}

export function createAgents(): Agents {
  const plain = new Agent(agentOptions(undefined));
  // Plans keep one UpstreamTls object per upstream, so the object itself is the quick key; equal settings share an agent.
  const byObject = new WeakMap<UpstreamTls, Agent>();
  const bySetting = new Map<string, Agent>();

  const openAgent = (tls: UpstreamTls): Agent => {
    const setting = JSON.stringify(tls, Object.keys(tls).sort());
    let agent = bySetting.get(setting);
    if (agent === undefined) {
      if (bySetting.size >= maxTlsAgents)
        throw new GatewayError('upstream_tls', `more than ${maxTlsAgents} different TLS settings`);
      agent = new Agent(agentOptions(tls));
      bySetting.set(setting, agent);
    }
    byObject.set(tls, agent);
    return agent;
  };

  return {
    agentFor: (tls) => (tls === undefined ? plain : (byObject.get(tls) ?? openAgent(tls))),
    async close() {
      await Promise.all([plain, ...bySetting.values()].map((agent) => agent.destroy()));
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
