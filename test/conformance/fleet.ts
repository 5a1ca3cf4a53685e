/** The herd behind the counter (issue 5, points 1 and 9; T16, T18): CORRAL_BOXES, what the admin address tells and does, one box by its name. */
import { describe, expect } from 'vitest';
import { ask, chat, type Reply, type Stage, until, untilListed } from './stage.ts';

const headers = { authorization: 'Bearer admin-token-of-the-tests', 'content-type': 'application/json' };
const env = { CORRAL_ADMIN_TOKEN: 'admin-token-of-the-tests' };

const idsOf = (reply: Reply): string[] =>
  reply
    .json()
    .data.map(({ id }: { id: string }) => id)
    .toSorted();

export function fleet(stage: Stage): void {
  describe('the herd', () => {
    // Elsewhere than 15000, where another Corral of this machine may be.
    const yaml = stage.runtime === 'workerd' ? '{}\n' : 'config: { adminAddr: "127.0.0.1:0" }\n';

    stage.it('CORRAL_BOXES is enough: every model of every box under one address', async () => {
      const desk = await stage.box({ models: ['llama3.2'] });
      const attic = await stage.box({ models: ['mistral'] });
      const corral = await stage.corral({
        yaml,
        env: { ...env, CORRAL_BOXES: `desk=127.0.0.1:${desk.port}, http://127.0.0.1:${attic.port}/` },
      });
      await untilListed(corral.url, ['llama3.2:latest', 'mistral:latest']);
      expect((await chat(corral.url, { model: 'mistral' })).headers.get('x-corral-box')).toBe(`127.0.0.1-${attic.port}`);
      expect((await chat(corral.url, { model: 'llama3.2' })).headers.get('x-corral-box')).toBe('desk');
    });

    stage.it(
      'T18: a model that comes or goes is seen at once after POST /refresh; T16: what differs between boxes is told',
      async () => {
        const desk = await stage.box({
          models: [{ name: 'llama3.2', digest: 'a'.repeat(64), capabilities: ['completion', 'vision'] }],
        });
        const attic = await stage.box({ models: [{ name: 'llama3.2', digest: 'b'.repeat(64) }] });
        const corral = await stage.corral({
          yaml,
          env: { ...env, CORRAL_BOXES: `desk=127.0.0.1:${desk.port},attic=127.0.0.1:${attic.port}` },
        });
        await untilListed(corral.url, ['llama3.2:latest']);
        const admin = await until('the admin address', () => corral.adminUrl);
        attic.setModels([{ name: 'llama3.2', digest: 'b'.repeat(64) }, 'fresh']);
        const refreshed = await ask(`${admin}/refresh`, { method: 'POST', headers });
        expect([refreshed.status, refreshed.json()]).toEqual([200, { answered: ['desk', 'attic'], silent: [] }]);
        const told = (await ask(`${admin}/fleet`, { headers })).json();
        expect(
          told.boxes.map(({ name, isAlive, models }: { name: string; isAlive: boolean; models: { name: string }[] }) => [
            name,
            isAlive,
            models.map((model) => model.name).toSorted(),
          ]),
        ).toEqual([
          ['desk', true, ['llama3.2:latest']],
          ['attic', true, ['fresh:latest', 'llama3.2:latest']],
        ]);
        expect(idsOf(await ask(`${corral.url}/v1/models`))).toEqual(['fresh:latest', 'llama3.2:latest']);
        attic.setModels([{ name: 'llama3.2', digest: 'b'.repeat(64) }]);
        const startedAt = performance.now();
        await ask(`${admin}/refresh`, { method: 'POST', headers });
        expect(idsOf(await ask(`${corral.url}/v1/models`))).toEqual(['llama3.2:latest']);
        // A18: one second.
        expect(performance.now() - startedAt).toBeLessThan(1_000);
        expect(told.drift).toEqual([expect.objectContaining({ model: 'llama3.2:latest' })]);
        await until('what the model can do is known', async () => {
          const [first] = (await ask(`${admin}/fleet`, { headers })).json().boxes;
          return first.models[0].capabilities?.includes('vision') === true;
        });
        expect((await ask(`${admin}/fleet`, { headers: { ...headers, origin: 'https://evil.example' } })).status).toBe(403);
      },
    );

    stage.it('a box out of service gets no new work, and one box is reached by its name', async () => {
      const desk = await stage.box({ models: ['llama3.2'] });
      const attic = await stage.box({ models: ['llama3.2'] });
      const corral = await stage.corral({
        yaml,
        env: { ...env, CORRAL_BOXES: `desk=127.0.0.1:${desk.port},attic=127.0.0.1:${attic.port}` },
      });
      await untilListed(corral.url, ['llama3.2:latest']);
      const admin = await until('the admin address', () => corral.adminUrl);
      const post = (path: string, body: object) =>
        ask(`${admin}${path}`, { method: 'POST', headers, body: JSON.stringify(body) }).then((reply) => reply.json());
      const boxOf = async () => (await chat(corral.url, { model: 'llama3.2' })).headers.get('x-corral-box');
      expect(await post('/fleet/drain', { box: 'desk', wait: 5 })).toMatchObject({ box: 'desk', isCordoned: true, isIdle: true });
      expect(await boxOf()).toBe('attic');
      await post('/fleet/uncordon', { box: 'desk' });
      await post('/fleet/cordon', { box: 'attic' });
      expect(await boxOf()).toBe('desk');
      await post('/fleet/cordon', { box: 'desk' });
      const refused = await chat(corral.url, { model: 'llama3.2' });
      expect([refused.status, refused.text]).toEqual([503, expect.stringMatching(/out of service.*corral fleet uncordon/)]);
      const one = (name: string, more: object = { headers }) => ask(`${corral.url}/_corral/boxes/${name}/api/tags`, more);
      expect((await one('attic')).json().models).toHaveLength(1);
      expect((await one('cellar')).status).toBe(409);
      expect((await one('attic', {})).status).toBe(403);
    });
  });
}
