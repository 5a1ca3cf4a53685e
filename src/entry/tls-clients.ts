/**
 * What is made of a TLS setting towards upstreams, and costs: agents, clients. Equal settings share one. A gateway whose
 * certificates are renewed every day for years must not pile them up: beyond the limit the one that was asked for longest
 * ago is closed, and is made anew should anybody ask again.
 */
import type { UpstreamTls } from '../platform.ts';

/** Far above what configurations name. */
const maxSettings = 64;

export interface TlsClients<Client> {
  clientFor(tls: UpstreamTls): Client;
  readonly all: Iterable<Client>;
}

export function createTlsClients<Client>(
  open: (tls: UpstreamTls) => Client,
  close: (client: Client) => void,
): TlsClients<Client> {
  interface Entry {
    readonly setting: string;
    readonly client: Client;
    /** The higher, the later. */
    lastUse: number;
    isClosed: boolean;
  }
  // A plan has one UpstreamTls object for each upstream, so the object itself is the quick key.
  const byObject = new WeakMap<UpstreamTls, Entry>();
  const bySetting = new Map<string, Entry>();
  let uses = 0;

  const find = (tls: UpstreamTls): Entry => {
    const setting = JSON.stringify(tls, Object.keys(tls).sort());
    const entry = bySetting.get(setting) ?? { setting, client: open(tls), lastUse: 0, isClosed: false };
    if (!bySetting.has(setting) && bySetting.size >= maxSettings) closeOldest();
    bySetting.set(setting, entry);
    byObject.set(tls, entry);
    return entry;
  };
  const closeOldest = (): void => {
    const oldest = [...bySetting.values()].reduce((one, other) => (other.lastUse < one.lastUse ? other : one));
    bySetting.delete(oldest.setting);
    oldest.isClosed = true;
    close(oldest.client);
  };

  return {
    clientFor(tls) {
      const known = byObject.get(tls);
      const entry = known === undefined || known.isClosed ? find(tls) : known;
      entry.lastUse = ++uses;
      return entry.client;
    },
    get all() {
      return [...bySetting.values()].map(({ client }) => client);
    },
  };
}
