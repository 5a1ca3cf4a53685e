/** The admin address: one Hono app, mounted by each entry at a port of its own, on Workers under `/_corral`. */
import { Hono } from 'hono';
import { type AdminAccess, type AdminEnv, guardAdmin } from './access.ts';
import type { Readiness } from './readiness.ts';

export interface AdminSetting extends AdminAccess {
  readonly readiness: () => Readiness;
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
  app.notFound((c) => c.text('not found; here is GET /healthz/ready\n', 404));
  return app;
}

/** A readiness port of its own is for probes that carry no token: they learn yes or no, and nothing else. */
export function createReadinessPort(readiness: () => Readiness): Hono {
  const app = new Hono();
  app.get('/healthz/ready', (c) => (readiness().isReady ? c.text('ready\n') : c.text('not ready\n', 503)));
  return app;
}
