/** Lists of models (issue: "Protocols"; T3, T4): the union, from last-known state, in the shape each client asks for. */
import { beforeAll, describe, expect } from 'vitest';
import type { FakeOllama } from '../support/fake-ollama/index.ts';
import type { RunningCorral } from '../support/runtimes/index.ts';
import { ask, chat, herdOf, type Stage, until, untilListed } from './stage.ts';

const idsOf = (reply: { json(): { data: { id: string }[] } }) => reply.json().data.map(({ id }) => id);

export function lists(stage: Stage): void {
  describe('lists', () => {
    let first: FakeOllama;
    let second: FakeOllama;
    let corral: RunningCorral;
    beforeAll(async () => {
      first = await stage.box({ models: ['llama3.2', { name: 'acme/tiny:1b', modifiedAt: '2026-01-02T03:04:05.123456789Z' }] });
      second = await stage.box({ models: ['llama3.2', 'mistral', { name: 'warm', resident: true }] });
      corral = await stage.corral({
        yaml: herdOf([
          { name: 'first', at: first.port },
          { name: 'second', at: second.port },
        ]),
      });
      await untilListed(corral.url, ['llama3.2:latest', 'acme/tiny:1b', 'mistral:latest', 'warm:latest']);
    });

    stage.it('/v1/models and /api/tags are the union, each model once', async () => {
      const wanted = ['acme/tiny:1b', 'llama3.2:latest', 'mistral:latest', 'warm:latest'];
      const list = await ask(`${corral.url}/v1/models`);
      expect(list.headers.get('content-type')).toBe('application/json');
      expect(list.json()).toMatchObject({ object: 'list' });
      expect(idsOf(list).toSorted()).toEqual(wanted);
      const tags = (await ask(`${corral.url}/api/tags`)).json().models;
      expect(tags.map(({ name }: { name: string }) => name).toSorted()).toEqual(wanted);
      const direct = (await ask(`${second.url}/api/tags`)).json().models;
      expect(tags.find(({ name }: { name: string }) => name === 'mistral:latest')).toEqual(
        direct.find(({ name }: { name: string }) => name === 'mistral:latest'),
      );
    });

    stage.it('/api/ps is the union of what is in memory', async () => {
      await chat(corral.url, { model: 'acme/tiny:1b' });
      await until('both are listed', async () => {
        const names = (await ask(`${corral.url}/api/ps`)).json().models.map(({ name }: { name: string }) => name);
        return names.toSorted().join() === 'acme/tiny:1b,warm:latest';
      });
    });

    stage.it('names with a slash work on /v1/models/{id}, encoded or not', async () => {
      for (const id of ['acme/tiny:1b', 'acme%2Ftiny:1b', 'acme%2ftiny%3a1b']) {
        const reply = await ask(`${corral.url}/v1/models/${id}`);
        expect([id, reply.status]).toEqual([id, 200]);
        expect(reply.json()).toEqual({ id: 'acme/tiny:1b', object: 'model', created: 1767323045, owned_by: 'acme' });
      }
    });

    stage.it('a model that nobody has: 404 in the shape of the client', async () => {
      const openai = await ask(`${corral.url}/v1/models/nope`);
      expect([openai.status, openai.json()]).toEqual([
        404,
        { error: expect.objectContaining({ message: expect.stringMatching(/nope/) }) },
      ]);
      const anthropic = await ask(`${corral.url}/v1/models/nope`, { headers: { 'anthropic-version': '2023-06-01' } });
      expect(anthropic.status).toBe(404);
      expect(anthropic.json()).toMatchObject({ type: 'error', error: { type: 'not_found_error' } });
    });

    stage.it('anthropic-version asks for Anthropic’s shape, with paging', async () => {
      const headers = { 'anthropic-version': '2023-06-01' };
      const whole = (await ask(`${corral.url}/v1/models`, { headers })).json();
      expect(whole).toMatchObject({ has_more: false });
      expect(whole.data).toHaveLength(4);
      for (const item of whole.data) {
        expect(item).toMatchObject({
          type: 'model',
          display_name: expect.any(String),
          created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        });
      }
      const ids: string[] = whole.data.map(({ id }: { id: string }) => id);
      expect([whole.first_id, whole.last_id]).toEqual([ids[0], ids[3]]);
      const page = (await ask(`${corral.url}/v1/models?limit=2`, { headers })).json();
      expect([page.data.length, page.has_more, page.last_id]).toEqual([2, true, ids[1]]);
      const next = (
        await ask(`${corral.url}/v1/models?limit=2&after_id=${encodeURIComponent(ids[1] ?? '')}`, { headers })
      ).json();
      expect([next.data.map(({ id }: { id: string }) => id), next.has_more]).toEqual([ids.slice(2), false]);
      const back = (
        await ask(`${corral.url}/v1/models?limit=2&before_id=${encodeURIComponent(ids[3] ?? '')}`, { headers })
      ).json();
      expect(back.data.map(({ id }: { id: string }) => id)).toEqual(ids.slice(1, 3));
      const one = (await ask(`${corral.url}/v1/models/mistral`, { headers })).json();
      expect(one).toMatchObject({ type: 'model', id: 'mistral', display_name: expect.any(String) });
    });

    stage.it('no models at all: empty lists, not null', async () => {
      const empty = await stage.box({ models: [] });
      const gateway = await stage.corral({ yaml: herdOf([{ name: 'empty', at: empty.port }]) });
      expect((await ask(`${gateway.url}/v1/models`)).json()).toEqual({ object: 'list', data: [] });
      expect((await ask(`${gateway.url}/api/tags`)).json()).toEqual({ models: [] });
      expect((await ask(`${gateway.url}/api/ps`)).json()).toEqual({ models: [] });
    });

    stage.it('dead boxes neither delay nor break the lists (T4)', async () => {
      const hole = await stage.blackHole();
      const closed = await stage.closedPort();
      const hung = await stage.box({ faults: { hang: 'all' } });
      const gateway = await stage.corral({
        yaml: herdOf([
          { name: 'asleep', at: hole.port },
          { name: 'closed', at: closed.port },
          { name: 'hung', at: hung.port },
          { name: 'unnamed', at: 'no-such-box.invalid:11434' },
          { name: 'alive', at: second.port },
        ]),
      });
      await untilListed(gateway.url, ['mistral:latest']);
      // After the first look nobody waits for the dead any more: 40 ms are what T4 allows, the rest is this machine's.
      for (const path of ['/v1/models', '/api/tags', '/api/ps']) {
        const startedAt = performance.now();
        const reply = await ask(gateway.url + path);
        expect(reply.status).toBe(200);
        expect(performance.now() - startedAt).toBeLessThan(500);
      }
    });

    stage.it('a model that is pulled appears, one that is removed disappears', async () => {
      const changing = await stage.box({ models: ['llama3.2'] });
      const gateway = await stage.corral({ yaml: herdOf([{ name: 'changing', at: changing.port }]) });
      await untilListed(gateway.url, ['llama3.2:latest']);
      changing.setModels(['fresh']);
      await until('the new list', async () => idsOf(await ask(`${gateway.url}/v1/models`)).join() === 'fresh:latest');
    });

    stage.it('allowedModels holds in every list, in show and retrieve', async () => {
      const gateway = await stage.corral({
        yaml: herdOf([{ name: 'second', at: second.port, model: 'mistral' }], {
          policies: {
            apiKey: {
              keys: [{ key: 'sk-some', allowedModels: ['llama3*'] }, { key: 'sk-none', allowedModels: [] }, { key: 'sk-all' }],
            },
          },
        }),
      });
      const as = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });
      await untilListed(gateway.url, ['llama3.2:latest', 'mistral:latest'], as('sk-all').headers);
      expect(idsOf(await ask(`${gateway.url}/v1/models`, as('sk-some')))).toEqual(['llama3.2:latest']);
      expect((await ask(`${gateway.url}/api/tags`, as('sk-some'))).json().models).toHaveLength(1);
      expect((await ask(`${gateway.url}/api/ps`, as('sk-some'))).json()).toEqual({ models: [] });
      expect(idsOf(await ask(`${gateway.url}/v1/models`, as('sk-none')))).toEqual([]);
      expect((await ask(`${gateway.url}/v1/models/mistral`, as('sk-some'))).status).toBe(404);
      expect((await ask(`${gateway.url}/v1/models/llama3.2`, as('sk-some'))).status).toBe(200);
      for (const body of [
        { model: 'mistral' },
        { name: 'mistral' },
        { model: 'MISTRAL:latest' },
        { name: 'llama3.2', model: 'mistral' },
      ]) {
        const reply = await ask(`${gateway.url}/api/show`, { ...as('sk-some'), body });
        expect([body, reply.status]).toEqual([body, 403]);
      }
      // The default model is no way round it, and the words of an error name nothing that the key may not see.
      expect((await chat(gateway.url, { model: undefined }, as('sk-some').headers)).status).toBe(403);
      const missing = await chat(gateway.url, { model: 'llama3.9' }, as('sk-some').headers);
      expect(missing.status).toBe(404);
      expect(missing.text).not.toContain('mistral');
      expect(missing.text).toContain('llama3.2');
      expect((await chat(gateway.url, { model: 'llama3.2' }, as('sk-some').headers)).status).toBe(200);
    });
  });
}
