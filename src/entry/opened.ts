/** What is opened on every runtime: the gateway, the plan that would come next, and what is told of changes. */
import type { Plan } from '../compile/plan.ts';
import type { Herd } from '../fleet/fleet.ts';
import type { Keeper } from '../fleet/keeper.ts';
import type { OwnerOf } from '../fleet/owner.ts';
import type { Gateway } from '../gateway.ts';
import type { Platform, ServerTls } from '../platform.ts';
import type { Settings } from './settings.ts';

/**
 * A gateway that is ready to answer; nothing listens yet and no box has been asked. All members speak of the plan in force:
 * look them up when they are needed.
 */
export interface Opened {
  /** Its exchanges are those of all plans. */
  readonly gateway: Gateway;
  /** Those who look after the boxes, under the plan in force. */
  readonly keeper: Keeper;
  readonly herd: Pick<Herd, 'start' | 'stop' | 'catchUp' | 'describe' | 'explain' | 'isBox' | 'isAlive' | 'hasModel'>;
  /** The ports of the configuration, in its order. */
  readonly ports: readonly number[];
  /** What a port speaks; undefined: plain HTTP. */
  tlsOf(port: number): ServerTls | undefined;
  /** Then it may listen beyond loopback by itself (design decision 6). */
  readonly everyRouteIsProtected: boolean;
  /** Both ends of the leg to a relay may know each other. */
  readonly hasRelaySecret?: boolean | undefined;
  readonly admin: AdminAddresses;
  readonly warnings: readonly string[];
  /** A line at a path of the YAML, for what is found out beside the plan. */
  warningAt(yamlPath: string, message: string): string;
  /** The demo box may answer while no other does. */
  readonly hasDemo: boolean;
  /** What is in force, for whoever shows it. */
  readonly plan: Plan;
  /** Prometheus text of everything that was counted since the start. */
  metricsText(): string;
  /** What is in force, as JSON, without secrets. */
  configDump(): string;
  /** Sends traces that still wait; settles when that has been tried. For the end of the process. */
  flushTelemetry(): Promise<void>;
  /** Whether what is in force is what the configuration says now. */
  readonly sync: ConfigSync;
  /** Reads the configuration anew; nothing changes until `next.swap`. A refused one is remembered in `sync`. */
  prepareReload(settings: Settings): Promise<ReloadResult>;
  /** For what only shows when the next plan is to take over, such as a port that is in use: what is in force stays. */
  refuseReload(problems: readonly string[]): void;
}

export interface ListenAddress {
  /** An IPv6 address without its brackets. */
  readonly host: string;
  readonly port: number;
}

/** Undefined: switched off, or not asked for. */
export interface AdminAddresses {
  readonly admin: ListenAddress | undefined;
  readonly stats: ListenAddress | undefined;
  readonly readiness: ListenAddress | undefined;
}

/** For readiness and the metric `agentgateway_config_synchronized`. */
export interface ConfigSync {
  /** False: the last change was refused, and the plan before it goes on. */
  readonly configSynchronized: boolean;
  /** Of the change that was refused last, the first lines of at most 5; empty when synchronized. */
  readonly problems: readonly string[];
  /** How many there were. */
  readonly problemCount: number;
  /** Milliseconds since the epoch; undefined: never yet. */
  readonly lastReloadMs: number | undefined;
  readonly lastRefusalMs: number | undefined;
  /** How many plans have come into force since the start, not counting the first. */
  readonly reloads: number;
  /** How many changes were refused since the start. */
  readonly refusals: number;
}

/** The plan that would take over. */
export interface NextPlan
  extends Pick<Opened, 'ports' | 'tlsOf' | 'everyRouteIsProtected' | 'hasRelaySecret' | 'admin' | 'warnings' | 'plan'> {
  /** What differs from the plan in force, for people: `routes +chat -old`. */
  readonly changes: readonly string[];
  /** From now on requests are answered by this plan. Does not wait, cannot fail. */
  swap(): void;
}

export type OpenResult =
  | { readonly ok: true; readonly opened: Opened }
  /** Each one complete and printable: where, what, and the nearest known key. */
  | { readonly ok: false; readonly problems: readonly string[] };

export type ReloadResult =
  | { readonly ok: true; readonly next: NextPlan }
  | { readonly ok: false; readonly problems: readonly string[] };

/** `ownerOf`: where it is not this process that owns the slots, the queue and the loads of the boxes. */
export type OpenGateway = (settings: Settings, platform: Platform, ownerOf?: OwnerOf) => Promise<OpenResult>;
