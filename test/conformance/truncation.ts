/** Prompts that are longer than the context (issue: T6): refused in the words that agents act on, told of where a box has cut one. */
import { describe, expect } from 'vitest';
import { ask, chat, errorOf, herdOf, inferencesOf, logOf, type Stage, until, untilListed } from './stage.ts';

/** So many words: a token each at least. */
const words = (count: number) => 'word '.repeat(count);

export function truncation(stage: Stage): void {
  describe('truncation', () => {
    stage.it('T6: a prompt that cannot fit gets 400 in each protocol’s words, and goes to no box', async () => {
      const box = await stage.box();
      const corral = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }]) });
      // Whatever the box has loaded: the call asks for its context.
      const own = { model: 'llama3.2', options: { num_ctx: 2_048 } };
      const messages = [{ role: 'user', content: words(6_000) }];
      const completion = await ask(`${corral.url}/v1/chat/completions`, { body: { ...own, messages } });
      expect([completion.status, completion.json().error]).toEqual([
        400,
        expect.objectContaining({
          code: 'context_length_exceeded',
          type: 'invalid_request_error',
          param: 'messages',
          message: expect.stringMatching(
            /^This model's maximum context length is 2048 tokens\. However, your messages resulted in \d+ tokens\./,
          ),
        }),
      ]);
      const message = await ask(`${corral.url}/v1/messages`, { body: { ...own, messages, max_tokens: 10 } });
      expect([message.status, message.json().error]).toEqual([
        400,
        expect.objectContaining({
          type: 'invalid_request_error',
          message: expect.stringMatching(/^prompt is too long: \d+ tokens > 2048 maximum$/),
        }),
      ]);
      const response = await ask(`${corral.url}/v1/responses`, { body: { ...own, input: words(6_000), stream: true } });
      expect([response.status, response.json().error.code]).toEqual([400, 'context_length_exceeded']);
      expect(inferencesOf(box)).toHaveLength(0);
      expect((await chat(corral.url, { options: { num_ctx: 2_048 } })).status).toBe(200);
    });

    stage.it('T6: a prompt that a cold model cannot take is refused as soon as the load has shown its context', async () => {
      const models = ['one', 'two', 'three'].map((name) => ({ name, contextLength: 2_048 }));
      const box = await stage.box({ models, faults: { loadMs: 400 } });
      const corral = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }]) });
      await untilListed(corral.url, ['one:latest', 'two:latest', 'three:latest']);
      const messages = [{ role: 'user', content: words(6_000) }];
      for (const [path, body, told] of [
        ['/v1/chat/completions', { model: 'one', messages, stream: true }, /maximum context length is 2048 tokens/],
        ['/v1/messages', { model: 'two', messages, max_tokens: 10 }, /^prompt is too long: \d+ tokens > 2048 maximum$/],
        ['/v1/responses', { model: 'three', input: words(6_000), stream: true }, /maximum context length is 2048 tokens/],
      ] as const) {
        const reply = await ask(`${corral.url}${path}`, { body });
        expect([path, reply.status, errorOf(reply)]).toEqual([path, 400, expect.stringMatching(told)]);
      }
      expect(box.loads.completed).toBe(3);
      expect(inferencesOf(box).filter(({ body }) => body.includes('word word'))).toEqual([]);
    });

    stage.it('T6: where a box has read a quarter of a prompt, the log says so', async () => {
      const usage = { prompt_tokens: 2_050, completion_tokens: 1, total_tokens: 2_051 };
      const body = JSON.stringify({ id: 'x', object: 'chat.completion', model: 'llama3.2', choices: [], usage });
      const box = await stage.box({
        models: [{ name: 'llama3.2', resident: true }],
        faults: { failWith: { status: 200, contentType: 'application/json', body } },
      });
      const corral = await stage.corral({
        yaml: herdOf([{ name: 'desk', at: box.port }], { fleet: { truncation: { refuse: 'never' } } }),
      });
      const reply = await chat(corral.url, { messages: [{ role: 'user', content: words(8_000) }] });
      expect(reply.status).toBe(200);
      expect(reply.headers.get('x-corral-warning')).toMatch(/^truncated: desk read 2050 tokens/);
      await until('the warning in the log', async () =>
        JSON.stringify(logOf(corral)).includes('truncated: desk read 2050 tokens'),
      );
    });

    stage.it('T6: a stream says so in a comment before its end', async () => {
      const usage = { prompt_tokens: 2_050, completion_tokens: 1, total_tokens: 2_051 };
      const said = {
        id: 'x',
        object: 'chat.completion.chunk',
        model: 'llama3.2',
        choices: [{ index: 0, delta: { content: 'x' } }],
      };
      const body = [JSON.stringify(said), JSON.stringify({ ...said, choices: [], usage }), '[DONE]']
        .map((data) => `data: ${data}\n\n`)
        .join('');
      const box = await stage.box({
        models: [{ name: 'llama3.2', resident: true }],
        faults: { failWith: { status: 200, contentType: 'text/event-stream', body } },
      });
      const corral = await stage.corral({
        yaml: herdOf([{ name: 'desk', at: box.port }], { fleet: { truncation: { refuse: 'never' } } }),
      });
      const { text } = await chat(corral.url, { messages: [{ role: 'user', content: words(8_000) }], stream: true });
      const comment = text.indexOf(': truncated: desk read 2050 tokens of a prompt of 8000 or more');
      expect(comment).toBeGreaterThanOrEqual(0);
      expect(comment).toBeLessThan(text.indexOf('data: [DONE]'));
    });
  });
}
