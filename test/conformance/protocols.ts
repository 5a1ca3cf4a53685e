/** Each wire protocol, streamed and not (issue: "Protocols"): default model, aliases, what Ollama drops, the llm dialect. */
import { beforeAll, describe, expect } from 'vitest';
import type { FakeOllama } from '../support/fake-ollama/index.ts';
import type { RunningCorral } from '../support/runtimes/index.ts';
import { ask, chat, errorOf, hello, herdOf, isPath, type Reply, type Stage, untilListed } from './stage.ts';

interface Surface {
  readonly path: string;
  readonly body: object;
  readonly streams: boolean;
  /** The text of a whole answer. */
  textOf(json: never): unknown;
}

const surfaces: readonly Surface[] = [
  {
    path: '/v1/chat/completions',
    body: { messages: hello },
    streams: true,
    textOf: (json: { choices: { message: { content: string } }[] }) => json.choices[0]?.message.content,
  },
  {
    path: '/v1/completions',
    body: { prompt: 'Hello' },
    streams: true,
    textOf: (json: { choices: { text: string }[] }) => json.choices[0]?.text,
  },
  {
    path: '/v1/responses',
    body: { input: 'Hello' },
    streams: true,
    textOf: (json: { output: { content: { text: string }[] }[] }) => json.output[0]?.content[0]?.text,
  },
  {
    path: '/v1/messages',
    body: { messages: hello, max_tokens: 100 },
    streams: true,
    textOf: (json: { content: { text: string }[] }) => json.content[0]?.text,
  },
  {
    path: '/api/chat',
    body: { messages: hello, stream: false },
    streams: true,
    textOf: (json: { message: { content: string } }) => json.message.content,
  },
  {
    path: '/api/generate',
    body: { prompt: 'Hello', stream: false },
    streams: true,
    textOf: (json: { response: string }) => json.response,
  },
  { path: '/v1/embeddings', body: { input: 'Hello' }, streams: false, textOf: (json: { data: unknown[] }) => json.data.length },
  {
    path: '/api/embed',
    body: { input: 'Hello' },
    streams: false,
    textOf: (json: { embeddings: unknown[] }) => json.embeddings.length,
  },
  {
    path: '/api/embeddings',
    body: { prompt: 'Hello' },
    streams: false,
    textOf: (json: { embedding: unknown[] }) => json.embedding.length > 1,
  },
];

const said = 'was very clever. He was very clever. He was very';

export function protocols(stage: Stage): void {
  describe('protocols', () => {
    let box: FakeOllama;
    let corral: RunningCorral;
    beforeAll(async () => {
      box = await stage.box({
        models: [
          'llama3.2',
          { name: 'tooled', capabilities: ['completion', 'tools'] },
          { name: 'minilm', capabilities: ['embedding'] },
        ],
      });
      corral = await stage.corral({
        yaml: herdOf([{ name: 'desk', at: box.port, model: 'llama3.2' }], {
          policies: {
            ai: { modelAliases: { 'gpt-4o': 'llama3.2', 'claude-*': 'llama3.2', 'text-embedding-3-small': 'minilm' } },
          },
        }),
      });
      await untilListed(corral.url, ['llama3.2:latest']);
    });
    /** The last request that the box got there. */
    const received = async (path: string) => box.requests.findLast(isPath(path))?.json() as Record<string, unknown>;
    const post = (path: string, body: object, headers: Record<string, string> = {}): Promise<Reply> =>
      ask(corral.url + path, { body, headers });

    for (const { path, body, streams, textOf } of surfaces) {
      const model = streams ? 'llama3.2' : 'minilm';
      const wanted = streams ? said : path === '/api/embeddings' ? true : 1;
      stage.it(`${path}: whole`, async () => {
        const reply = await post(path, { model, ...body });
        expect(reply.status).toBe(200);
        expect(reply.headers.get('content-type')).toMatch(/^application\/json/);
        expect(textOf(reply.json() as never)).toBe(wanted);
        expect(await received(path)).toEqual({ model, ...body });
      });
      if (streams) {
        stage.it(`${path}: streamed`, async () => {
          const reply = await post(path, { model, ...body, stream: true });
          expect(reply.status).toBe(200);
          expect(reply.headers.get('content-type')).toMatch(
            path.startsWith('/api') ? /^application\/x-ndjson/ : /^text\/event-stream/,
          );
          expect(reply.text).toContain('clever');
          await received(path);
        });
        stage.it(`${path}: the default model is filled in`, async () => {
          const reply = await post(path, body);
          expect(reply.status).toBe(200);
          expect(await received(path)).toMatchObject({ model: 'llama3.2' });
        });
      }
      stage.it(`${path}: an alias reaches the box under its real name`, async () => {
        const alias = streams ? 'gpt-4o' : 'text-embedding-3-small';
        const reply = await post(path, { model: alias, ...body });
        expect(reply.status).toBe(200);
        expect(await received(path)).toMatchObject({ model });
      });
    }

    stage.it('aliases: with a pattern; listed, retrieved and shown', async () => {
      expect((await post('/v1/messages', { model: 'claude-sonnet-5', max_tokens: 5, messages: hello })).status).toBe(200);
      expect(await received('/v1/messages')).toMatchObject({ model: 'llama3.2' });
      const ids = (await ask(`${corral.url}/v1/models`)).json().data.map(({ id }: { id: string }) => id);
      expect(ids).toContain('gpt-4o');
      expect((await ask(`${corral.url}/v1/models/gpt-4o`)).json()).toMatchObject({ id: 'gpt-4o', object: 'model' });
      const tags = (await ask(`${corral.url}/api/tags`)).json().models;
      expect(tags.find(({ name }: { name: string }) => name === 'gpt-4o')).toMatchObject({ model: 'gpt-4o', size: 253_113_617 });
      expect((await post('/api/show', { model: 'gpt-4o' })).status).toBe(200);
      expect(await received('/api/show')).toMatchObject({ model: 'llama3.2' });
    });

    stage.it('probes: GET and HEAD /, /api/version, /api/tags', async () => {
      expect((await ask(`${corral.url}/`)).text).toBe('Ollama is running');
      expect((await ask(`${corral.url}/`, { method: 'HEAD' })).status).toBe(200);
      expect((await ask(`${corral.url}/api/version`)).json()).toEqual({ version: '0.99.0-src' });
      expect((await ask(`${corral.url}/api/version`, { method: 'HEAD' })).status).toBe(200);
      const head = await ask(`${corral.url}/api/tags`, { method: 'HEAD' });
      expect([head.status, head.text]).toEqual([200, '']);
    });

    stage.it('/api/show by model and by name; an unknown one in words', async () => {
      expect((await post('/api/show', { model: 'LLAMA3.2' })).json()).toMatchObject({ capabilities: ['completion'] });
      expect((await post('/api/show', { name: 'llama3.2' })).status).toBe(200);
      const missing = await post('/api/show', { model: 'nope' });
      expect(missing.status).toBe(404);
      expect(missing.json().error).toMatch(/model 'nope:latest' not found|model 'nope' not found/);
    });

    stage.it('count_tokens: estimated, and marked so', async () => {
      const reply = await post('/v1/messages/count_tokens', {
        model: 'llama3.2',
        messages: [{ role: 'user', content: 'x'.repeat(400) }],
      });
      expect(reply.status).toBe(200);
      expect(reply.headers.get('x-corral-estimated')).toBe('true');
      const { input_tokens: tokens } = reply.json();
      expect(tokens).toBeGreaterThan(50);
      expect(tokens).toBeLessThan(200);
    });

    stage.it('max_completion_tokens reaches the box as max_tokens', async () => {
      const reply = await chat(corral.url, { max_completion_tokens: 3 });
      expect(reply.json().choices[0]).toMatchObject({ message: { content: 'was very clever' }, finish_reason: 'length' });
      expect(await received('/v1/chat/completions')).toMatchObject({ max_tokens: 3 });
      expect(
        (await post('/v1/responses', { model: 'llama3.2', input: 'x', max_output_tokens: 3 })).json().output[0].content[0].text,
      ).toBe('was very clever');
    });

    const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } }];
    stage.it('tool_choice none takes the tools out; forced ones get a warning header', async () => {
      const none = await chat(corral.url, { model: 'tooled', tools, tool_choice: 'none' });
      expect(none.status).toBe(200);
      const first = await received('/v1/chat/completions');
      expect(first).not.toHaveProperty('tools');
      const forced = await chat(corral.url, { model: 'tooled', tools, tool_choice: 'required' });
      expect(forced.headers.get('x-corral-warning')).toMatch(/tool_choice/);
      expect(await received('/v1/chat/completions')).toMatchObject({ tools });
      const free = await chat(corral.url, { model: 'tooled', tools, tool_choice: 'auto' });
      expect(free.headers.get('x-corral-warning')).toBeNull();
      await received('/v1/chat/completions');
      await post('/v1/messages', {
        model: 'tooled',
        max_tokens: 5,
        messages: hello,
        tools: [{ name: 'f', input_schema: {} }],
        tool_choice: { type: 'none' },
      });
      expect(await received('/v1/messages')).not.toHaveProperty('tools');
    });

    stage.it('n > 1 and logit_bias get a warning header', async () => {
      expect((await chat(corral.url, { n: 2 })).headers.get('x-corral-warning')).toMatch(/\bn is not read by Ollama/);
      expect((await chat(corral.url, { logit_bias: { 50256: -100 } })).headers.get('x-corral-warning')).toMatch(/logit_bias/);
      expect((await chat(corral.url, { n: 1 })).headers.get('x-corral-warning')).toBeNull();
    });

    stage.it('previous_response_id is refused with the reason', async () => {
      const before = box.requests.filter(isPath('/v1/responses')).length;
      const reply = await post('/v1/responses', { model: 'llama3.2', input: 'x', previous_response_id: 'resp_1' });
      expect([reply.status, errorOf(reply)]).toEqual([400, expect.stringMatching(/previous_response_id.*Ollama stores nothing/)]);
      expect(box.requests.filter(isPath('/v1/responses'))).toHaveLength(before);
    });

    stage.it('embeddings of token arrays are refused, naming the client setting', async () => {
      for (const input of [
        [1, 2, 3],
        [[1, 2], [3]],
      ]) {
        const reply = await post('/v1/embeddings', { model: 'minilm', input });
        expect([reply.status, errorOf(reply)]).toEqual([400, expect.stringMatching(/check_embedding_ctx_length=False/)]);
      }
    });

    stage.it('web_search tools do not leave the house (D15): dropped with a warning, the others stay', async () => {
      const own = { type: 'function', name: 'f', parameters: {} };
      const reply = await post('/v1/responses', { model: 'tooled', input: 'x', tools: [{ type: 'web_search' }, own] });
      expect(reply.headers.get('x-corral-warning')).toMatch(/web_search/);
      expect(await received('/v1/responses')).toMatchObject({ tools: [own] });
      await post('/v1/messages', {
        model: 'tooled',
        max_tokens: 5,
        messages: hello,
        tools: [{ type: 'web_search_20250305', name: 'web_search' }],
      });
      expect(await received('/v1/messages')).not.toHaveProperty('tools');
    });

    stage.it('cloud models are refused in every protocol’s own shape (D15)', async () => {
      for (const model of ['gpt-oss:120b-cloud', 'gpt-oss:cloud', 'GPT-OSS:CLOUD']) {
        const reply = await chat(corral.url, { model });
        expect([reply.status, errorOf(reply)]).toEqual([403, expect.stringMatching(/cloud/)]);
      }
      expect((await post('/api/chat', { model: 'x:1b-cloud', messages: hello })).json().error).toMatch(/cloud/);
      expect((await post('/v1/messages', { model: 'x:cloud', max_tokens: 5, messages: hello })).json()).toMatchObject({
        type: 'error',
      });
      expect((await post('/api/show', { model: 'x:cloud' })).status).toBe(403);
      expect(box.requests.filter(({ body }) => /cloud/i.test(body))).toHaveLength(0);
    });

    stage.it('audio transcriptions: multipart passes, with its model checked', async () => {
      const form = (fields: string) =>
        `--bound\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n${fields}--bound--\r\n`;
      const field = (value: string) => `--bound\r\nContent-Disposition: form-data; name="model"\r\n\r\n${value}\r\n`;
      const send = (body: string) =>
        ask(`${corral.url}/v1/audio/transcriptions`, {
          body,
          headers: { 'content-type': 'multipart/form-data; boundary=bound' },
        });
      const sent = form(field('llama3.2'));
      expect((await send(sent)).status).toBe(200);
      const passed = box.requests.findLast(isPath('/v1/audio/transcriptions'));
      expect(passed?.body).toBe(sent);
      expect(passed?.header('content-type')).toBe('multipart/form-data; boundary=bound');
      const before = box.requests.filter(isPath('/v1/audio/transcriptions')).length;
      expect((await send(form(field('x:cloud')))).status).toBe(403);
      expect((await send(form(field('llama3.2') + field('x:cloud')))).status).toBe(400);
      expect((await send('not a form')).status).toBe(400);
      expect(box.requests.filter(isPath('/v1/audio/transcriptions'))).toHaveLength(before);
    });

    stage.it('audio transcriptions: the default model and aliases reach the box', async () => {
      const part = (name: string, value: string) =>
        `--bound\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
      const send = (body: string) =>
        ask(`${corral.url}/v1/audio/transcriptions`, {
          body,
          headers: { 'content-type': 'multipart/form-data; boundary=bound' },
        });
      expect((await send(`${part('language', 'de')}--bound--\r\n`)).status).toBe(200);
      expect(box.requests.findLast(isPath('/v1/audio/transcriptions'))?.body).toContain(part('model', 'llama3.2'));
      expect((await send(`${part('model', 'gpt-4o')}--bound--\r\n`)).status).toBe(200);
      const aliased = box.requests.findLast(isPath('/v1/audio/transcriptions'))?.body;
      expect(aliased).toContain('llama3.2');
      expect(aliased).not.toContain('gpt-4o');
    });

    stage.it('/v1/responses/compact passes where the box has it', async () => {
      const reply = await post('/v1/responses/compact', { model: 'llama3.2', input: 'x' });
      // This box is older and has not: its own 404.
      expect(reply.status).toBe(404);
      expect(box.requests.some(isPath('/v1/responses/compact'))).toBe(true);
    });

    stage.it('ai.defaults fill gaps, ai.overrides win', async () => {
      const other = await stage.box();
      const gateway = await stage.corral({
        yaml: herdOf([{ name: 'desk', at: other.port }], {
          policies: { ai: { defaults: { temperature: 0.25, model: 'llama3.2' }, overrides: { seed: 42 } } },
        }),
      });
      await ask(`${gateway.url}/v1/chat/completions`, { body: { messages: hello, seed: 7 } });
      expect((await other.nextRequest(isPath('/v1/chat/completions'))).json()).toMatchObject({
        model: 'llama3.2',
        temperature: 0.25,
        seed: 42,
      });
      await chat(gateway.url, { temperature: 1 });
      expect((await other.nextRequest(isPath('/v1/chat/completions'))).json()).toMatchObject({ temperature: 1, seed: 42 });
    });

    describe('llm dialect', () => {
      let first: FakeOllama;
      let second: FakeOllama;
      let llm: RunningCorral;
      beforeAll(async () => {
        first = await stage.box({ models: ['llama3.2', 'qwen3:4b', 'qwen3:8b'] });
        second = await stage.box({ models: ['mistral'] });
        llm = await stage.corral({
          yaml: `config: { adminAddr: "off", logging: { format: json } }
gateways: { default: { port: 3000 } }
llm:
  providers:
  - name: desk
    provider: ollama
    params: { baseUrl: "http://127.0.0.1:${first.port}/v1" }
  models:
  - name: llama3.2
    provider: { reference: desk }
  - name: "qwen3*"
    provider: { reference: desk }
  - name: fast
    provider: ollama
    params: { model: mistral, baseUrl: "http://127.0.0.1:${second.port}/v1" }
    defaults: { temperature: 0.2 }
  - name: hidden
    visibility: internal
    provider: ollama
    params: { model: mistral, baseUrl: "http://127.0.0.1:${second.port}/v1" }
  virtualModels:
  - name: spread
    routing:
      weighted:
        targets: [{ model: llama3.2, weight: 1 }, { model: hidden, weight: 1 }]
  - name: safe
    routing:
      failover:
        targets: [{ model: hidden, priority: 0 }, { model: llama3.2, priority: 1 }]
`,
        });
        await untilListed(llm.url, ['fast', 'safe']);
      });

      stage.it('names, globs and references choose the box and the model', async () => {
        expect((await chat(llm.url, { model: 'llama3.2' })).status).toBe(200);
        await first.nextRequest(isPath('/v1/chat/completions'));
        expect((await chat(llm.url, { model: 'qwen3:8b' })).status).toBe(200);
        expect((await first.nextRequest(isPath('/v1/chat/completions'))).json()).toMatchObject({ model: 'qwen3:8b' });
        expect((await chat(llm.url, { model: 'fast' })).status).toBe(200);
        expect((await second.nextRequest(isPath('/v1/chat/completions'))).json()).toMatchObject({
          model: 'mistral',
          temperature: 0.2,
        });
        const native = await ask(`${llm.url}/api/chat`, { body: { model: 'fast', messages: hello, stream: false } });
        expect(native.status).toBe(200);
        await second.nextRequest(isPath('/api/chat'));
      });

      stage.it('models that are not configured do not exist, and internal ones neither', async () => {
        for (const model of ['mistral', 'nope', 'hidden']) {
          const reply = await chat(llm.url, { model });
          expect([model, reply.status]).toEqual([model, 404]);
        }
      });

      stage.it('lists: names, what the globs let through, virtual models; nothing internal', async () => {
        const ids = (await ask(`${llm.url}/v1/models`)).json().data.map(({ id }: { id: string }) => id.replace(/:latest$/, ''));
        expect(ids.toSorted()).toEqual(['fast', 'llama3.2', 'qwen3:4b', 'qwen3:8b', 'safe', 'spread']);
        const tags = (await ask(`${llm.url}/api/tags`))
          .json()
          .models.map(({ name }: { name: string }) => name.replace(/:latest$/, ''));
        expect(tags.toSorted()).toEqual(['fast', 'llama3.2', 'qwen3:4b', 'qwen3:8b', 'safe', 'spread']);
      });

      stage.it('virtual models: weighted ones reach both, failover ones the next; show answers', async () => {
        const count = () => [first, second].map((box) => box.requests.filter(isPath('/v1/chat/completions')).length);
        const [f = 0, s = 0] = count();
        for (let each = 0; each < 30; each++) expect((await chat(llm.url, { model: 'spread' })).status).toBe(200);
        const [f2 = 0, s2 = 0] = count();
        // 30 fair throws that all fall on one side: once in 500 million runs.
        expect(f2 - f).toBeGreaterThan(0);
        expect(s2 - s).toBeGreaterThan(0);
        for (const model of ['safe', 'spread', 'fast']) {
          expect([model, (await ask(`${llm.url}/api/show`, { body: { model } })).status]).toEqual([model, 200]);
          expect([model, (await ask(`${llm.url}/v1/models/${model}`)).json().id]).toEqual([model, model]);
        }
        await second.refuse();
        expect((await chat(llm.url, { model: 'safe' })).json()).toMatchObject({ object: 'chat.completion' });
        await second.listen();
      });
    });

    stage.it(
      'an OpenAI-compatible server that is no box: credential set, the configured model wins, its own body untouched',
      async () => {
        const vendor = await stage.box({ models: ['big'] });
        const gateway = await stage.corral({
          yaml: herdOf([{ name: 'vendor', at: vendor.port, model: 'big', policies: { backendAuth: { key: 'sk-vendor' } } }]),
        });
        const reply = await chat(
          gateway.url,
          { model: 'whatever', max_completion_tokens: 3 },
          { authorization: 'Bearer client' },
        );
        expect(reply.status).toBe(200);
        const received = await vendor.nextRequest(isPath('/v1/chat/completions'));
        expect(received.header('authorization')).toBe('Bearer sk-vendor');
        expect(received.json()).toMatchObject({ model: 'big', max_completion_tokens: 3 });
      },
    );

    stage.it('urlRewrite and header modifiers on a route with a prefix', async () => {
      const other = await stage.box();
      const gateway = await stage.corral({
        yaml: `config: { adminAddr: "off" }
binds:
- port: 3000
  listeners:
  - routes:
    - matches: [{ path: { pathPrefix: /ollama } }]
      policies:
        urlRewrite: { path: { prefix: / } }
        requestHeaderModifier: { add: { x-team: blue }, remove: [x-secret] }
        responseHeaderModifier: { set: { x-served-by: corral } }
      backends:
      - ai: { name: desk, hostOverride: "127.0.0.1:${other.port}", provider: { openAI: { model: llama3.2 } } }
`,
      });
      const reply = await ask(`${gateway.url}/ollama/v1/chat/completions`, {
        body: { messages: hello },
        headers: { 'x-secret': 'x' },
      });
      expect([reply.status, reply.headers.get('x-served-by')]).toEqual([200, 'corral']);
      const received = await other.nextRequest(isPath('/v1/chat/completions'));
      expect([received.header('x-team'), received.header('x-secret')]).toEqual(['blue', undefined]);
      const unmatched = await ask(`${gateway.url}/v1/models`);
      expect([unmatched.status, errorOf(unmatched)]).toEqual([404, 'route not found']);
    });

    stage.it('a host backend passes everything as it came', async () => {
      const other = await stage.box();
      const gateway = await stage.corral({
        yaml: {
          config: { adminAddr: 'off' },
          binds: [{ port: 3000, listeners: [{ routes: [{ backends: [{ host: `127.0.0.1:${other.port}` }] }] }] }],
        },
      });
      const body = '{ "model": "llama3.2", "messages": [{"role":"user","content":"x"}], "MODEL": "other" }';
      await ask(`${gateway.url}/v1/chat/completions`, { body, headers: { authorization: 'Bearer own', 'x-mine': '1' } });
      const received = await other.nextRequest(isPath('/v1/chat/completions'));
      expect([received.body, received.header('authorization'), received.header('x-mine')]).toEqual([body, 'Bearer own', '1']);
    });
  });
}
