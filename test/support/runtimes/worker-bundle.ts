import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';

/** The Worker, bundled, in a folder of its own where workerd's configurations go too. */
export interface WorkerBundle {
  readonly folder: string;
}

const bundles = new Map<string, Promise<WorkerBundle>>();

/** Bundles a project's `src/index.ts` for workerd, once per run. */
export function bundleWorker(root: string): Promise<WorkerBundle> {
  const known = bundles.get(root);
  if (known !== undefined) return known;
  const bundle = buildWorker(root);
  bundles.set(root, bundle);
  return bundle;
}

async function buildWorker(root: string): Promise<WorkerBundle> {
  const folder = mkdtempSync(join(tmpdir(), 'corral-worker-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  await build({
    entryPoints: [join(root, 'src/index.ts')],
    outfile: join(folder, 'worker.js'),
    bundle: true,
    format: 'esm',
    target: 'es2024',
    // What wrangler sets.
    conditions: ['workerd', 'worker', 'browser'],
    mainFields: ['browser', 'module', 'main'],
    external: ['cloudflare:*', 'node:*'],
    loader: { '.yaml': 'text' },
    define: { 'process.env.NODE_ENV': '"production"' },
    sourcemap: 'inline',
    logLevel: 'silent',
  });
  return { folder };
}

export interface WorkerConfig {
  /** Text bindings, what wrangler calls vars. */
  readonly bindings: Readonly<Record<string, string>>;
  /** Durable Objects of the Worker, class by binding. */
  readonly durableObjects?: Readonly<Record<string, string>>;
  /** The same Worker so often, each with a port: isolates share nothing but the Durable Objects. Default 1. */
  readonly isolates?: number;
}

let serial = 0;

/** Writes a workerd configuration beside the bundle and returns its path. */
export function writeWorkerdConfig(root: string, bundle: WorkerBundle, config: WorkerConfig): string {
  const { date, flags } = compatibilityOf(root);
  const bindings = Object.entries(config.bindings).map(
    ([name, value]) => `        (name = ${quoted(name)}, text = ${quoted(value)}),`,
  );
  const classes = Object.entries(config.durableObjects ?? {});
  const objects = classes.map(
    ([name, className]) =>
      `        (name = ${quoted(name)}, durableObjectNamespace = (className = ${quoted(className)}, serviceName = "corral")),`,
  );
  const names = Array.from({ length: config.isolates ?? 1 }, (_, at) => (at === 0 ? 'corral' : `corral-${at + 1}`));
  // The objects live in the first one.
  const ownOf = (name: string) =>
    name !== 'corral' || classes.length === 0
      ? ''
      : `
      durableObjectNamespaces = [${classes.map(([, className]) => `(className = ${quoted(className)}, uniqueKey = ${quoted(className)})`).join(', ')}],
      durableObjectStorage = (inMemory = void),`;
  const workers = names.map(
    (name) => `    (name = ${quoted(name)}, worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = ${quoted(date)},
      compatibilityFlags = [${flags.map(quoted).join(', ')}],${ownOf(name)}
      bindings = [
${[...bindings, ...objects].join('\n')}
      ],
    )),`,
  );
  const sockets = names.map(
    (name, at) =>
      `(name = ${quoted(at === 0 ? 'http' : `http-${at + 1}`)}, address = "127.0.0.1:0", http = (), service = ${quoted(name)})`,
  );
  const path = join(bundle.folder, `corral-${serial++}.capnp`);
  writeFileSync(
    path,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
${workers.join('\n')}
    # Without this list workerd refuses to connect to 127.0.0.1.
    (name = "internet", network = (allow = ["private", "local", "public"], tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = [${sockets.join(', ')}],
);
`,
  );
  return path;
}

/** Cap'n Proto text: C escapes. */
function quoted(text: string): string {
  return `"${text.replaceAll(/[\\"]/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t')}"`;
}

/** Date and flags as wrangler would deploy them. */
function compatibilityOf(root: string): { date: string; flags: string[] } {
  const file = join(root, 'wrangler.toml');
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const date = /^compatibility_date\s*=\s*"([^"]+)"/m.exec(text)?.[1] ?? '2026-11-01';
  const list = /^compatibility_flags\s*=\s*\[([^\]]*)\]/m.exec(text)?.[1] ?? '"enable_request_signal"';
  return { date, flags: [...list.matchAll(/"([^"]+)"/g)].map(([, flag]) => flag ?? '') };
}
