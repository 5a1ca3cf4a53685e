/** `corral doctor` and `corral fleet` as programs, over boxes that are real servers. T16: pull and sync the fleet. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { reserveClosedPort, startFakeOllama } from '../support/fake-ollama/index.ts';
import { programOf, testedRuntimes } from '../support/runtimes/index.ts';
import { startProgram } from '../support/runtimes/process.ts';
import { syncPlan } from '../support/sync-plan.ts';

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

interface PullingBox {
  readonly port: number;
  /** Of pulls: what was asked for, and the answer under way. */
  readonly pulls: { readonly model: string; readonly answer: ServerResponse; isGone: boolean }[];
  models: Record<string, string>;
}

/** As much of a box as a sync needs; a pull goes on until the test ends it. */
async function pullingBox(models: Record<string, string>, at: string): Promise<PullingBox> {
  const box: PullingBox = { port: 0, pulls: [], models };
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      if (incoming.url === '/api/version') return outgoing.end('{"version":"0.20.0"}');
      if (incoming.url === '/api/ps') return outgoing.end('{"models":[]}');
      if (incoming.url === '/api/tags') {
        const list = Object.entries(box.models).map(([name, digest]) => ({ name, digest, size: 2e9, modified_at: at }));
        return outgoing.end(JSON.stringify({ models: list }));
      }
      if (incoming.url !== '/api/pull') return outgoing.writeHead(404).end();
      const { model } = JSON.parse(Buffer.concat(chunks).toString()) as { model: string };
      const pull = { model, answer: outgoing, isGone: false };
      outgoing.on('close', () => {
        pull.isGone = true;
      });
      outgoing.write('{"status":"pulling manifest"}\n');
      return box.pulls.push(pull);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ending.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return Object.assign(box, { port: (server.address() as AddressInfo).port });
}

const yamlOf = (ports: Readonly<Record<string, number>>, adminAddr = 'off') => `config: { adminAddr: "${adminAddr}" }
fleet:
  boxes:
${Object.entries(ports)
  .map(([name, port]) => `  - { url: "http://127.0.0.1:${port}", name: ${name} }`)
  .join('\n')}
`;

const fresh = 'a80c4f17acd55265feec403c7aef86be';
const stale = 'baf6a787fdffd633537aa2eb51cfd54c';

const processes = testedRuntimes().filter(({ name }) => name === 'node' || name === 'bun');

describe.each(processes)('$name', (runtime) => {
  /** A command that the test talks with while it runs. */
  const begin = async (args: readonly string[], yaml: string) => {
    const root = fileURLToPath(new URL('../..', import.meta.url));
    const program = await startProgram({
      program: programOf(runtime.name) ?? '',
      args: [`${root}src/index.ts`, ...args],
      cwd: root,
      env: { PATH: process.env.PATH ?? '', CORRAL_CONFIG: yaml, NO_COLOR: '1' },
    });
    ending.push(() => program.stop(0));
    const until = (text: string) =>
      program.until(text, 10_000, () => ((program.stdout() + program.stderr()).includes(text) ? true : undefined));
    return { program, until };
  };
  const threeBoxes = async () => {
    const desk = await pullingBox({ 'llama3.2:latest': fresh }, '2026-01-28T10:00:00Z');
    const attic = await pullingBox({ 'llama3.2:latest': stale }, '2025-09-01T08:00:00Z');
    const shed = await pullingBox({ 'llama3.2:latest': fresh }, '2026-01-28T10:00:00Z');
    return { desk, attic, shed, yaml: yamlOf({ desk: desk.port, attic: attic.port, shed: shed.port }) };
  };

  it('T16 A16: prints the plan of a sync, then applies it with progress while it runs', async () => {
    const { attic, yaml } = await threeBoxes();
    expect(await runtime.run({ args: ['fleet', 'sync', '--dry-run'], yaml })).toMatchObject({
      code: 0,
      stdout: syncPlan,
      stderr: '',
    });
    expect(attic.pulls).toEqual([]);

    const { program, until } = await begin(['fleet', 'sync'], yaml);
    await until('attic  llama3.2:latest  pulling manifest\n');
    const [pull] = attic.pulls;
    pull?.answer.write(
      '{"status":"pulling dde5aa3fc5ff","digest":"sha256:dde5aa3fc5ff","total":2000000000,"completed":1000000000}\n',
    );
    await until('attic  llama3.2:latest  pulling 50 % of 2.0 GB\n');
    attic.models = { 'llama3.2:latest': fresh };
    pull?.answer.end('{"status":"success"}\n');
    expect(await program.exited).toEqual({ code: 0, signal: null });
    expect(program.stdout()).toMatch(/attic {2}llama3\.2:latest {2}done after \d+ s\n$/);
  });

  it('Ctrl-C ends a pull with a word and lets go of the box', async () => {
    const { attic, yaml } = await threeBoxes();
    const { program, until } = await begin(['fleet', 'pull', 'mistral', '--box', 'attic'], yaml);
    await until('attic  mistral  pulling manifest\n');
    program.signal('SIGINT');
    expect(await program.exited).toEqual({ code: 130, signal: null });
    expect(program.stderr()).toBe('stopped; what was fetched stays on the boxes, and the same command goes on from there\n');
    await expect.poll(() => attic.pulls[0]?.isGone).toBe(true);
  });

  it('the doctor finds a box that is gone, and ends with 1', async () => {
    const box = await startFakeOllama({ models: ['llama3.2'] });
    ending.push(() => box.stop());
    const closed = await reserveClosedPort();
    ending.push(() => closed.release());
    const { code, stdout } = await runtime.run({ args: ['doctor'], yaml: yamlOf({ desk: box.port, attic: closed.port }) });
    expect(stdout).toMatch(
      /^CORRAL_CONFIG, 1 of 2 boxes serves\nok {4}desk {3}Ollama .*\nerror attic {2}attic refused the connection/,
    );
    expect(code).toBe(1);
  });

  it('asks the Corral that runs, loads on a box, and takes it out of service', async () => {
    const box = await startFakeOllama({ models: ['llama3.2'] });
    ending.push(() => box.stop());
    const yaml = yamlOf({ desk: box.port }, '127.0.0.1:0');
    const corral = await runtime.start({ yaml });
    ending.push(() => corral.stop(0));
    await corral.untilOutput(/admin on/);
    const admin = `--admin=${corral.adminUrl}`;
    const fleet = (...args: string[]) => runtime.run({ args: ['fleet', ...args], yaml });
    expect(await fleet('load', 'llama3.2', '--box', 'desk')).toMatchObject({ code: 0 });
    expect(box.resident).toEqual(['llama3.2:latest']);
    expect(await fleet('cordon', 'desk', admin)).toMatchObject({
      code: 0,
      stdout: 'desk is out of service: nothing under way\n',
    });
    const { code, stdout, stderr } = await fleet('ls', admin);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^desk .* up, out of service {2}0\.\S+ +1 /m);
    expect(await fleet('drain', 'nosuch', admin)).toMatchObject({
      code: 1,
      stderr: 'error: no box is called "nosuch"; there are: desk\n',
    });
  });
});
