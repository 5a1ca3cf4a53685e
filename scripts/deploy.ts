/// <reference types="node" />
/**
 * `npm run deploy`: `wrangler deploy`, but never of a gateway that anybody may use. A Worker's address is public, so it must
 * have a key first. Further arguments go to wrangler; `--dry-run` bundles and checks without an account or a network.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const keySecret = 'CORRAL_API_KEY';
const root = fileURLToPath(new URL('..', import.meta.url));
const wrangler = `${root}/node_modules/wrangler/bin/wrangler.js`;

/** Whether `wrangler secret list` names the key. `listed` is its standard output; anything unreadable counts as no. */
export function hasKeySecret(listed: string): boolean {
  try {
    const secrets: unknown = JSON.parse(listed.slice(listed.indexOf('[')));
    return Array.isArray(secrets) && secrets.some((secret) => (secret as { name?: unknown } | null)?.name === keySecret);
  } catch {
    return false;
  }
}

export const refusal = `refused: the Worker would answer everybody, because it has no secret ${keySecret}.
Make one first, then deploy again:

  openssl rand -hex 24 | npx wrangler secret put ${keySecret}

Clients then send it as "Authorization: Bearer …".
`;

function runWrangler(args: readonly string[], output: 'inherit' | 'pipe'): { status: number; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [wrangler, ...args], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['inherit', output, output],
    env: { ...process.env, WRANGLER_SEND_METRICS: process.env.WRANGLER_SEND_METRICS ?? 'false' },
  });
  return { status: status ?? 1, stdout: stdout ?? '', stderr: stderr ?? '' };
}

function deploy(args: readonly string[]): number {
  const isDryRun = args.includes('--dry-run');
  if (!isDryRun) {
    const target = args.flatMap((arg, index) =>
      /^(--env|-e|--name|--config|-c)$/.test(arg) ? [arg, args[index + 1] ?? ''] : [],
    );
    const listed = runWrangler(['secret', 'list', '--format', 'json', ...target], 'pipe');
    if (listed.status !== 0) process.stderr.write(listed.stderr);
    if (!hasKeySecret(listed.stdout)) {
      process.stderr.write(refusal);
      return 1;
    }
  }
  const outdir = isDryRun && !args.includes('--outdir') ? ['--outdir', 'dist/deploy'] : [];
  return runWrangler(['deploy', ...outdir, ...args], 'inherit').status;
}

if (import.meta.main) process.exitCode = deploy(process.argv.slice(2));
