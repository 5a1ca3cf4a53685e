/**
 * The plan: a configuration turned into what a request walks through. Made once; from here on nothing parses configuration
 * and no name is switched on.
 */
import type { MiddlewareHandler } from 'hono';
import type { Backend } from '../backends/target.ts';
import type { FleetConfig, ListenAddress } from '../config/schema.ts';
import type { CallAllowances, Exchange, GatewayEnv, Upstream } from '../exchange.ts';
import type { FleetTuning } from '../fleet/tuning.ts';
import type { WarmRule } from '../fleet/warm.ts';
import type { ServerTls } from '../platform.ts';
import type { RouteEntry, RouteTable } from '../routes/table.ts';
import type { TelemetryPlan } from './telemetry.ts';

export interface Plan {
  readonly binds: readonly BindPlan[];
  /** Every upstream once. Those of kind `box` are probed. */
  readonly upstreams: readonly Upstream[];
  readonly settings: PlanSettings;
  readonly telemetry: TelemetryPlan;
  /** Models that stay in memory. */
  readonly warm: readonly WarmRule[];
  /** What works but is probably not meant: shadowed routes and the like, with their place. */
  readonly warnings: readonly string[];
  /** Decides whether a client may speak at all (`frontendPolicies.networkAuthorization`); undefined: all may. */
  readonly mayConnect?: ((exchange: Exchange) => boolean) | undefined;
  /** Decides whether Corral may listen beyond loopback by itself (design decision 6). */
  readonly everyRouteIsProtected: boolean;
}

export interface BindPlan {
  readonly port: number;
  /** Left out: plain HTTP. */
  readonly tls?: ServerTls | undefined;
  readonly listeners: readonly ListenerPlan[];
  /** By host name, lower case, without port. */
  listenerOf(host: string): ListenerPlan | undefined;
}

export interface ListenerPlan {
  readonly name: string;
  readonly gatewayName: string;
  readonly hostname: string;
  /** Run before the route is known, so that a 404 carries CORS headers and asks for a key (design decision 18). */
  readonly policies: readonly MiddlewareHandler<GatewayEnv>[];
  readonly routes: RouteTable<RoutePlan>;
  /** What the table was made of, in file order. */
  readonly entries: readonly RouteEntry<RoutePlan>[];
}

export interface RoutePlan {
  readonly name: string;
  readonly policies: readonly MiddlewareHandler<GatewayEnv>[];
  readonly backend: Backend;
  readonly isProtected: boolean;
  /** The route hands over to these, which match on the whole path again; it does nothing else itself. */
  readonly children?: RouteChildren | undefined;
}

export interface RouteChildren {
  readonly routes: RouteTable<RoutePlan>;
  readonly entries: readonly RouteEntry<RoutePlan>[];
}

export interface PlanSettings {
  readonly adminAddress: ListenAddress;
  readonly statsAddress: ListenAddress | undefined;
  readonly readinessAddress: ListenAddress | undefined;
  /** The end of the process, in milliseconds from the signal on: when what is left is cut, and until when new requests are taken. */
  readonly drain: { readonly deadlineMs: number; readonly minMs: number };
  readonly loadTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly probeIntervalMs: number;
  readonly bodyTimeoutMs: number;
  readonly maxBodyBytes: number;
  readonly maxBufferedBytes: number;
  readonly allowCloudModels: boolean;
  readonly allowances: CallAllowances;
  /** How boxes are treated. */
  readonly tuning: FleetTuning;
  /** `fleet` as configured, for what is read once when a plan comes into force. */
  readonly fleet: FleetConfig;
}
