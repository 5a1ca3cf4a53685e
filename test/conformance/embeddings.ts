/** Big batches of embeddings (issue 5, point 5; T11): split over boxes with the same model, joined in order, behind whoever chats. */
import { describe, expect } from 'vitest';
import { vectorOf } from '../support/fake-ollama/embeddings.ts';
import type { FakeOllama } from '../support/fake-ollama/index.ts';
import { ask, herdOf, isPath, type Json, type Stage, untilListed } from './stage.ts';

const model = 'all-minilm:latest';
const models = [{ name: model, capabilities: ['embedding'], resident: true }];
/** Of different lengths, so that each has a vector of its own. */
const texts = Array.from({ length: 100 }, (_, at) => `${at} ${'é'.repeat(at)}`);

const partsAt = (box: FakeOllama, path: string): string[][] =>
  box.requests.filter(isPath(path)).flatMap((request) => {
    const { input }: Json = request.json();
    return Array.isArray(input) ? [input] : [];
  });

export function embeddings(stage: Stage): void {
  describe('batches of embeddings', () => {
    stage.it('T11: 100 inputs over two boxes: both get parts of 32 at most, and the answer is in order', async () => {
      const boxes = [await stage.box({ models }), await stage.box({ models })];
      const corral = await stage.corral({ yaml: herdOf(boxes.map(({ port }, at) => ({ name: `box${at}`, at: port }))) });
      await untilListed(corral.url, [model]);
      for (const box of boxes) box.set({ startDelayMs: 40 });

      const openai = await ask(`${corral.url}/v1/embeddings`, { body: { model, input: texts, dimensions: 4 } });
      expect(openai.status).toBe(200);
      expect(openai.headers.get('x-corral-parts')).toBe('4');
      expect(openai.headers.get('x-corral-box')?.split(' ').sort()).toEqual(['box0', 'box1']);
      const { data, usage } = openai.json();
      expect(data).toEqual(texts.map((text, index) => ({ object: 'embedding', embedding: vectorOf(text, 4), index })));
      expect(usage).toEqual({ prompt_tokens: 300, total_tokens: 300 });

      const native = await ask(`${corral.url}/api/embed`, { body: { model, input: texts, dimensions: 4 } });
      expect(native.status).toBe(200);
      expect(native.json().embeddings).toEqual(texts.map((text) => vectorOf(text, 4)));
      expect(native.json().prompt_eval_count).toBe(300);

      for (const path of ['/v1/embeddings', '/api/embed']) {
        const parts = boxes.map((box) => partsAt(box, path));
        expect(parts.map((each) => each.length > 0)).toEqual([true, true]);
        expect(Math.max(...parts.flat().map((inputs) => inputs.length))).toBe(32);
        expect(parts.flat(2).toSorted()).toEqual(texts.toSorted());
      }
    });

    stage.it('boxes whose model of that name is another one get no part of the same batch', async () => {
      const one = await stage.box({ models: models.map((each) => ({ ...each, digest: 'a'.repeat(64) })) });
      const other = await stage.box({ models: models.map((each) => ({ ...each, digest: 'b'.repeat(64) })) });
      const corral = await stage.corral({
        yaml: herdOf([
          { name: 'one', at: one.port },
          { name: 'other', at: other.port },
        ]),
      });
      await untilListed(corral.url, [model]);
      const reply = await ask(`${corral.url}/v1/embeddings`, { body: { model, input: texts } });
      expect(reply.status).toBe(200);
      expect([partsAt(one, '/v1/embeddings').length, partsAt(other, '/v1/embeddings').length].sort()).toEqual([0, 4]);
    });
  });
}
