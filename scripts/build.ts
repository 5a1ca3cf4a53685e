/// <reference types="node" />
/**
 * `npm run build`: the one source for each runtime, one file each, in dist/. What a runtime must not see is left out by the
 * same export conditions that choose the entry when the source runs.
 *
 *   node dist/node/corral.js · bun run dist/bun/corral.js · deno serve -A dist/deno/corral.js · dist/workers for workerd
 */
import { readFileSync, rmSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { type BuildOptions, build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Code of CommonJS packages (undici, yaml) asks for `require`, which modules do not have; Bun alone has it everywhere. */
const requireForModules =
  "import { createRequire as corralRequire } from 'node:module'; const require = corralRequire(import.meta.url);";

/** In front of everything else, because undici breaks on older ones in words that nobody understands. */
const nodeVersionCheck = `{
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 22 || (major === 22 && minor < 19)) {
    process.stderr.write('error: Corral needs Node 22.19 or later, this is ' + process.versions.node + '. Or run it with Bun: npx bun run dist/bun/corral.js\\n');
    process.exit(1);
  }
}`;

export const targets = {
  node: {
    conditions: ['node'],
    platform: 'node',
    target: 'node22',
    banner: { js: `#!/usr/bin/env node\n${requireForModules}\n${nodeVersionCheck}` },
  },
  bun: { conditions: ['bun'], platform: 'node', target: 'es2024' },
  deno: { conditions: ['deno'], platform: 'node', target: 'es2024', banner: { js: requireForModules } },
  // As wrangler bundles it; no `node:` import may be left, and none is allowed to be replaced by a polyfill.
  workers: {
    conditions: ['workerd', 'worker', 'browser'],
    // As wrangler: packages that look for Node's crypto say in `browser` that they can do without it.
    platform: 'browser',
    target: 'es2024',
    minify: true,
  },
} as const satisfies Record<string, Partial<BuildOptions>>;

export type Target = keyof typeof targets;

/** Bundles one target into `outfile`, its source map beside it. */
export async function buildTarget(target: Target, outfile: string): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: ['src/index.ts'],
    outfile,
    bundle: true,
    format: 'esm',
    sourcemap: true,
    legalComments: 'none',
    loader: { '.yaml': 'text' },
    define: { CORRAL_BUNDLED_CONFIG: JSON.stringify(readFileSync(`${root}/config/gateway.yaml`, 'utf8')) },
    logLevel: 'warning',
    ...targets[target],
  });
}

if (import.meta.main) {
  rmSync(`${root}/dist`, { recursive: true, force: true });
  for (const target of Object.keys(targets) as Target[]) {
    const outfile = `${root}/dist/${target}/corral.js`;
    await buildTarget(target, outfile);
    const gzipped = gzipSync(readFileSync(outfile)).length;
    process.stdout.write(`dist/${target}/corral.js  ${kibibytes(statSync(outfile).size)}, ${kibibytes(gzipped)} gzipped\n`);
  }
}

function kibibytes(bytes: number): string {
  return `${Math.round(bytes / 1024)} KiB`;
}
