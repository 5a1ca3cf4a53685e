import { describe, expect, it } from 'vitest';
import { prepare, version } from '../../../src/cli/prepare.ts';
import { openGateway } from '../../../src/entry/open.ts';
import type { OpenResult } from '../../../src/entry/opened.ts';
import type { Platform } from '../../../src/platform.ts';
import { createFakeClock } from '../../support/fake-clock.ts';

const platform = { runtime: 'node', refuses: () => undefined, clock: createFakeClock() } as unknown as Platform;

const smallest = 'binds: [{ port: 3000, listeners: [{ routes: [] }] }]';

async function run(
  args: readonly string[],
  result: OpenResult | typeof openGateway = { ok: false, problems: [] },
  { text = smallest, mode }: { text?: string; mode?: number } = {},
) {
  let out = '';
  let err = '';
  let opened = 0;
  const prepared = await prepare(
    {
      args,
      env: (name) => (name === 'KEY' ? 'key-of-clients' : undefined),
      readFile: () => text,
      readStdin: () => '',
      isTerminalGone: () => false,
      modeOf: () => mode,
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
    },
    platform,
    async (...given) => {
      opened++;
      return typeof result === 'function' ? result(...given) : result;
    },
  );
  return { out, err, opened, exitCode: prepared.goesOn ? 'goes on' : prepared.exitCode };
}

const fine = { ok: true, opened: { warnings: ['corral.yaml:3:1 a route is shadowed'] } } as unknown as OpenResult;

describe('prepare', () => {
  it('goes on with a good configuration, warnings said', async () => {
    expect(await run([], fine)).toEqual({
      out: '',
      err: 'warning: corral.yaml:3:1 a route is shadowed\n',
      opened: 1,
      exitCode: 'goes on',
    });
  });

  it('tells where a secret stands in clear, as --validate-only does, and not what it is', async () => {
    const file = {
      mode: 0o644,
      text: `llm:
  port: 3000
  policies: { apiKey: { keys: [{ key: $KEY }] } }
  models:
  - name: a
    provider: openAI
    params: { apiKey: sk-in-clear }
`,
    };
    const line =
      'warning: x.yaml:7:15 llm.models[0].params.apiKey: this secret stands in clear in a file that every user of this machine may read: chmod 600 x.yaml, or write a variable or {file: path}\n  7 |     params: { apiKey: …\n';
    const started = await run(['-f', 'x.yaml'], openGateway, file);
    expect(started.err).toContain(line);
    expect(started.err).not.toContain('sk-in-clear');
    expect((await run(['-f', 'x.yaml', '--validate-only'], openGateway, file)).err).toContain(line);
  });

  it('--validate-only opens nothing and ends', async () => {
    expect(await run(['--validate-only'], fine)).toMatchObject({
      out: expect.stringMatching(/^Configuration is valid!\nport 3000 \(HTTP\)\n/),
      opened: 0,
      exitCode: 0,
    });
  });

  it.each(['--json', '--portable', '--probe'])('%s goes with --validate-only', async (flag) => {
    expect(await run([flag])).toMatchObject({ err: `error: ${flag} goes with --validate-only\n`, exitCode: 2 });
  });

  it('prints every error and ends with 1', async () => {
    const result = await run(['-f', 'x.yaml'], { ok: false, problems: ['x.yaml:1:1 one', 'x.yaml:2:1 two'] });
    expect(result).toEqual({
      out: '',
      err: 'x.yaml:1:1 one\nx.yaml:2:1 two\n2 errors in x.yaml; nothing was started\n',
      opened: 1,
      exitCode: 1,
    });
  });

  it('names the flag that leaves out what Corral has not got, unless it was given', async () => {
    const refused = { ok: false, problems: ['x.yaml:1:1 mcp: known to agentgateway, not supported: why'] } as const;
    const hint = 'what Corral has not got is left out with --ignore-unsupported, see docs/validation.md\n';
    const last = '1 error in x.yaml; nothing was started\n';
    expect((await run(['-f', 'x.yaml'], refused)).err.endsWith(`${last}${hint}`)).toBe(true);
    expect((await run(['-f', 'x.yaml', '--ignore-unsupported'], refused)).err.endsWith(last)).toBe(true);
    expect((await run(['-c', 'mcp: {}\n', '--validate-only'])).err.endsWith(hint)).toBe(true);
    expect((await run(['-c', 'bindz: []\n', '--validate-only'])).err.endsWith('nothing was started\n')).toBe(true);
  });

  it('ends with 2 for a wrong command line, before anything is read', async () => {
    expect(await run(['--prot'])).toMatchObject({
      err: 'error: unknown flag --prot; did you mean --port?\nFlags are listed by --help\n',
      opened: 0,
      exitCode: 2,
    });
  });

  it('prints version and help, and opens nothing', async () => {
    expect(version).toMatch(/^\d+\.\d+\.\d+/);
    expect(await run(['-V'])).toEqual({ out: `corral ${version}\n`, err: '', opened: 0, exitCode: 0 });
    expect((await run(['--help'])).out).toContain('Usage: corral');
  });

  it('ends with 1 for settings that cannot be meant', async () => {
    expect(await run(['--port', 'x'])).toMatchObject({ opened: 0, exitCode: 1 });
  });
});
