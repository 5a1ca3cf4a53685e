/** The settings of the whole process, with their defaults by runtime (design decision 10). */
import type { Config, FleetConfig } from '../config/schema.ts';
import type { LegSecrets } from '../fleet/asking/relay.ts';
import type { FleetTuning } from '../fleet/tuning.ts';
import type { Platform } from '../platform.ts';
import type { PlanSettings } from './plan.ts';

const mebibyte = 1024 * 1024;

/** Images are base64; isolates have 128 MB. */
const limitsOf = {
  elsewhere: { maxBodyBytes: 32 * mebibyte, maxBufferedBytes: 256 * mebibyte },
  workerd: { maxBodyBytes: 8 * mebibyte, maxBufferedBytes: 48 * mebibyte },
} as const;

export function settingsOf({ config, fleet, frontendPolicies }: Config, runtime: Platform['runtime']): PlanSettings {
  const limits = runtime === 'workerd' ? limitsOf.workerd : limitsOf.elsewhere;
  return {
    adminAddress: config.adminAddr,
    statsAddress: config.statsAddr,
    readinessAddress: config.readinessAddr,
    drain: { deadlineMs: config.connectionTerminationDeadline, minMs: config.connectionMinTerminationDeadline },
    loadTimeoutMs: fleet.loadTimeout,
    idleTimeoutMs: fleet.idleTimeout,
    probeIntervalMs: fleet.probeInterval,
    bodyTimeoutMs: fleet.bodyTimeout,
    maxBodyBytes: fleet.maxBodyBytes ?? frontendPolicies.http.maxBufferSize ?? limits.maxBodyBytes,
    maxBufferedBytes: fleet.maxBufferedBytes ?? limits.maxBufferedBytes,
    allowCloudModels: fleet.allowCloudModels,
    allowances: { webSearch: fleet.allowWebSearch, billingLine: fleet.affinity.keepBillingLine },
    tuning: tuningOf(fleet),
    fleet,
  };
}

/** The secret of the file goes before the one of the environment, as elsewhere. */
export function legOf(
  { secret, accessClientId, accessClientSecret }: FleetConfig['relay'],
  fromEnvironment?: string,
): LegSecrets {
  return {
    secret: secret ?? fromEnvironment,
    access:
      accessClientId === undefined || accessClientSecret === undefined
        ? undefined
        : { id: accessClientId, secret: accessClientSecret },
  };
}

function tuningOf({ queue, loads, placement, affinity, loadTimeout }: FleetConfig): FleetTuning {
  return {
    maxWaiting: queue.maxWaiting,
    maxWaitMs: queue.maxWait,
    ownsLoads: loads.own,
    loadTimeoutMs: loadTimeout,
    byPrediction: placement.byPrediction,
    secondHome: placement.secondHome,
    affinity: affinity.enabled,
    affinityMaxLoad: affinity.maxLoad,
  };
}
