/** Each artefact of `npm run build` starts, away from the project, and answers. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { buildTarget, type Target } from '../../scripts/build.ts';
import { programOf, testedRuntimes } from '../support/runtimes/index.ts';
import { startProgram, untilAccepting } from '../support/runtimes/process.ts';
import { writeWorkerdConfig } from '../support/runtimes/worker-bundle.ts';

// Told nothing but where no box is: the configuration inside the artefact serves, and its demo box answers.
const nowhere = '127.0.0.1:1';

const folder = mkdtempSync(join(tmpdir(), 'corral-dist-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const targetOf = { node: 'node', bun: 'bun', deno: 'deno', workerd: 'workers' } as const satisfies Record<string, Target>;

describe.each(testedRuntimes())('the artefact for $name', ({ name }) => {
  it('answers', async () => {
    const home = join(folder, name);
    mkdirSync(home);
    const artefact = join(home, name === 'workerd' ? 'worker.js' : 'corral.js');
    await buildTarget(targetOf[name], artefact);
    const root = join(import.meta.dirname, '../..');
    const args = {
      node: () => [artefact, '--port', '0'],
      bun: () => ['run', artefact, '--port', '0'],
      deno: () => ['serve', '-A', '--host', '127.0.0.1', '--port', '0', artefact],
      workerd: () => [
        'serve',
        '--control-fd=3',
        writeWorkerdConfig(root, { folder: home }, { bindings: { OLLAMA_HOST: nowhere, CORRAL_ALLOW_ANONYMOUS: 'true' } }),
      ],
    }[name]();
    const program = await startProgram({
      program: programOf(name) ?? name,
      args,
      cwd: home,
      env: { PATH: process.env.PATH ?? '', HOME: home, OLLAMA_HOST: nowhere, NO_COLOR: '1', DENO_NO_UPDATE_CHECK: '1' },
      controlPipe: name === 'workerd',
    });
    try {
      const url = await program.until('it listens', 15_000, () =>
        name === 'workerd'
          ? /"socket":"http","port":(\d+)/
              .exec(program.control())
              ?.slice(1)
              .map((port) => `http://127.0.0.1:${port}`)[0]
          : /^listening on (http:\/\/\S+)$/m.exec(program.stdout() + program.stderr())?.[1],
      );
      await untilAccepting(url, 15_000);
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'demo', messages: [{ role: 'user', content: 'Hello!' }] }),
      });
      expect({ status: response.status, demo: response.headers.get('x-corral-demo') }).toEqual({ status: 200, demo: 'true' });
      expect(await response.json()).toMatchObject({ object: 'chat.completion', model: 'demo' });
    } finally {
      await program.stop();
    }
  });
});
