/**
 * Corral as a Cloudflare Worker. An isolate opens its gateway with the first request, because only requests bring `env`, and
 * keeps it. Configuration in KV is looked at again every minute, behind the answer to a request; a changed one takes over as
 * a changed file does elsewhere: what has begun ends as it began, and what is known of the boxes stays.
 */
import bundled from '../../config/gateway.yaml';
import { createAdmin } from '../admin/index.ts';
import { readinessOf } from '../admin/readiness.ts';
import { boxOwnersOf, ownerBinding } from './box-owners.ts';
import { onlyPortOf } from './one-door.ts';
import { openGateway } from './open.ts';
import type { Opened } from './opened.ts';
import { storedConfig, type WorkersEnv, workersSettings } from './workers-config.ts';
import { createWorkersPlatform, type ExecutionContext, workersPeer } from './workers-platform.ts';

/** So long a changed KV entry may take to be seen, beside KV's own minute. */
const rereadMs = 60_000;
const adminPath = '/_corral';
/** The gateway's own: a box by its name. */
const boxPathPrefix = '/_corral/boxes/';

/** Said once for each isolate. */
const withoutOwner = `slots, queue and loads of the boxes hold for each isolate alone: bind the Durable Object ${ownerBinding} (see wrangler.toml), or put \`corral --relay\` beside each box`;

/** The same in every request of an isolate. */
let bindings: WorkersEnv = {};

const platform = createWorkersPlatform((name) => bindings[name]);

type AdminApp = ReturnType<typeof createAdmin>;
type Isolate =
  | {
      readonly isOpen: true;
      readonly opened: Opened;
      bindPort: number | undefined;
      readonly admin: AdminApp;
      text: string | undefined;
    }
  | { readonly isOpen: false; readonly count: number; readonly text: string | undefined };

let isolate: Isolate | undefined;
let opening: Promise<Isolate> | undefined;
let lookedMs = 0;

export { CorralBoxOwner } from './box-owner.ts';

export default {
  async fetch(request: Request, env: WorkersEnv, execution: ExecutionContext): Promise<Response> {
    bindings = env;
    const current = isolate ?? (await openOnce(env));
    if (Date.now() - lookedMs > rereadMs) execution.waitUntil(reread(env));
    if (!current.isOpen) return unusable(current.count);
    const { opened, bindPort, admin } = current;
    const peer = workersPeer(bindPort, request, execution);
    const due = opened.herd.catchUp();
    const { url } = request;
    const pathAt = url.indexOf('/', url.indexOf('//') + 2);
    if (url.startsWith(`${adminPath}/`, pathAt) && !url.startsWith(boxPathPrefix, pathAt)) {
      await due;
      return admin.fetch(request, { peer });
    }
    if (due !== undefined) execution.waitUntil(due);
    return opened.gateway.fetch(request, peer);
  },

  /** The cron trigger: nothing else runs between requests, so this isolate's boxes are looked at and warm models renewed now. */
  async scheduled(_event: unknown, env: WorkersEnv, execution: ExecutionContext): Promise<void> {
    if (isolate === undefined) await openOnce(env);
    else if (Date.now() - lookedMs > rereadMs) await reread(env);
    if (isolate?.isOpen !== true) return;
    const { keeper } = isolate.opened;
    execution.waitUntil(keeper.refresh().then(() => keeper.keepWarm()));
  },
};

/** Requests that come while the first one opens the gateway wait for the same opening. */
function openOnce(env: WorkersEnv): Promise<Isolate> {
  opening ??= storedConfig(env)
    .then((stored) => openIsolate(env, stored))
    .then((opened) => {
      isolate = opened;
      return opened;
    })
    .finally(() => {
      opening = undefined;
    });
  return opening;
}

async function openIsolate(env: WorkersEnv, stored: string | undefined): Promise<Isolate> {
  lookedMs = Date.now();
  const failed = (problems: readonly string[]): Isolate => {
    for (const problem of problems) platform.report('error', problem);
    return { isOpen: false, count: problems.length, text: stored };
  };
  const told = workersSettings(env, stored, bundled);
  if (!told.ok) return failed(told.problems);
  const ownerOf = boxOwnersOf(env, platform);
  const result = await openGateway(told.settings, platform, ownerOf);
  if (!result.ok) return failed(result.problems);
  const { opened } = result;
  const chosen = onlyPortOf(opened.ports, told.settings.env('CORRAL_BIND'), 'a Worker');
  if (!chosen.ok) return failed([chosen.problem]);
  for (const warning of opened.warnings) platform.report('warn', warning);
  if (ownerOf === undefined && opened.plan.upstreams.some(({ kind }) => kind === 'box')) platform.report('info', withoutOwner);
  const admin = createAdmin({
    basePath: adminPath,
    metricsText: opened.metricsText,
    configDump: opened.configDump,
    placement: opened.herd.explain,
    keeper: () => opened.keeper,
    adminToken: told.settings.adminToken,
    isLoopback: false,
    anyHost: true,
    readiness: () => readinessOf(opened.herd.describe(), false, opened.sync),
  });
  return { isOpen: true, opened, bindPort: chosen.port, admin, text: stored };
}

/** A changed entry takes effect; one that cannot be used is reported, and what runs goes on. */
async function reread(env: WorkersEnv): Promise<void> {
  lookedMs = Date.now();
  let stored: string | undefined;
  try {
    stored = await storedConfig(env);
  } catch (thrown) {
    platform.report(
      'warn',
      `the configuration in KV could not be looked at: ${thrown instanceof Error ? thrown.message : thrown}`,
    );
    return;
  }
  if (isolate === undefined || stored === isolate.text) return;
  if (!isolate.isOpen) {
    isolate = await openIsolate(env, stored);
    return;
  }
  const running = isolate;
  // An entry that is refused is not looked at again until it changes.
  running.text = stored;
  const problems = await takeOver(running, env, stored);
  if (problems.length === 0) return;
  for (const problem of problems) platform.report('error', problem);
  platform.report(
    'error',
    `the changed configuration was not taken over: ${problems.length} ${problems.length === 1 ? 'error' : 'errors'}; what ran goes on`,
  );
}

/** Returns what is wrong; nothing has changed then. */
async function takeOver(
  running: Isolate & { isOpen: true },
  env: WorkersEnv,
  stored: string | undefined,
): Promise<readonly string[]> {
  const { opened } = running;
  const refuse = (problems: readonly string[]) => {
    opened.refuseReload(problems);
    return problems;
  };
  const told = workersSettings(env, stored, bundled);
  if (!told.ok) return refuse(told.problems);
  const result = await opened.prepareReload(told.settings);
  if (!result.ok) return result.problems;
  const { next } = result;
  const chosen = onlyPortOf(next.ports, told.settings.env('CORRAL_BIND'), 'a Worker');
  if (!chosen.ok) return refuse([chosen.problem]);
  next.swap();
  running.bindPort = chosen.port;
  for (const warning of next.warnings) platform.report('warn', warning);
  platform.report('info', `reloaded ${told.settings.config.name}: ${next.changes.join(', ') || 'routes and boxes as before'}`);
  return [];
}

/** The problems themselves may name hosts and files: they are in the log, not for whoever asks. */
function unusable(count: number): Response {
  const message = `Corral's configuration has ${count} ${count === 1 ? 'error' : 'errors'}; the log lists them (wrangler tail)`;
  return new Response(JSON.stringify({ error: { message, type: 'server_error' } }), {
    status: 503,
    headers: { 'content-type': 'application/json' },
  });
}
