/** Starts and ends, as a user at a terminal and a supervisor see them. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type RunningCorral, testedRuntimes } from '../support/runtimes/index.ts';

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

/** A host that a test answers for. Enough of one: these tests are about the program, not about boxes. */
async function upstream(answer: Parameters<typeof createServer>[1]): Promise<number> {
  const server: Server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ending.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const toHost = (port: number) => `config: { adminAddr: "off" }
binds:
- port: 3000
  listeners:
  - routes:
    - backends:
      - host: 127.0.0.1:${port}
`;

function kept(corral: RunningCorral): RunningCorral {
  ending.push(() => corral.stop(0));
  return corral;
}

const processes = testedRuntimes().filter(({ name }) => name !== 'workerd');

describe.each(processes)('$name', (runtime) => {
  const opensItsPort = runtime.name !== 'deno';

  it('prints its version', async () => {
    expect(await runtime.run({ args: ['-V'] })).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^corral \d+\.\d+\.\d+\n$/),
    });
  });

  it('ends with 2 and the nearest flag for one that it does not know', async () => {
    const { code, stderr } = await runtime.run({ args: ['--validate-onyl'] });
    expect([code, stderr]).toEqual([2, expect.stringContaining('unknown flag --validate-onyl; did you mean --validate-only?')]);
  });

  it('reads standard input, and tells every error of a configuration before anything listens', async () => {
    const result = await runtime.run({ args: ['-f', '-'], stdin: 'bindz: []\nconfig:\n  adminAdr: off\n' });
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/<stdin>:1:1 .*bindz.*binds/s);
    expect(result.stderr).toMatch(/<stdin>:3:3 .*adminAdr.*adminAddr/s);
    expect(result.stdout + result.stderr).not.toContain('listening on');
  });

  it('says that a configuration is valid', async () => {
    expect(await runtime.run({ yaml: toHost(1), args: ['--validate-only'] })).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Configuration is valid!\nport 3000 \(HTTP\)\n/),
    });
  });

  it('says which file cannot be read', async () => {
    const { code, stderr } = await runtime.run({ args: ['-f', 'no-such.yaml'] });
    expect([code, stderr]).toEqual([1, expect.stringContaining('no-such.yaml (from -f) cannot be read: there is no such file')]);
  });

  it.skipIf(!opensItsPort)(
    `says what to do when its port is in use${opensItsPort ? '' : ' [not here: deno serve opens it]'}`,
    async () => {
      const port = await upstream((_, outgoing) => outgoing.end());
      const { code, stderr } = await runtime.run({ yaml: toHost(1), args: ['--port', String(port)] });
      expect([code, stderr]).toEqual([
        1,
        expect.stringMatching(new RegExp(`port ${port} is in use.*lsof -i :${port}.*--port ${port + 1}`)),
      ]);
    },
  );

  it('finishes streams at SIGTERM and takes no new requests', async () => {
    let finish: () => void = () => undefined;
    const port = await upstream((_, outgoing) => {
      outgoing.write('begun ');
      finish = () => outgoing.end('finished');
    });
    const corral = kept(await runtime.start({ yaml: toHost(port) }));
    const response = await fetch(`${corral.url}/`);
    corral.signal('SIGTERM');
    await corral.untilOutput(/shutting down: 1 answer under way/);
    const late = await fetch(`${corral.url}/`, { headers: { connection: 'close' } }).then(
      ({ status }) => status,
      () => 'refused',
    );
    expect([503, 'refused']).toContain(late);
    finish();
    expect(await response.text()).toBe('begun finished');
    expect(await corral.exited).toEqual({ code: 0, signal: null });
  });

  it('ends at once at the second signal', async () => {
    const port = await upstream((_, outgoing) => outgoing.write('begun '));
    const corral = kept(await runtime.start({ yaml: toHost(port) }));
    const reading = fetch(`${corral.url}/`).then((response) => response.text());
    reading.catch(() => undefined);
    const begun = await fetch(`${corral.url}/`);
    corral.signal('SIGINT');
    await corral.untilOutput(/shutting down/);
    corral.signal('SIGTERM');
    expect(await corral.exited).toEqual({ code: 0, signal: null });
    await expect(begun.text()).rejects.toThrow();
  });

  it('has 300 requests under way at once', async () => {
    let isThere: () => void = () => undefined;
    const all = new Promise<void>((resolve) => {
      isThere = resolve;
    });
    const waiting: (() => void)[] = [];
    const port = await upstream((_, outgoing) => {
      waiting.push(() => outgoing.end('x'));
      if (waiting.length === 300) isThere();
    });
    const corral = kept(await runtime.start({ yaml: toHost(port) }));
    const asked = Array.from({ length: 300 }, async () => (await fetch(`${corral.url}/`)).text());
    await all;
    for (const answer of waiting) answer();
    expect(new Set(await Promise.all(asked))).toEqual(new Set(['x']));
  });
});
