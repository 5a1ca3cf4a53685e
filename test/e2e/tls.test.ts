/** Ports that speak TLS, and certificates that are renewed while streams go on. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { type RunningCorral, testedRuntimes } from '../support/runtimes/index.ts';

const ending: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url));

async function upstream(): Promise<{ port: number; finish(): void }> {
  let finish: () => void = () => undefined;
  const server = createServer((incoming, outgoing) => {
    if (incoming.url !== '/stream') return outgoing.end(`host ${incoming.headers.host}`);
    outgoing.write('begun ');
    finish = () => outgoing.end('ended');
    return undefined;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ending.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, finish: () => finish() };
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'corral-tls-'));
  ending.push(() => rmSync(path, { recursive: true, force: true }));
  copyFileSync(fixture('one.pem'), join(path, 'cert.pem'));
  copyFileSync(fixture('one.key'), join(path, 'key.pem'));
  return path;
}

function config(path: string, upstreamPort: number, port: number, more = ''): string {
  return `config: { adminAddr: "off" }
binds:
- port: ${port}
  listeners:
  - protocol: HTTPS
    tls: { cert: ${path}/cert.pem, key: ${path}/key.pem${more} }
    routes:
    - matches: [{ path: { exact: /old } }]
      policies: { requestRedirect: { path: { full: /new }, status: 302 } }
    - backends: [{ host: 127.0.0.1:${upstreamPort} }]
`;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

interface Reply {
  readonly status: number | undefined;
  readonly location: string | undefined;
  readonly text: string;
}

function ask(port: number, path: string, more: object = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port,
      path,
      rejectUnauthorized: false,
      agent: false,
      headers: { host: `localhost:${port}` },
    };
    const asking = request({ ...options, ...more }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode, location: answer.headers.location, text }));
      answer.on('error', reject);
    });
    asking.on('error', reject);
    asking.end();
  });
}

function nameShownAt(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.once('error', (error) => resolve(String((error as { code?: string }).code)));
  });
}

async function until(what: string, holds: () => boolean): Promise<void> {
  const endsAt = performance.now() + 10_000;
  while (!holds()) {
    if (performance.now() > endsAt) throw new Error(`waited 10 s for ${what}`);
    await new Promise<void>((resolve) => setTimeout(resolve, 5));
  }
}

const processes = testedRuntimes().filter(({ name }) => name !== 'workerd');

describe.each(processes)('$name', (runtime) => {
  /** On Deno the port of `deno serve` stays plain, and this one is opened beside it. */
  async function start(more = ''): Promise<{ corral: RunningCorral; port: number; path: string; box: { finish(): void } }> {
    const path = folder();
    const box = await upstream();
    const port = await freePort();
    writeFileSync(join(path, 'corral.yaml'), config(path, box.port, port, more));
    const env = runtime.name === 'deno' ? {} : { CORRAL_PORT: String(port) };
    const corral = await runtime.start({ args: ['-f', join(path, 'corral.yaml')], env });
    ending.push(() => corral.stop(0));
    return { corral, port, path, box };
  }

  it('answers over TLS, and policies see https', async () => {
    const { corral, port } = await start();
    expect(corral.urls).toContain(`https://127.0.0.1:${port}`);
    expect(await ask(port, '/')).toMatchObject({ status: 200, text: expect.stringContaining('host ') });
    expect((await ask(port, '/old')).location).toBe(`https://localhost:${port}/new`);
  });

  it('renews its certificate while a stream goes on', async () => {
    const { corral, port, path, box } = await start();
    expect(await nameShownAt(port)).toBe('one');
    const streaming = ask(port, '/stream');
    await new Promise<void>((resolve) => setTimeout(resolve, 200));
    copyFileSync(fixture('two.pem'), join(path, 'cert.pem'));
    copyFileSync(fixture('two.key'), join(path, 'key.pem'));
    await until('the reload', () => /^reloaded .*certificates/m.test(corral.stderr()));
    expect(await nameShownAt(port)).toBe('two');
    // A key that does not fit changes nothing.
    copyFileSync(fixture('one.key'), join(path, 'key.pem'));
    await until('the refusal', () => /belongs to another certificate/.test(corral.stderr()));
    expect(await nameShownAt(port)).toBe('two');
    box.finish();
    expect((await streaming).text).toBe('begun ended');
  });

  it('asks clients for certificates, or says that it cannot', async () => {
    const root = `, root: ${fixture('client.pem')}`;
    if (runtime.name === 'deno') {
      const path = folder();
      writeFileSync(join(path, 'corral.yaml'), config(path, 1, 1, root));
      const { code, stderr } = await runtime.run({ args: ['-f', join(path, 'corral.yaml')] });
      expect([code, stderr]).toEqual([1, expect.stringContaining('Deno cannot ask clients for certificates')]);
      return;
    }
    const { port } = await start(root);
    await expect(ask(port, '/')).rejects.toThrow();
    const shown = { cert: readFileSync(fixture('client.pem')), key: readFileSync(fixture('client.key')) };
    expect(await ask(port, '/', shown)).toMatchObject({ status: 200 });
  });
});
