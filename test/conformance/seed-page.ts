/** Every section of the Ollama page (docs of agentgateway, "Ollama"): the configurations letter by letter but for ports, and the curls. */
import { beforeAll, describe, expect } from 'vitest';
import type { FakeOllama } from '../support/fake-ollama/index.ts';
import type { RunningCorral } from '../support/runtimes/index.ts';
import { ask, chat, errorOf, hello, herdOf, isPath, type Stage, until, untilListed } from './stage.ts';

/** "Basic configuration". */
const basic = `# yaml-language-server: $schema=https://agentgateway.dev/schema/config
binds:
- port: 3000
  listeners:
  - routes:
    - policies:
        urlRewrite:
          authority:
            full: localhost:11434
      backends:
      - ai:
          name: ollama
          hostOverride: localhost:11434
          provider:
            openAI:
              model: llama3.2  # Default model
`;

/** "Multiple Ollama instances". */
const multiple = `binds:
- port: 3000
  listeners:
  - routes:
    # Route to local Ollama
    - policies:
        urlRewrite:
          authority:
            full: localhost:11434
      backends:
      - ai:
          name: ollama-local
          hostOverride: localhost:11434
          provider:
            openAI:
              model: llama3.2

    # Route to remote Ollama instance
    - policies:
        urlRewrite:
          authority:
            full: 192.168.1.100:11434
      backends:
      - ai:
          name: ollama-remote
          hostOverride: 192.168.1.100:11434
          provider:
            openAI:
              model: mistral
`;

/** "Custom port". */
const customPort = `binds:
- port: 3000
  listeners:
  - routes:
    - policies:
        urlRewrite:
          authority:
            full: localhost:8080
      backends:
      - ai:
          name: ollama
          hostOverride: localhost:8080
          provider:
            openAI:
              model: llama3.2
`;

/** "Configure for embeddings". */
const embeddings = `binds:
- port: 3000
  listeners:
  - routes:
    - policies:
        urlRewrite:
          authority:
            full: localhost:11434
      backends:
      - ai:
          name: ollama-embeddings
          hostOverride: localhost:11434
          provider:
            openAI:
              model: nomic-embed-text
`;

const embedder = { name: 'nomic-embed-text', capabilities: ['embedding'] };

export function seedPage(stage: Stage): void {
  describe('seed page', () => {
    describe('basic configuration', () => {
      let box: FakeOllama;
      let corral: RunningCorral;
      beforeAll(async () => {
        box = await stage.box({ models: ['llama3.2', 'mistral', embedder] });
        corral = await stage.corral({ yaml: basic.replaceAll('localhost:11434', `localhost:${box.port}`) });
      });

      stage.it('runs as it is: the curl of the page gets an answer', async () => {
        const reply = await ask(`${corral.url}/v1/chat/completions`, {
          headers: { 'content-type': 'application/json' },
          body: `{
    "model": "llama3.2",
    "messages": [
      {
        "role": "user",
        "content": "Hello! Tell me about Ollama in one sentence."
      }
    ]
  }`,
        });
        expect(reply.status).toBe(200);
        expect(reply.json()).toMatchObject({
          object: 'chat.completion',
          model: 'llama3.2',
          choices: [{ message: { role: 'assistant', content: 'was very clever. He was very clever. He was very' } }],
        });
        expect((await box.nextRequest(isPath('/v1/chat/completions'))).header('host')).toBe(`localhost:${box.port}`);
      });

      stage.it('the request overrides the default model, and without a model the default serves', async () => {
        const named = await chat(corral.url, { model: 'mistral' });
        expect(named.json().model).toBe('mistral');
        const unnamed = await chat(corral.url, { model: undefined });
        expect(unnamed.json().model).toBe('llama3.2');
      });

      stage.it('the models that are pulled are listed', async () => {
        await untilListed(corral.url, ['llama3.2:latest', 'mistral:latest', 'nomic-embed-text:latest']);
        const ids = (await ask(`${corral.url}/v1/models`)).json().data.map(({ id }: { id: string }) => id);
        expect(ids.toSorted()).toEqual(['llama3.2:latest', 'mistral:latest', 'nomic-embed-text:latest']);
      });

      stage.it('model parameters reach the box letter by letter', async () => {
        const body = `{
    "model": "llama3.2",
    "messages": [{"role": "user", "content": "Write a poem"}],
    "temperature": 0.7,
    "max_tokens": 500,
    "top_p": 0.9,
    "seed": 12345678901234567890, "frequency_penalty": 1.0, "user": "\\u00fc"
  }`;
        const reply = await ask(`${corral.url}/v1/chat/completions`, { body });
        expect(box.requests.at(-1)?.body).toBe(body);
        expect(reply.status).toBe(200);
      });
    });

    stage.it('without a model in the configuration clients must name one: 400 in the shape of each protocol', async () => {
      const box = await stage.box();
      const corral = await stage.corral({ yaml: herdOf([{ name: 'ollama', at: box.port }]) });
      const openai = await chat(corral.url, { model: undefined });
      expect(openai.status).toBe(400);
      expect(openai.json()).toMatchObject({ error: { message: expect.stringMatching(/model/), type: 'invalid_request_error' } });
      for (const path of ['/v1/completions', '/v1/embeddings', '/v1/responses']) {
        const reply = await ask(corral.url + path, { body: { prompt: 'x', input: 'x' } });
        expect([path, reply.status, typeof reply.json().error.message]).toEqual([path, 400, 'string']);
      }
      const anthropic = await ask(`${corral.url}/v1/messages`, { body: { max_tokens: 5, messages: hello } });
      expect(anthropic.status).toBe(400);
      expect(anthropic.json()).toMatchObject({ type: 'error', error: { type: 'invalid_request_error' } });
      for (const path of ['/api/chat', '/api/generate', '/api/embed', '/api/embeddings', '/api/show']) {
        const reply = await ask(corral.url + path, { body: { messages: hello, prompt: 'x', input: 'x' } });
        expect([path, reply.status, typeof reply.json().error]).toEqual([path, 400, 'string']);
      }
      expect((await chat(corral.url, { model: '' })).status).toBe(400);
      expect((await chat(corral.url, { model: null })).status).toBe(400);
    });

    describe('multiple Ollama instances', () => {
      let local: FakeOllama;
      let remote: FakeOllama;
      let corral: RunningCorral;
      beforeAll(async () => {
        local = await stage.box({ models: ['llama3.2', 'shared'] });
        remote = await stage.box({ models: ['mistral', 'shared'] });
        corral = await stage.corral({
          yaml: multiple
            .replaceAll('localhost:11434', `localhost:${local.port}`)
            .replaceAll('192.168.1.100:11434', `127.0.0.1:${remote.port}`),
        });
        await untilListed(corral.url, ['llama3.2:latest', 'mistral:latest', 'shared:latest']);
      });

      stage.it('the model picks the instance that has it; without one the first serves', async () => {
        expect((await chat(corral.url, { model: 'llama3.2' })).status).toBe(200);
        expect((await local.nextRequest(isPath('/v1/chat/completions'))).header('host')).toBe(`localhost:${local.port}`);
        expect((await chat(corral.url, { model: 'mistral' })).status).toBe(200);
        expect((await remote.nextRequest(isPath('/v1/chat/completions'))).header('host')).toBe(`127.0.0.1:${remote.port}`);
        expect((await chat(corral.url, { model: undefined })).json().model).toBe('llama3.2');
        await local.nextRequest(isPath('/v1/chat/completions'));
      });

      stage.it('each list is the union, each model once', async () => {
        const ids = (await ask(`${corral.url}/v1/models`)).json().data.map(({ id }: { id: string }) => id);
        expect(ids.toSorted()).toEqual(['llama3.2:latest', 'mistral:latest', 'shared:latest']);
      });

      stage.it('one instance goes, the other serves what it has: in both directions', async () => {
        await local.refuse();
        expect((await chat(corral.url, { model: 'shared' })).status).toBe(200);
        await remote.nextRequest((request) => request.body.includes('shared'));
        await local.listen();
        await remote.refuse();
        await until(
          'the first instance is asked again',
          async () => (await chat(corral.url, { model: 'shared' })).status === 200,
        );
        await local.nextRequest((request) => request.body.includes('shared'));
        const gone = await chat(corral.url, { model: 'mistral' });
        expect(gone.status).toBe(503);
        expect(errorOf(gone)).toMatch(/ollama-remote refused the connection/);
        await remote.listen();
        await until(
          'the second instance is asked again',
          async () => (await chat(corral.url, { model: 'mistral' })).status === 200,
        );
      });
    });

    stage.it('custom port', async () => {
      const box = await stage.box();
      const corral = await stage.corral({ yaml: customPort.replaceAll('localhost:8080', `localhost:${box.port}`) });
      expect((await chat(corral.url)).status).toBe(200);
      expect((await box.nextRequest(isPath('/v1/chat/completions'))).header('host')).toBe(`localhost:${box.port}`);
    });

    stage.it('embeddings: the curl of the page, and the default model', async () => {
      const box = await stage.box({ models: [embedder] });
      const corral = await stage.corral({ yaml: embeddings.replaceAll('localhost:11434', `localhost:${box.port}`) });
      const input = 'The quick brown fox jumps over the lazy dog';
      for (const body of [{ model: 'nomic-embed-text', input }, { input }]) {
        const reply = await ask(`${corral.url}/v1/embeddings`, { body });
        expect(reply.status).toBe(200);
        expect(reply.json()).toMatchObject({
          object: 'list',
          model: 'nomic-embed-text',
          data: [{ object: 'embedding', index: 0 }],
        });
        expect(reply.json().data[0].embedding.length).toBeGreaterThan(1);
        expect((await box.nextRequest(isPath('/v1/embeddings'))).json()).toEqual({ model: 'nomic-embed-text', input });
      }
    });

    describe('troubleshooting', () => {
      stage.it('connection refused: is Ollama running, on which port, how to start it', async () => {
        const closed = await stage.closedPort();
        const corral = await stage.corral({
          yaml: herdOf([{ name: 'basement', at: `localhost:${closed.port}`, model: 'llama3.2' }]),
        });
        for (const stream of [false, true]) {
          const reply = await chat(corral.url, { stream });
          expect(reply.status).toBe(503);
          expect(errorOf(reply)).toMatch(
            /^basement refused the connection: Ollama is not running there, or not bound to port \d+/,
          );
          expect(errorOf(reply)).toContain(`port ${closed.port}`);
          expect(errorOf(reply)).toMatch(/ollama serve/);
          expect(errorOf(reply)).toContain(`lsof -i :${closed.port}`);
          expect(reply.text).not.toContain('localhost:');
        }
        const native = await ask(`${corral.url}/api/chat`, { body: { model: 'llama3.2', messages: hello } });
        expect(native.status).toBe(503);
        expect(native.json().error).toMatch(/^basement refused/);
        const anthropic = await ask(`${corral.url}/v1/messages`, { body: { model: 'llama3.2', max_tokens: 5, messages: hello } });
        expect(anthropic.json()).toMatchObject({ type: 'error', error: { message: expect.stringMatching(/^basement refused/) } });
      });

      stage.it('model not found: the models that are there, the nearest name, ollama pull', async () => {
        const box = await stage.box({ models: ['llama3.2', 'mistral:7b'] });
        const corral = await stage.corral({ yaml: herdOf([{ name: 'basement', at: box.port }]) });
        await untilListed(corral.url, ['mistral:7b']);
        const reply = await chat(corral.url, { model: 'mistrl:7b' });
        expect(reply.status).toBe(404);
        expect(errorOf(reply)).toMatch(/model 'mistrl:7b' not found/);
        expect(errorOf(reply)).toMatch(/llama3\.2/);
        expect(errorOf(reply)).toMatch(/Did you mean mistral:7b\?/);
        expect(errorOf(reply)).toMatch(/`ollama pull mistrl:7b`/);
        expect(reply.json().error.type).toBe('not_found_error');
        const native = await ask(`${corral.url}/api/generate`, { body: { model: 'mistrl:7b', prompt: 'x' } });
        expect(native.status).toBe(404);
        expect(native.json().error).toMatch(/Did you mean mistral:7b/);
      });

      stage.it(
        'slow: a warning header and log line when the model runs partly on the CPU, with the smaller variant',
        async () => {
          const box = await stage.box({
            models: [
              { name: 'llama3.2:70b', sizeBytes: 40e9, vramBytes: 10e9, resident: true },
              { name: 'llama3.2:3b', sizeBytes: 2e9 },
            ],
          });
          const corral = await stage.corral({ yaml: herdOf([{ name: 'basement', at: box.port }]) });
          await until('the residency is known', async () => {
            const reply = await chat(corral.url, { model: 'llama3.2:70b' });
            expect(reply.status).toBe(200);
            const warning = reply.headers.get('x-corral-warning') ?? '';
            return /slow: llama3\.2:70b runs \d+% on the CPU of basement; llama3\.2:3b is smaller/.test(warning);
          });
          expect((await chat(corral.url, { model: 'llama3.2:3b' })).headers.get('x-corral-warning')).toBeNull();
        },
      );

      stage.it("out of memory: Ollama's message and the smaller variants that the box has", async () => {
        const box = await stage.box({
          models: [
            { name: 'llama3.2:70b', sizeBytes: 40e9 },
            { name: 'llama3.2:3b', sizeBytes: 2e9 },
          ],
          faults: { outOfMemory: true },
        });
        const corral = await stage.corral({ yaml: herdOf([{ name: 'basement', at: box.port }]) });
        await untilListed(corral.url, ['llama3.2:3b']);
        const reply = await chat(corral.url, { model: 'llama3.2:70b', stream: true });
        expect(reply.status).toBe(500);
        expect(errorOf(reply)).toMatch(/model requires more system memory \(5\.3 GiB\) than is available \(3\.9 GiB\)/);
        expect(errorOf(reply)).toMatch(/llama3\.2:3b/);
      });

      stage.it('Host or Origin refused by the box: the setting', async () => {
        const box = await stage.box({ faults: { foreignHost: true } });
        const corral = await stage.corral({ yaml: herdOf([{ name: 'basement', at: box.port }]) });
        const reply = await chat(corral.url);
        expect(reply.status).toBe(502);
        expect(errorOf(reply)).toMatch(/basement refused the request's Host or Origin/);
        expect(errorOf(reply)).toMatch(/OLLAMA_HOST|http-host-header/);
      });

      stage.it('several boxes are down: each by its name, and the mend', async () => {
        const [first, second] = [await stage.closedPort(), await stage.closedPort()];
        const corral = await stage.corral({
          yaml: herdOf([
            { name: 'desk', at: first.port },
            { name: 'basement', at: second.port },
          ]),
        });
        const reply = await chat(corral.url);
        expect(reply.status).toBe(503);
        expect(errorOf(reply)).toMatch(/desk refused the connection/);
        expect(errorOf(reply)).toMatch(/basement refused the connection/);
      });
    });
  });
}
