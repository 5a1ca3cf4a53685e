/** Bun: its own `fetch` towards the boxes, its own server towards the clients. The fastest of the four. */
import type { Platform, UpstreamRequest, UpstreamTls } from '../platform.ts';
import { certificateTrouble } from './certificates.ts';
import { noBindings } from './no-bindings.ts';
import { processConsole } from './process-console.ts';
import { refusedByBun } from './server-tls.ts';
import { createWebPlatform } from './web-platform.ts';

export function createBunPlatform(): Platform {
  return createWebPlatform({
    runtime: 'bun',
    hasBackground: true,
    acceptsEncodings: true,
    fetchOptions,
    refuses({ tls, binding }) {
      if (binding !== undefined) return noBindings;
      return tls?.alpn === undefined ? undefined : 'Bun cannot choose ALPN protocols; leave `alpn` out';
    },
    refusesServer: (tls) => refusedByBun(tls) ?? certificateTrouble(tls),
    ...processConsole(),
  });
}

const plainOptions = { decompress: false, keepalive: true, timeout: false };

function fetchOptions({ tls }: UpstreamRequest): Record<string, unknown> {
  return tls === undefined ? plainOptions : { ...plainOptions, tls: tlsOptionsOf(tls) };
}

/** Once per UpstreamTls object, of which a plan has one per upstream. */
function tlsOptionsOf(tls: UpstreamTls): object {
  const known = tlsOptions.get(tls);
  if (known !== undefined) return known;
  const { root, cert, key, hostname, insecure, insecureHost } = tls;
  const options = {
    ...(root === undefined ? {} : { ca: root }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(hostname === undefined ? {} : { serverName: hostname }),
    ...(insecure === true ? { rejectUnauthorized: false } : {}),
    ...(insecureHost === true ? { checkServerIdentity: () => undefined } : {}),
  };
  tlsOptions.set(tls, options);
  return options;
}

const tlsOptions = new WeakMap<UpstreamTls, object>();
