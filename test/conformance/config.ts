/** Configurations that cannot be used, over the command line (issue: "Configuration", "Bad input"): exit 1, nothing listens, the place and the mend. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect } from 'vitest';
import { listen } from '../support/fake-ollama/closed-port.ts';
import { ask, chat, herdOf, type Stage, until } from './stage.ts';

const noCommandLine = { workerd: 'a Worker has no command line' };

/** One backend, as lines that cases can break. */
const good = `config:
  adminAddr: "off"
binds:
- port: 3000
  listeners:
  - routes:
    - backends:
      - ai:
          name: ollama
          hostOverride: localhost:11434
          provider:
            openAI:
              model: llama3.2
`;

/** What is wrong → the file, and what the message must say: place, path, and what was expected. */
const broken: readonly [name: string, yaml: string, says: readonly RegExp[]][] = [
  ['a tab as indentation', good.replace('  adminAddr', '\tadminAddr'), [/corral\.yaml:2:1/, /tab/i]],
  ['an unclosed quote', good.replace('"off"', '"off'), [/corral\.yaml:\d+:\d+/]],
  ['an unclosed bracket', `${good}fleet: { loadTimeout: 5m\n`, [/corral\.yaml:\d+:\d+/]],
  ['a list as the root', '- a\n- b\n', [/corral\.yaml:1:1/]],
  ['a text as the root', 'hello\n', [/corral\.yaml:1:1/]],
  ['an empty file', '', [/corral\.yaml:1:1/, /empty/]],
  ['comments only', '# nothing\n', [/corral\.yaml:1:1/]],
  ['null', 'null\n', [/corral\.yaml:1:1/]],
  ['two documents', `${good}---\n${good}`, [/corral\.yaml:\d+:\d+/, /document/]],
  ['a key twice', good.replace('  listeners:', '  port: 3001\n  listeners:'), [/corral\.yaml:5:3/, /port/]],
  [
    'an unknown key',
    good.replace('    - backends:', '    - backendz:'),
    [/corral\.yaml:7:7/, /routes\[0\]\.backendz/, /did you mean "backends"/],
  ],
  ['an unknown key at the top', `${good}bindz: []\n`, [/corral\.yaml:14:1/, /did you mean "binds"/]],
  ['a wrong type', good.replace('port: 3000', 'port: "three"'), [/corral\.yaml:4:9/, /binds\[0\]\.port/]],
  ['a port out of range', good.replace('port: 3000', 'port: 70000'), [/corral\.yaml:4:9/, /binds\[0\]\.port/]],
  ['a duration without unit', `${good}fleet:\n  loadTimeout: 5\n`, [/corral\.yaml:15:16/, /fleet\.loadTimeout/]],
  ['an unknown provider', good.replace('openAI:', 'openAy:'), [/corral\.yaml:12:13/, /did you mean "openAI"/]],
  [
    'a regex that is none',
    good.replace('    - backends:', '    - matches:\n      - path:\n          regex: "("\n      backends:'),
    [/corral\.yaml:9:18/, /regex/],
  ],
  [
    'a reference to nothing',
    good.replace(/ {4}- backends:[\s\S]*$/, '    - backends:\n      - backend: nowhere\n'),
    [/corral\.yaml:8:\d+/, /nowhere/],
  ],
  ['a variable without value', good.replace('llama3.2', '$NO_SUCH_VARIABLE'), [/corral\.yaml:13:22/, /NO_SUCH_VARIABLE/]],
  [
    'a key of agentgateway that is not supported',
    good.replace('    - backends:', '    - policies:\n        extProc: { host: "localhost:1" }\n      backends:'),
    [/corral\.yaml:8:9/, /extProc/],
  ],
  [
    'a policy whose limit can never be filled',
    good.replace(
      '    - backends:',
      '    - policies:\n        localRateLimit: [{ maxTokens: 1, tokensPerFill: 2, fillInterval: 1s }]\n      backends:',
    ),
    [/corral\.yaml:8:\d+/, /localRateLimit.*tokensPerFill/],
  ],
  [
    'an alias bomb',
    `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n`,
    [/corral\.yaml:\d+:\d+/],
  ],
];

export function config(stage: Stage): void {
  describe('configuration', () => {
    const folder = mkdtempSync(join(tmpdir(), 'corral-conformance-'));
    afterAll(() => rmSync(folder, { recursive: true, force: true }));
    let serial = 0;
    const file = (text: string): string => {
      const inside = mkdtempSync(join(folder, `${serial++}-`));
      writeFileSync(join(inside, 'corral.yaml'), text);
      return join(inside, 'corral.yaml');
    };
    const run = (...args: string[]) => stage.run({ args });

    stage.it(
      'every kind of broken file: exit 1, nothing listens, file:line:column, path and the nearest key',
      async () => {
        // Two at a time: a start costs a second of a busy core.
        const queue = [...broken];
        const findings: unknown[] = [];
        const work = async () => {
          for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
            const [name, yaml, says] = next;
            const ended = await run('-f', file(yaml));
            const missing = says.filter((pattern) => !pattern.test(ended.stderr));
            if (ended.code !== 1 || missing.length > 0 || /listening/.test(ended.stdout + ended.stderr)) {
              findings.push({ name, code: ended.code, missing: missing.map(String), stderr: ended.stderr.slice(0, 600) });
            }
          }
        };
        await Promise.all([work(), work()]);
        expect(findings).toEqual([]);
      },
      { ...noCommandLine, node: 'same code as on Bun; three of them below', deno: 'same code as on Bun; three of them below' },
      120_000,
    );

    stage.it(
      'three broken files',
      async () => {
        for (const [name, yaml, says] of broken.filter(([each]) =>
          ['an unknown key', 'an unclosed quote', 'a wrong type'].includes(each),
        )) {
          const ended = await run('-f', file(yaml));
          expect([name, ended.code]).toEqual([name, 1]);
          for (const pattern of says) expect(ended.stderr).toMatch(pattern);
        }
      },
      { ...noCommandLine, bun: 'all of them above' },
    );

    stage.it(
      'all errors of a file come at once',
      async () => {
        const ended = await run('-f', file(good.replace('port: 3000', 'port: "x"').replace('backends:', 'backendz:')));
        expect(ended.code).toBe(1);
        expect(ended.stderr).toMatch(/port/);
        expect(ended.stderr).toMatch(/backendz/);
        expect(ended.stderr).toMatch(/2 errors in .*corral\.yaml; nothing was started/);
      },
      noCommandLine,
    );

    stage.it(
      'a file that is not there, a directory: exit 1 and the reason',
      async () => {
        const absent = await run('-f', join(folder, 'absent.yaml'));
        expect([absent.code, absent.stderr]).toEqual([
          1,
          expect.stringMatching(/absent\.yaml.*cannot be read: there is no such file/),
        ]);
        const directory = await run('-f', folder);
        expect([directory.code, directory.stderr]).toEqual([1, expect.stringMatching(/it is a directory/)]);
      },
      noCommandLine,
    );

    stage.it(
      '--validate-only: valid → 0 and a word; invalid → 1',
      async () => {
        const valid = await run('-f', file(good), '--validate-only');
        expect([valid.code, valid.stdout]).toEqual([0, expect.stringMatching(/^Configuration is valid!\n/)]);
        const invalid = await run('-f', file('binds: 3\n'), '--validate-only');
        expect([invalid.code, invalid.stderr]).toEqual([1, expect.stringMatching(/corral\.yaml:1:8 binds/)]);
      },
      noCommandLine,
    );

    stage.it(
      '-V, --help; unknown flags and stray words: exit 2 and the nearest',
      async () => {
        const version = await run('-V');
        expect([version.code, version.stdout]).toEqual([0, expect.stringMatching(/^corral \d+\.\d+\.\d+\n$/)]);
        const help = await run('--help');
        expect([help.code, help.stdout]).toEqual([0, expect.stringMatching(/--validate-only/)]);
        const unknown = await run('--validate');
        expect([unknown.code, unknown.stderr]).toEqual([2, expect.stringMatching(/unknown flag --validate/)]);
        const near = await run('--validateonly');
        expect([near.code, near.stderr]).toEqual([2, expect.stringMatching(/did you mean --validate-only/)]);
        const stray = await run('corral.yaml');
        expect([stray.code, stray.stderr]).toEqual([2, expect.stringMatching(/-f corral\.yaml/)]);
        const without = await run('-f');
        expect([without.code, without.stderr]).toEqual([2, expect.stringMatching(/-f/)]);
      },
      noCommandLine,
    );

    stage.it(
      '-c inline, -f - from standard input, CORRAL_CONFIG as a path',
      async () => {
        const inline = await stage.run({ args: ['-c', good, '--validate-only'] });
        expect(inline.code).toBe(0);
        const piped = await stage.run({ args: ['-f', '-', '--validate-only'], stdin: good.replace('binds', 'bindz') });
        expect([piped.code, piped.stderr]).toEqual([1, expect.stringMatching(/<stdin>:3:1/)]);
        const path = await stage.run({ env: { CORRAL_CONFIG: file('binds: 3\n') }, args: ['--validate-only'] });
        expect([path.code, path.stderr]).toEqual([1, expect.stringMatching(/corral\.yaml:1:8/)]);
        const both = await stage.run({ args: ['-f', 'x', '-c', 'y'] });
        expect(both.code).not.toBe(0);
      },
      noCommandLine,
    );

    stage.it(
      './corral.yaml is taken when nothing is named',
      async () => {
        const path = file('binds: 3\n');
        const ended = await stage.run({ cwd: join(path, '..'), args: ['--validate-only'] });
        expect([ended.code, ended.stderr]).toEqual([1, expect.stringMatching(/corral\.yaml:1:8/)]);
      },
      { ...noCommandLine, deno: 'Deno looks for package.json in the working directory' },
    );

    stage.it(
      'port in use: exit 1 and the mend',
      async () => {
        const server = createServer();
        const port = await listen(server, 0);
        try {
          const ended = await stage.run({ yaml: good, env: { CORRAL_PORT: String(port) } });
          expect([ended.code, ended.stderr]).toEqual([
            1,
            expect.stringMatching(new RegExp(`port ${port} is in use.*lsof -i :${port}.*--port ${port + 1}`, 's')),
          ]);
        } finally {
          server.close();
        }
      },
      { workerd: 'no ports of its own', deno: 'deno serve opens the port' },
    );

    stage.it(
      'the admin address in use: a warning, and Corral serves; named in the file: exit 1',
      async () => {
        const server = createServer();
        const port = await listen(server, 0);
        try {
          const ended = await stage.run({ yaml: good.replace('"off"', `127.0.0.1:${port}`) });
          expect([ended.code, ended.stderr]).toEqual([
            1,
            expect.stringMatching(new RegExp(`the admin address: port ${port} is in use`)),
          ]);
        } finally {
          server.close();
        }
      },
      { workerd: 'no ports of its own' },
    );

    stage.it(
      'a Worker with a broken configuration answers 503 in words, without its details',
      async () => {
        const corral = await stage.corral({ yaml: good.replace('backends:', 'backendz:') });
        const reply = await chat(corral.url);
        expect(reply.status).toBe(503);
        expect(reply.json().error.message).toMatch(/configuration has 1 error/);
        expect(reply.text).not.toContain('11434');
        for (const env of [{ CORRAL_PORT: '3000' }, { CORRAL_HOST: '0.0.0.0' }]) {
          const asking = await stage.corral({ yaml: good, env });
          expect((await chat(asking.url)).status).toBe(503);
        }
      },
      { node: 'it does not start', bun: 'it does not start', deno: 'it does not start' },
    );

    stage.it('readiness: 200 when a box answers, 503 with the reason when none does (D9)', async () => {
      const box = await stage.box();
      const port = await stage.closedPort();
      await port.release();
      const at = stage.runtime === 'workerd' ? undefined : `127.0.0.1:${port.port}`;
      const corral = await stage.corral({
        yaml: herdOf([{ name: 'desk', at: box.port }], { config: { ...(at === undefined ? {} : { adminAddr: at }) } }),
        env: { CORRAL_ADMIN_TOKEN: 'admin-token' },
      });
      const url = await until('the admin address', () => corral.adminUrl);
      const headers = { authorization: 'Bearer admin-token' };
      await until('ready', async () => (await ask(`${url}/healthz/ready`, { headers })).status === 200);
      expect((await ask(`${url}/healthz/ready`, { headers })).text).toBe('ready\n');
      const evil = await ask(`${url}/healthz/ready`, { headers: { ...headers, origin: 'https://evil.example' } });
      expect(evil.status).toBe(403);
      if (stage.runtime === 'workerd') expect((await ask(`${url}/healthz/ready`)).status).toBe(401);
      await box.refuse();
      await chat(corral.url);
      const gone = await until('not ready', async () => {
        const reply = await ask(`${url}/healthz/ready`, { headers });
        return reply.status === 503 && reply;
      });
      expect(gone.text).toMatch(/desk/);
    });

    stage.it(
      'the start says: addresses, each box with version and models or the mend, one curl that works',
      async () => {
        const box = await stage.box({ models: ['llama3.2', 'mistral'] });
        const closed = await stage.closedPort();
        const corral = await stage.corral({
          yaml: herdOf([
            { name: 'desk', at: box.port },
            { name: 'basement', at: closed.port },
          ]),
        });
        const text = await corral.untilOutput(/curl /);
        expect(text).toMatch(/listening on http:\/\/127\.0\.0\.1:\d+/);
        expect(text).toMatch(
          /box desk +http:\/\/127\.0\.0\.1:\d+ +Ollama 0\.99\.0-src, 2 models: llama3\.2:latest, mistral:latest/,
        );
        expect(text).toMatch(/box basement.*refused the connection.*ollama serve/);
        expect(text).toMatch(/ready in \d+ ms/);
        const curl = /curl -N (\S+) -H 'content-type: application\/json' -d '(.*)'/.exec(text);
        const reply = await ask(curl?.[1] ?? '', { body: curl?.[2] ?? '' });
        expect([reply.status, reply.text.endsWith('data: [DONE]\n\n')]).toEqual([200, true]);
      },
      { workerd: 'a Worker starts with its first request and says nothing' },
    );

    stage.it(
      'told nothing: OLLAMA_HOST is the box; the demo answers only as long as no box does, and only to its name (D17)',
      async () => {
        const box = await stage.box();
        await box.refuse();
        // Deno has to stand in the project's folder; there is no corral.yaml there either.
        const cwd = stage.runtime === 'deno' ? undefined : mkdtempSync(join(folder, 'empty-'));
        const at = cwd === undefined ? {} : { cwd };
        const corral = await stage.corral({ ...at, env: { OLLAMA_HOST: `127.0.0.1:${box.port}` } });
        const demo = await until('the demo', async () => {
          const reply = await chat(corral.url, { model: 'demo', stream: true });
          return reply.status === 200 && reply;
        });
        expect(demo.headers.get('x-corral-demo')).toBe('true');
        expect(demo.text.endsWith('data: [DONE]\n\n')).toBe(true);
        expect((await chat(corral.url, { model: 'llama3.2' })).status).toBe(503);
        expect((await ask(`${corral.url}/v1/models`)).text).toContain('"demo"');
        await box.listen();
        await until('the box', async () => (await chat(corral.url, { model: 'llama3.2' })).status === 200, 20_000);
        expect((await chat(corral.url, { model: 'demo' })).status).toBe(404);
        expect((await ask(`${corral.url}/v1/models`)).text).not.toContain('"demo"');
        const plain = await stage.corral({ ...at, args: ['--no-demo'], env: { OLLAMA_HOST: '127.0.0.1:1' } });
        expect((await chat(plain.url, { model: 'demo' })).status).toBe(503);
      },
      { workerd: 'OLLAMA_HOST is a variable of its deployment' },
    );
  });
}
