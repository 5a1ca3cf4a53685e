/** `npm run deploy -- --dry-run`: what would be deployed is bundled by the tool that deploys it, without account and network. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const outdir = mkdtempSync(join(tmpdir(), 'corral-deploy-'));
afterAll(() => rmSync(outdir, { recursive: true, force: true }));

it('bundles the Worker with its configuration inside', () => {
  const script = join(root, 'scripts/deploy.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--dry-run', '--outdir', outdir], {
    cwd: root,
    encoding: 'utf8',
    env: { PATH: process.env.PATH ?? '', HOME: outdir, CI: 'true', WRANGLER_SEND_METRICS: 'false', NO_COLOR: '1' },
  });
  expect([status, stderr.includes('ERROR')]).toEqual([0, false]);
  expect(stdout).toContain('--dry-run: exiting now.');
  const bundle = readdirSync(outdir).find((name) => name.endsWith('.js')) ?? '';
  expect(readFileSync(join(outdir, bundle), 'utf8')).not.toMatch(/from\s*["']node:/);
  expect(readdirSync(outdir).some((name) => name.endsWith('.yaml'))).toBe(true);
});
