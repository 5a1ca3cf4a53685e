/** Every upstream once, under a name that people know it by. */
import type { FleetConfig } from '../config/schema.ts';
import type { BoxOptions, Upstream } from '../exchange.ts';
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
  /** What a probe of this upstream must be sent with: lower-case names. May hold secrets. */
  headersFor(upstream: Upstream): Readonly<Record<string, string>>;
  /** Whether `fleet.boxes` names this address: then it is a box, whatever else is said of it. */
  isNamedBox(baseUrl: string): boolean;
  /** Entries of `fleet.boxes` that no box has taken up, by index: nothing here is at their address, or no box is. */
  unusedBoxes(): readonly UnusedBox[];
}

export interface UnusedBox {
  readonly index: number;
  /** `http://box:11434` */
  readonly baseUrl: string;
  /** A backend is there that is passed through as it comes (`host`). */
  readonly isHost: boolean;
}

/** What a runtime cannot do is refused by name, when the plan is made. */
export class PlanError extends Error {
  override readonly name = 'PlanError';
}

interface NamedBox {
  readonly index: number;
  readonly name: string | undefined;
  readonly options: BoxOptions;
}

/**
 * `state`: a plan that wants what the one before it had gets the same object, so that connections and health go on with it.
 * `boxes`: what `fleet.boxes` says, matched by scheme, host and port.
 */
export function createUpstreams(
  refuses: Platform['refuses'],
  state?: Pick<State, 'kept'>,
  boxes: FleetConfig['boxes'] = [],
): Upstreams {
  const byKey = new Map<string, Upstream>();
  const hosts = new Map<Upstream, string>();
  const named = namedBoxesOf(boxes);
  // Whatever else is called so gets a number: a box is found by its name.
  const reserved = new Set(boxes.flatMap(({ name }) => name ?? []));
  const names = new Set<string>(reserved);
  const used = new Set<NamedBox>();
  const hostOnly = new Set<NamedBox>();
  const nameFor = (wanted: string, box: NamedBox | undefined): string => {
    // The same box with another Host or TLS is a second upstream.
    const isFirst = box?.name !== undefined && reserved.delete(box.name);
    return isFirst && box?.name !== undefined ? box.name : freeName(box?.name ?? wanted, names);
  };
  return {
    upstreamFor({ name, baseUrl, kind, tls, host, yamlPath }) {
      const found = named.get(originOf(baseUrl));
      const box = kind === 'box' ? found : undefined;
      if (found !== undefined) (kind === 'box' ? used : hostOnly).add(found);
      const key = JSON.stringify([baseUrl, kind, tls ?? null, host ?? null, box?.options ?? null]);
      const known = byKey.get(key);
      if (known !== undefined) return known;
      const refusal = refuses({ url: baseUrl, host, tls, binding: box?.options.binding });
      if (refusal !== undefined) throw new PlanError(`${yamlPath}: ${refusal}`);
      const upstreamName = nameFor(name, box);
      const create = (): Upstream => ({
        name: upstreamName,
        baseUrl,
        kind,
        tls,
        ...(box === undefined ? {} : { box: box.options }),
      });
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
      return { ...upstream.box?.headers, ...(host === undefined ? {} : { host }) };
    },
    isNamedBox: (baseUrl) => named.has(originOf(baseUrl)),
    unusedBoxes: () =>
      [...named].flatMap(([baseUrl, box]) => (used.has(box) ? [] : [{ index: box.index, baseUrl, isHost: hostOnly.has(box) }])),
  };
}

/** By origin. */
function namedBoxesOf(boxes: FleetConfig['boxes']): ReadonlyMap<string, NamedBox> {
  return new Map(
    boxes.map(({ url, name, headers, access, binding, weight, slots, vram, reserve, maxLoaded }, index) => {
      const room = { slots, vramBytes: vram, reserveBytes: reserve ?? 0, maxLoaded };
      const options: BoxOptions = { weight, ...room, headers, binding, ...(access && { access }) };
      return [originOf(`${url.scheme}://${url.authority}`), { index, name, options }];
    }),
  );
}

/** Scheme, host and port in one spelling: lower case, without the scheme's own port, IPv6 addresses short. */
function originOf(baseUrl: string): string {
  return URL.canParse(baseUrl) ? new URL(baseUrl).origin : baseUrl;
}

function freeName(wanted: string, taken: Set<string>): string {
  let name = wanted;
  for (let number = 2; taken.has(name); number++) name = `${wanted}-${number}`;
  taken.add(name);
  return name;
}
