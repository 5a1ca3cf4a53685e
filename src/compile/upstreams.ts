/** Every upstream once, under a name that people know it by. */
import type { Upstream } from '../exchange.ts';
import type { Platform, UpstreamTls } from '../platform.ts';
import type { State } from '../state/state.ts';

export interface UpstreamWanted {
  readonly name: string;
  readonly baseUrl: string;
  readonly kind: Upstream['kind'];
  readonly tls: UpstreamTls | undefined;
  /** The Host that it must be shown, where that is not its address. */
  readonly host: string | undefined;
  /** Where it stands in the YAML, for messages. */
  readonly yamlPath: string;
}

export interface Upstreams {
  /** The same address, TLS, Host and kind give the same upstream, whatever it is called a second time. */
  upstreamFor(wanted: UpstreamWanted): Upstream;
  readonly all: readonly Upstream[];
  /** What a probe of this upstream must be sent with. */
  headersFor(upstream: Upstream): Readonly<Record<string, string>>;
}

/** What a runtime cannot do is refused by name, when the plan is made. */
export class PlanError extends Error {
  override readonly name = 'PlanError';
}

/** `state`: a plan that wants what the one before it had gets the same object, so that connections and health go on with it. */
export function createUpstreams(refuses: Platform['refuses'], state?: Pick<State, 'kept'>): Upstreams {
  const byKey = new Map<string, Upstream>();
  const hosts = new Map<Upstream, string>();
  const names = new Set<string>();
  return {
    upstreamFor({ name, baseUrl, kind, tls, host, yamlPath }) {
      const key = JSON.stringify([baseUrl, kind, tls ?? null, host ?? null]);
      const known = byKey.get(key);
      if (known !== undefined) return known;
      const refusal = refuses({ url: baseUrl, host, tls });
      if (refusal !== undefined) throw new PlanError(`${yamlPath}: ${refusal}`);
      const upstreamName = freeName(name, names);
      const create = (): Upstream => ({ name: upstreamName, baseUrl, kind, tls });
      const upstream = state?.kept(`upstream/${upstreamName}/${key}`, create) ?? create();
      byKey.set(key, upstream);
      if (host !== undefined) hosts.set(upstream, host);
      return upstream;
    },
    get all() {
      return [...byKey.values()];
    },
    headersFor(upstream) {
      const host = hosts.get(upstream);
      return host === undefined ? {} : { host };
    },
  };
}

function freeName(wanted: string, taken: Set<string>): string {
  let name = wanted;
  for (let number = 2; taken.has(name); number++) name = `${wanted}-${number}`;
  taken.add(name);
  return name;
}
