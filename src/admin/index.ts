/** The admin address: one Hono app, mounted by each entry at a port of its own, on Workers under `/_corral`. */
import { Hono } from 'hono';
import type { Keeper } from '../fleet/keeper.ts';
import { type AdminAccess, type AdminEnv, guardAdmin } from './access.ts';
import { serveFleet } from './fleet.ts';
import { type ExplainPlacement, servePlacement } from './placement.ts';
import type { Readiness } from './readiness.ts';

export interface AdminSetting extends AdminAccess {
  readonly readiness: () => Readiness;
  /** Prometheus text, format 0.0.4. */
  readonly metricsText: () => string;
  /** The configuration in force and what became of it, as JSON, without secrets. */
  readonly configDump: () => string;
  /** Those who look after the herd, as the plan in force has it. */
  readonly keeper: () => Keeper;
  /** What calls would meet at the boxes. Left out: nobody can tell. */
  readonly placement?: ExplainPlacement;
  /** In front of every path; empty by default. */
  readonly basePath?: string;
}

export function createAdmin(setting: AdminSetting): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>().basePath(setting.basePath ?? '/');
  app.use(guardAdmin(setting));
  app.get('/healthz/ready', (c) => {
    const { isReady, detail, notes = [] } = setting.readiness();
    return c.text([isReady ? 'ready' : detail, ...notes, ''].join('\n'), isReady ? 200 : 503);
  });
  serveMetrics(app, setting.metricsText);
  app.get('/config_dump', (c) => c.body(setting.configDump(), 200, { 'content-type': 'application/json' }));
  serveFleet(app, setting.keeper);
  if (setting.placement !== undefined) servePlacement(app, setting.placement);
  app.notFound((c) =>
    c.text(
      'not found; here are GET /healthz/ready, /metrics, /config_dump, /placement?model=… and /fleet, POST /refresh and /fleet/…\n',
      404,
    ),
  );
  return app;
}

/** Both paths that agentgateway has them at. */
function serveMetrics<Env extends AdminEnv>(app: Hono<Env>, metricsText: () => string): void {
  for (const path of ['/metrics', '/stats/prometheus']) {
    app.get(path, (c) => c.body(metricsText(), 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }));
  }
}

/** A port of its own for a Prometheus that carries no token: it learns what is counted, and nothing else. */
export function createStatsPort(metricsText: () => string): Hono<AdminEnv> {
  const app = new Hono<AdminEnv>();
  serveMetrics(app, metricsText);
  return app;
}

/** A readiness port of its own is for probes that carry no token: they learn yes or no, and nothing else. */
export function createReadinessPort(readiness: () => Readiness): Hono {
  const app = new Hono();
  app.get('/healthz/ready', (c) => (readiness().isReady ? c.text('ready\n') : c.text('not ready\n', 503)));
  return app;
}
