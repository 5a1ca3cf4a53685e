import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openRuntimes } from '../../../support/runtimes/index.ts';

const tiny = openRuntimes(fileURLToPath(new URL('../../../fixtures/tiny-gateway', import.meta.url)));
const yaml = 'a: "quoted \\ text"\n# ünïcode\n';

const alive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe.each(tiny)('harness on $name', (runtime) => {
  it.skipIf(!runtime.available)(
    'starts a gateway on a port of its own, hands it its configuration, and leaves nothing behind',
    { timeout: 60_000 },
    async () => {
      const [first, second] = await Promise.all([runtime.start({ yaml }), runtime.start({ yaml: 'one line' })]);
      expect(first.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
      expect(await (await fetch(first.url)).json()).toEqual({ runtime: runtime.name, config: yaml });
      expect(await (await fetch(second.url)).json()).toEqual({ runtime: runtime.name, config: 'one line\n' });
      expect(second.url).not.toBe(first.url);
      await Promise.all([first.stop(), second.stop()]);
      expect(alive(first.pid)).toBe(false);
      await expect(fetch(first.url)).rejects.toThrow();
    },
  );
});

const node = tiny.find(({ name }) => name === 'node');

describe('harness', () => {
  it('tells how a program ended that never listened', { timeout: 60_000 }, async () => {
    await expect(node?.start({ yaml: 'broken: true' })).rejects.toThrow(/ended \(code 1[\s\S]*corral\.yaml:1:1 broken/);
    expect(await node?.run({ yaml: 'broken: true' })).toMatchObject({ code: 1, stderr: 'corral.yaml:1:1 broken\n' });
  });

  it('kills what does not end by itself, when told and in run()', { timeout: 60_000 }, async () => {
    const stubborn = await node?.start({ env: { STUBBORN: '1' } });
    expect(stubborn?.adminUrl).toBe('http://127.0.0.1:7');
    expect(await stubborn?.stop(300)).toEqual({ code: null, signal: 'SIGKILL' });
    expect(stubborn?.stdout()).toContain('not yet');
    await expect(node?.run({}, 500)).rejects.toThrow(/waited 500 ms/);
  });

  it('does not leak this run’s environment into the gateway', { timeout: 60_000 }, async () => {
    process.env.CORRAL_CONFIG = 'from the test run\n';
    try {
      const running = await node?.start();
      expect(await (await fetch(running?.url ?? '')).json()).toEqual({ runtime: 'node', config: null });
      await running?.stop();
    } finally {
      delete process.env.CORRAL_CONFIG;
    }
  });
});
