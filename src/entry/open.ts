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
import { createHeldLoads } from '../fleet/loads/held-loads.ts';
import type { OwnerOf } from '../fleet/owner.ts';
import { createSideCalls } from '../http/side-calls.ts';
import type { Platform, ServerTls } from '../platform.ts';
import { createMemoryState } from '../state/memory.ts';
import { type Assembled, assembleGateway } from './assemble.ts';
import { changesBetween } from './changes.ts';
import { SyncRecord } from './config-sync.ts';
import { type CompileParts, type Draft, draftOf } from './draft.ts';
import type { AdminAddresses, ListenAddress, NextPlan, Opened, OpenGateway } from './opened.ts';
import { gatewayOver } from './plans-in-force.ts';
import type { Settings } from './settings.ts';
import { version } from './version.ts';
import { createWarmRounds } from './warm-rounds.ts';

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
  const sync = new SyncRecord();

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
    sync.swapped(clock.wallTime());
  };
  const refuse = (problems: readonly string[]): void => sync.refused(problems, clock.wallTime());

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
        reloads: { succeeded: sync.state.reloads, failed: sync.state.refusals, isSynchronized: sync.state.configSynchronized },
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
        sync: sync.state,
      }),
    async flushTelemetry() {
      await Promise.all([current, ...fading].map(({ observation }) => observation.flush()));
    },
    get sync() {
      return sync.state;
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
