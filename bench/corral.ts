/** Corral on each runtime, as a user starts it from a checkout, with the first configuration of the Ollama page. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { build } from 'esbuild';
import { type Contestant, type Launch, profileFlags, type Site } from './contestant.ts';
import { plainModel } from './wire.ts';

const root = dirname(import.meta.dirname);
const bin = `${root}/node_modules/.bin`;

/** The page's first YAML, its box being the mock. The access log goes to standard output, that is, into a file. */
function configOf(site: Site): string {
  return `binds:
- port: ${site.port}
  listeners:
  - routes:
    - policies:
        urlRewrite:
          authority:
            full: 127.0.0.1:${site.mockPort}
      backends:
      - ai:
          name: ollama
          hostOverride: 127.0.0.1:${site.mockPort}
          provider:
            openAI:
              model: ${plainModel}
`;
}

function started(name: string, program: string, commandOf: (site: Site) => readonly string[]): Contestant {
  return {
    name,
    byDefault: true,
    headersFor: () => ({}),
    prepare: async () => {
      if (!existsSync(`${root}/src/index.ts`)) return 'src/index.ts is missing';
      return existsSync(program) ? undefined : `${program} is missing (npm install)`;
    },
    launch: (site): Launch => ({ command: commandOf(site), env: { CORRAL_CONFIG: configOf(site) }, cwd: root }),
  };
}

const bun = started('corral-bun', `${bin}/bun`, (site) => [`${bin}/bun`, 'run', ...profileFlags(site), 'src/index.ts']);
const node = started('corral-node', process.execPath, (site) => [process.execPath, ...profileFlags(site), 'src/index.ts']);
const deno = started('corral-deno', `${bin}/deno`, (site) => [
  `${bin}/deno`,
  'serve',
  '-A',
  '--host',
  '127.0.0.1',
  '--port',
  String(site.port),
  'src/index.ts',
]);

/** Compatibility date and flags as the project deploys with. */
function compatibility(): { date: string; flags: string[] } {
  const file = `${root}/wrangler.toml`;
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const date = /^compatibility_date *= *"([^"]+)"/m.exec(text)?.[1] ?? '2026-08-04';
  const flags = /^compatibility_flags *= *\[([^\]]*)\]/m.exec(text)?.[1] ?? '';
  return { date, flags: [...flags.matchAll(/"([^"]+)"/g)].map((found) => found[1] ?? '') };
}

/** Workers do not learn where a client sits, so the route must serve anybody: the others check the address instead. */
function capnpOf(site: Site): string {
  const { date, flags } = compatibility();
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .corral),
    (name = "internet", network = (allow = ["private", "local", "public"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${site.port}", http = (), service = "main")],
);
const corral :Workerd.Worker = (
  modules = [(name = "worker", esModule = embed "worker.js")],
  compatibilityDate = "${date}",
  compatibilityFlags = ${JSON.stringify(flags)},
  bindings = [
    (name = "CORRAL_CONFIG", text = ${JSON.stringify(configOf(site))}),
    (name = "CORRAL_ALLOW_ANONYMOUS", text = "true"),
  ],
);
`;
}

let bundle = '';

const workerd: Contestant = {
  name: 'corral-workerd',
  byDefault: true,
  headersFor: () => ({}),
  prepare: async () => {
    if (!existsSync(`${root}/src/index.ts`)) return 'src/index.ts is missing';
    try {
      const built = await build({
        entryPoints: [`${root}/src/index.ts`],
        bundle: true,
        format: 'esm',
        conditions: ['workerd', 'worker', 'browser'],
        external: ['cloudflare:*', 'node:*'],
        loader: { '.yaml': 'text' },
        write: false,
        logLevel: 'silent',
      });
      bundle = built.outputFiles[0]?.text ?? '';
      return undefined;
    } catch (error) {
      return `the Worker bundle cannot be built: ${error instanceof Error ? error.message.slice(0, 300) : String(error)}`;
    }
  },
  launch: (site): Launch => {
    writeFileSync(`${site.folder}/worker.js`, bundle);
    writeFileSync(`${site.folder}/worker.capnp`, capnpOf(site));
    return { command: [`${bin}/workerd`, 'serve', `${site.folder}/worker.capnp`], env: {}, cwd: site.folder };
  },
};

export const corrals: readonly Contestant[] = [bun, node, deno, workerd];
