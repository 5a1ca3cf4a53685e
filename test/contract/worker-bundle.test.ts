/** The Worker must stay small, and free of Node: Workers run neither `node:` modules of ours nor polyfills for them. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildTarget } from '../../scripts/build.ts';

/**
 * Free accounts may upload 3 MB gzipped; start time grows with every kilobyte. Raise it knowingly. Beside Corral itself the
 * largest parts are, minified and not compressed: zod and yaml, re2js (150 KiB, patterns in linear time), cel-js (81), the
 * exporter of traces, bcryptjs, jose, ipaddr.js. What is known of the herd (placement, queue, loads, Ollama's options on every
 * surface, relays) took 70 KiB gzipped.
 */
const maxGzippedBytes = 470 * 1024;

const folder = mkdtempSync(join(tmpdir(), 'corral-bundle-'));
let text = '';

beforeAll(async () => {
  const outfile = join(folder, 'corral.js');
  await buildTarget('workers', outfile);
  text = readFileSync(outfile, 'utf8');
}, 60_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the Worker bundle', () => {
  it('imports nothing, least of all from Node', () => {
    const imports = [
      ...text.matchAll(
        /\b(?:import|export)\b[^;'"]{0,400}?\bfrom\s*["']([^"']+)["']|(?<!["'])\bimport\s*\(?\s*["']([^"']+)["']|\brequire\s*\(\s*["']([^"']+)["']/g,
      ),
    ];
    expect(imports.map(([, from, loaded, required]) => from ?? loaded ?? required)).toEqual([]);
    expect(text).not.toMatch(/["'`]node:/);
  });

  it('exports the handler, and the class of its Durable Objects', () => {
    const [, exported = ''] = /export\s*\{([^}]*)\}/.exec(text) ?? [];
    expect(exported.split(',').map((one) => one.trim().replace(/^.* as /, ''))).toEqual(['CorralBoxOwner', 'default']);
  });

  it('carries the configuration that Corral has when told nothing', () => {
    expect(text).toContain('CORRAL_OLLAMA_HOST');
  });

  it(`is smaller than ${maxGzippedBytes / 1024} KiB gzipped`, () => {
    const gzipped = gzipSync(text).length;
    process.stdout.write(`the Worker: ${Math.round(text.length / 1024)} KiB, ${Math.round(gzipped / 1024)} KiB gzipped\n`);
    expect(gzipped).toBeLessThan(maxGzippedBytes);
    // And is a whole gateway, not an empty shell.
    expect(gzipped).toBeGreaterThan(60 * 1024);
  });
});
