/** A proxy with nothing in it, for the price of the runtime and of Hono alone. Runs only when asked for by name. */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { type Contestant, profileFlags, type Site } from './contestant.ts';

const root = dirname(import.meta.dirname);
const bunBinary = `${root}/node_modules/.bin/bun`;

function bare(name: string, program: string, argsOf: (site: Site) => readonly string[]): Contestant {
  return {
    name,
    byDefault: false,
    headersFor: () => ({}),
    prepare: async () => (existsSync(program) ? undefined : `${program} is missing (npm install)`),
    launch: (site) => ({
      command: [program, ...argsOf(site)],
      env: { PORT: String(site.port), BOX: `http://127.0.0.1:${site.mockPort}`, BUN_CONFIG_MAX_HTTP_REQUESTS: '65535' },
      cwd: root,
    }),
  };
}

export const bares: readonly Contestant[] = [
  bare('bare-bun', bunBinary, (site) => ['run', ...profileFlags(site), 'bench/bare-bun.ts']),
  bare('bare-node', process.execPath, (site) => [...profileFlags(site), 'bench/bare-node.ts']),
];
