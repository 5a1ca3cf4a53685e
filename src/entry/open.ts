/**
 * From text to gateway, the same on every runtime, and from a changed text to the next plan. What is opened lives as long as
 * the process: doors and the admin address call it, and it calls the plan in force. A plan that was replaced answers what
 * it has begun with its own tools, to the end.
 */
import { configDump } from '../admin/config-dump.ts';
import type { Plan } from '../compile/plan.ts';
import { formatDiagnostic } from '../config/load.ts';
import { withModules } from '../fields/on-demand.ts';
import { createBoxes } from '../fleet/boxes.ts';
import type { Herd } from '../fleet/fleet.ts';
import type { Keeper } from '../fleet/keeper.ts';
import { createHeldLoads } from '../fleet/loads/held-loads.ts';
import type { OwnerOf } from '../fleet/owner.ts';
import type { Gateway } from '../gateway.ts';
import { createSideCalls } from '../http/side-calls.ts';
import type { Platform, ServerTls } from '../platform.ts';
import { createMemoryState } from '../state/memory.ts';
import { type Assembled, assembleGateway } from './assemble.ts';
import { changesBetween } from './changes.ts';
import { type CompileParts, type Draft, draftOf } from './draft.ts';
import type { Settings } from './settings.ts';
import { version } from './version.ts';
import { createWarmRounds } from './warm-rounds.ts';

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

export const openGateway: OpenGateway = async (settings, platform, ownerOf) => {
  const state = createMemoryState({}, platform.runtime === 'workerd');
  const sideCalls = createSideCalls(platform);
  const result = await withModules(() => draftOf(settings, platform, { state, sideCalls }));
  if (!result.ok) return { ok: false, problems: result.errors.map(formatDiagnostic) };
  return { ok: true, opened: openRunning(result.draft, settings, platform, { state, sideCalls }, ownerOf) };
};

/** A plan with everything it answers with. */
interface InForce extends Draft, Assembled {
  readonly hasDemo: boolean;
}

const shownProblems = 5;

function openRunning(
  first: Draft,
  settings: Settings,
  platform: Platform,
  parts: CompileParts,
  ownerOf: OwnerOf | undefined,
): Opened {
  const { clock } = platform;
  const instanceId = crypto.randomUUID().slice(0, 8);
  const boxes = createBoxes({ platform, instanceId, ...(ownerOf !== undefined && { ownerOf }) });
  // What is held began under some plan and may outlive it; the newest plan says for how long.
  const heldLoads = createHeldLoads({
    clock,
    fleet: {
      isBox: (upstream) => current.herd.isBox(upstream),
      checkResident: (upstream, model) => current.herd.checkResident(upstream, model),
    },
    get loadTimeoutMs() {
      return current.plan.settings.loadTimeoutMs;
    },
  });
  let generation = 0;
  let isDraining = false;
  const assemble = (draft: Draft, told: Settings): InForce => ({
    ...draft,
    ...assembleGateway(draft.plan, told, platform, { ...parts, instanceId, boxes, heldLoads }, generation++),
    hasDemo: told.hasDemo,
  });
  let current = assemble(first, settings);
  /** Replaced plans that still answer something. */
  const fading = new Set<InForce>();
  let sync: ConfigSync = {
    configSynchronized: true,
    problems: [],
    problemCount: 0,
    lastReloadMs: undefined,
    lastRefusalMs: undefined,
    reloads: 0,
    refusals: 0,
  };

  const swap = (draft: Draft, told: Settings): void => {
    const before = current;
    current = assemble(draft, told);
    if (isDraining) current.gateway.drain();
    fading.add(before);
    before.gateway.onIdle(() => {
      fading.delete(before);
      before.herd.release();
    });
    parts.state.sweep();
    sync = {
      ...sync,
      configSynchronized: true,
      problems: [],
      problemCount: 0,
      lastReloadMs: clock.wallTime(),
      reloads: sync.reloads + 1,
    };
  };
  const refuse = (problems: readonly string[]): void => {
    sync = {
      ...sync,
      configSynchronized: false,
      problems: problems.slice(0, shownProblems).map((problem) => problem.split('\n', 1)[0] ?? ''),
      problemCount: problems.length,
      lastRefusalMs: clock.wallTime(),
      refusals: sync.refusals + 1,
    };
  };

  const gateway = gatewayOver(
    () => current,
    fading,
    () => {
      isDraining = true;
    },
  );
  const warm = createWarmRounds(platform, () => current.herd.keeper);
  return {
    gateway,
    get keeper() {
      return current.herd.keeper;
    },
    herd: {
      start() {
        current.herd.start();
        warm.start();
      },
      stop() {
        warm.stop();
        current.herd.stop();
      },
      catchUp: () => current.herd.catchUp(),
      describe: () => current.herd.describe(),
      explain: (model, promptTokens, conversation) => current.herd.explain(model, promptTokens, conversation),
      isBox: (upstream) => current.herd.isBox(upstream),
      isAlive: (upstream) => current.herd.isAlive(upstream),
      hasModel: (upstream, model) => current.herd.hasModel(upstream, model),
    },
    get ports() {
      return portsOf(current.plan);
    },
    tlsOf: (port) => tlsIn(current.plan, port),
    get everyRouteIsProtected() {
      return current.plan.everyRouteIsProtected;
    },
    get hasRelaySecret() {
      return current.plan.leg.secret !== undefined;
    },
    get admin() {
      return adminOf(current.plan);
    },
    get warnings() {
      return current.warnings.map(formatDiagnostic);
    },
    warningAt: (yamlPath, message) => formatDiagnostic(current.diagnosticAt(yamlPath, message)),
    get hasDemo() {
      return current.hasDemo;
    },
    get plan() {
      return current.plan;
    },
    metricsText: () =>
      current.observation.metrics.text({
        version,
        inFlight: gateway.inFlight,
        boxes: current.herd.describe(),
        driftingModels: current.herd.keeper.driftingModels,
        reloads: { succeeded: sync.reloads, failed: sync.refusals, isSynchronized: sync.configSynchronized },
      }),
    configDump: () =>
      configDump({
        version,
        written: current.written,
        secrets: [settings.apiKey, settings.adminToken, settings.relaySecret].filter((secret) => secret !== undefined),
        plan: current.plan,
        warnings: current.warnings,
        boxes: current.herd.describe(),
        nowMs: clock.now(),
        inFlight: gateway.inFlight,
        sync,
      }),
    async flushTelemetry() {
      await Promise.all([current, ...fading].map(({ observation }) => observation.flush()));
    },
    get sync() {
      return sync;
    },
    async prepareReload(told) {
      const result = await withModules(() => draftOf(told, platform, parts));
      if (!result.ok) {
        const problems = result.errors.map(formatDiagnostic);
        refuse(problems);
        return { ok: false, problems };
      }
      const { draft } = result;
      const { plan } = draft;
      const warnings = draft.warnings.map(formatDiagnostic);
      const next: NextPlan = {
        plan,
        warnings,
        ports: portsOf(plan),
        tlsOf: (port) => tlsIn(plan, port),
        everyRouteIsProtected: plan.everyRouteIsProtected,
        hasRelaySecret: plan.leg.secret !== undefined,
        admin: adminOf(plan),
        changes: changesBetween(current.plan, plan),
        swap: () => swap(draft, told),
      };
      return { ok: true, next };
    },
    refuseReload: refuse,
  };
}

/** The gateway that doors call: new exchanges go to the plan in force, and all plans' exchanges count. */
function gatewayOver(current: () => InForce, fading: ReadonlySet<InForce>, onDrain: () => void): Gateway {
  const all = () => [current(), ...fading];
  return {
    fetch: (request, peer) => current().gateway.fetch(request, peer),
    get inFlight() {
      return all().reduce((sum, { gateway }) => sum + gateway.inFlight, 0);
    },
    drain() {
      onDrain();
      for (const { gateway } of all()) gateway.drain();
    },
    onIdle(listener) {
      const waitedFor = all();
      let busy = waitedFor.length;
      for (const { gateway } of waitedFor) {
        gateway.onIdle(() => {
          busy--;
          if (busy === 0) listener();
        });
      }
    },
  };
}

function portsOf({ binds }: Plan): readonly number[] {
  return binds.map(({ port }) => port);
}

function tlsIn({ binds }: Plan, port: number): ServerTls | undefined {
  return binds.find((bind) => bind.port === port)?.tls;
}

function adminOf({ settings: { adminAddress, statsAddress, readinessAddress } }: Plan): AdminAddresses {
  return { admin: addressOf(adminAddress), stats: addressOf(statsAddress), readiness: addressOf(readinessAddress) };
}

function addressOf(address: ListenAddress | 'off' | undefined): ListenAddress | undefined {
  return address === 'off' ? undefined : address;
}
