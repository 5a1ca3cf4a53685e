/** Reloads under load: nothing is dropped, nothing of two plans is mixed, nothing piles up, what is counted goes on. */
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type RunningCorral, testedRuntimes } from '../support/runtimes/index.ts';

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

interface Upstream {
  readonly port: number;
  /** Streams that have begun and are not over. */
  readonly streams: Set<ServerResponse>;
}

/** `/stream` sends until it is told to end; everything else is answered at once. Both tell the plan that sent the request. */
async function openUpstream(): Promise<Upstream> {
  const streams = new Set<ServerResponse>();
  const server = createServer((incoming, outgoing) => {
    outgoing.setHeader('x-sent-by', incoming.headers['x-plan'] ?? 'none');
    if (incoming.url !== '/stream') {
      outgoing.end('whole');
      return;
    }
    outgoing.write('begun ');
    streams.add(outgoing);
  });
  const beat = setInterval(() => {
    for (const stream of streams) stream.write('. ');
  }, 100);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ending.push(() => {
    clearInterval(beat);
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, streams };
}

function plan(upstream: number, stamp: string, more = ''): string {
  return `config: { adminAddr: "127.0.0.1:0", logging: { filter: "false" } }
binds:
- port: 3000
  listeners:
  - routes:
    - policies:
        requestHeaderModifier: { set: { x-plan: "${stamp}" } }
        responseHeaderModifier: { set: { x-plan: "${stamp}" } }
${more}      backends:
      - host: 127.0.0.1:${upstream}
`;
}

/** A configuration in a file of its own, as editors and tools write it: whole, in the place of the one before. */
function configFile(text: string): { readonly path: string; write(text: string): void } {
  const folder = mkdtempSync(join(tmpdir(), 'corral-reload-'));
  ending.push(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'corral.yaml');
  const write = (next: string) => {
    writeFileSync(`${path}.new`, next);
    renameSync(`${path}.new`, path);
  };
  write(text);
  return { path, write };
}

function kept(corral: RunningCorral): RunningCorral {
  ending.push(() => corral.stop(0));
  return corral;
}

function countOf(corral: RunningCorral, pattern: RegExp): number {
  return corral.stderr().match(pattern)?.length ?? 0;
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const endsAt = performance.now() + 10_000;
  while (!holds()) {
    if (performance.now() > endsAt) throw new Error(`waited 10 s for ${what}`);
    await new Promise<void>((resolve) => setTimeout(resolve, 5));
  }
}

const reloaded = /^reloaded /gm;
const refused = /was not taken over/g;
const bad = ['binds: [}', 'bindz: []\n', 'binds:\n- port: 70000\n  listeners: []\n', ''];

function residentBytes({ pid }: RunningCorral): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

interface Told {
  readonly status: number;
  /** The plan that edited the request, and the one that edited the answer. */
  readonly stamps: readonly (string | null)[];
  readonly text: string;
}

async function ask(url: string): Promise<Told> {
  const response = await fetch(url);
  const stamps = [response.headers.get('x-sent-by'), response.headers.get('x-plan')];
  return { status: response.status, stamps, text: await response.text() };
}

const processes = testedRuntimes().filter(({ name }) => name !== 'workerd');

describe.each(processes)('$name', (runtime) => {
  it('200 streams and 1,000 requests across 20 reloads, good and bad: none dropped, none mixed', async () => {
    const { port, streams } = await openUpstream();
    const file = configFile(plan(port, 'p0'));
    const corral = kept(await runtime.start({ args: ['-f', file.path] }));
    const running: Promise<Told>[] = [];
    const quick: Promise<Told>[] = [];
    const newest: string[] = [];
    let stamp = 'p0';
    for (let round = 1; round <= 20; round++) {
      for (let count = 0; count < 10; count++) running.push(ask(`${corral.url}/stream`));
      for (let count = 0; count < 25; count++) quick.push(ask(`${corral.url}/quick`));
      const isBad = round % 3 === 0;
      const pattern = isBad ? refused : reloaded;
      const before = countOf(corral, pattern);
      file.write(isBad ? (bad[round % bad.length] ?? '') : plan(port, `p${round}`));
      // Requests come before, while and after the plan changes.
      const asking = (async () => {
        for (let count = 0; count < 25; count++) {
          quick.push(ask(`${corral.url}/quick`));
          await new Promise<void>((resolve) => setTimeout(resolve, 10));
        }
      })();
      await until(`reload ${round}`, () => countOf(corral, pattern) > before);
      if (!isBad) stamp = `p${round}`;
      newest.push(`${stamp} ${(await ask(`${corral.url}/quick`)).stamps.join(' ')}`);
      await asking;
    }
    await until('200 streams', () => streams.size === 200);
    for (const stream of streams) stream.end('ended');
    streams.clear();

    const streamed = await Promise.all(running);
    const answered = await Promise.all(quick);
    expect([streamed.length, answered.length]).toEqual([200, 1_000]);
    expect(new Set([...streamed, ...answered].map(({ status }) => status))).toEqual(new Set([200]));
    expect([...streamed, ...answered].filter(({ stamps: [sent, answer] }) => sent !== answer || sent === 'none')).toEqual([]);
    expect(streamed.filter(({ text }) => !/^begun (?:\. )*ended$/.test(text))).toEqual([]);
    expect(answered.filter(({ text }) => text !== 'whole')).toEqual([]);
    // A reload that was told of is in force.
    expect(newest.filter((line) => !/^(p\d+) \1 \1$/.test(line))).toEqual([]);
    // The streams of the first round ended under the first plan.
    expect(new Set(streamed.slice(0, 10).map(({ stamps }) => stamps[0]))).toEqual(new Set(['p0']));
    expect(corral.stderr()).not.toMatch(/internal error|left alone/);
  });

  it('grows no memory by reloading', async () => {
    const { port } = await openUpstream();
    const file = configFile(plan(port, 'p0'));
    const corral = kept(await runtime.start({ args: ['-f', file.path] }));
    const reloadTimes = async (times: number) => {
      for (let count = 0; count < times; count++) {
        const before = countOf(corral, reloaded);
        corral.signal('SIGHUP');
        await until('a reload', () => countOf(corral, reloaded) > before);
        await ask(`${corral.url}/quick`);
      }
    };
    await reloadTimes(60);
    const warm = residentBytes(corral);
    await reloadTimes(120);
    expect(residentBytes(corral) - warm).toBeLessThan(40 * 1024 * 1024);
  });

  it('goes on counting limits where it was', async () => {
    const { port } = await openUpstream();
    const limit = '        localRateLimit: [{ maxTokens: 4, tokensPerFill: 4, fillInterval: 1h, type: requests }]\n';
    const file = configFile(plan(port, 'p0', limit));
    const corral = kept(await runtime.start({ args: ['-f', file.path] }));
    for (let count = 0; count < 3; count++) expect((await ask(`${corral.url}/`)).status).toBe(200);
    file.write(plan(port, 'p1', limit));
    await until('the reload', () => countOf(corral, reloaded) === 1);
    expect(await ask(`${corral.url}/`)).toMatchObject({ status: 200, stamps: ['p1', 'p1'] });
    expect((await ask(`${corral.url}/`)).status).toBe(429);
  });

  it('says in readiness that a change was refused, and that it is mended', async () => {
    const { port } = await openUpstream();
    const adminPort = await freePort();
    const withAdmin = (stamp: string) => plan(port, stamp).replace('127.0.0.1:0', `localhost:${adminPort}`);
    const file = configFile(withAdmin('p0'));
    const corral = kept(await runtime.start({ args: ['-f', file.path] }));
    const readiness = async () => {
      const response = await fetch(`http://localhost:${adminPort}/healthz/ready`);
      return `${response.status} ${await response.text()}`;
    };
    expect(await readiness()).toBe('200 ready\n');
    file.write('bindz: []\n');
    await until('the refusal', () => countOf(corral, refused) === 1);
    expect(await readiness()).toMatch(
      /^200 ready\nconfiguration: the last change was refused .*\n {2}.*corral\.yaml:1:1 bindz: /,
    );
    file.write(withAdmin('p1'));
    await until('the reload', () => countOf(corral, reloaded) === 1);
    expect(await readiness()).toBe('200 ready\n');
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
