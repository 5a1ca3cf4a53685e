/** TLS of a port: the certificates of its listeners together. */
import type { ListenerTls } from '../config/schema.ts';
import type { Platform, ServerTls } from '../platform.ts';
import { PlanError } from './upstreams.ts';

export interface TlsWanted {
  readonly hostname: string;
  readonly tls: ListenerTls | undefined;
  /** Of the listener, for messages. */
  readonly yamlPath: string;
}

/** Undefined: plain HTTP. Throws PlanError where listeners of one port want different things, or the runtime cannot do it. */
export function serverTlsOf(listeners: readonly TlsWanted[], refuses: Platform['refusesServer']): ServerTls | undefined {
  const [first] = listeners;
  if (first?.tls === undefined) return undefined;
  const settings = settingsOf(first.tls);
  const certificates = listeners.flatMap(({ hostname, tls, yamlPath }) => {
    if (tls === undefined) return [];
    if (JSON.stringify(settingsOf(tls)) !== JSON.stringify(settings))
      throw new PlanError(
        `${yamlPath}.tls: listeners of one port may differ in cert and key only; give this one a port of its own`,
      );
    return [{ hostname: hostname === '*' ? '' : hostname.toLowerCase(), cert: tls.cert, key: tls.key }];
  });
  const wanted: ServerTls = { certificates: distinct(certificates), ...settings };
  const refusal = refuses?.(wanted);
  if (refusal !== undefined) throw new PlanError(`${first.yamlPath}.tls: ${refusal}`);
  return wanted;
}

/** Listeners that share a certificate need it once where it is for every name. */
function distinct(certificates: ServerTls['certificates']): ServerTls['certificates'] {
  const [first] = certificates;
  const isOne = certificates.every(({ cert, key }) => cert === first?.cert && key === first.key);
  return isOne && first !== undefined ? [{ ...first, hostname: '' }] : certificates;
}

function settingsOf({ cert: _cert, key: _key, ...settings }: ListenerTls): Omit<ListenerTls, 'cert' | 'key'> {
  return settings;
}
