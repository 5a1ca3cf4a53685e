/** What goes on when upstreams fail (issue: "Policies"): retry, eviction, sessions, and virtual models. No waiting for clocks. */
import { describe, expect } from 'vitest';
import type { FakeOllama } from '../support/fake-ollama/index.ts';
import { ask, chat, errorOf, herdOf, inferencesOf, isPath, type Json, type Stage } from './stage.ts';

const no = (status: number, times?: number) => ({
  faults: {
    failWith: { status, contentType: 'application/json', body: '{"error":"no"}' },
    ...(times === undefined ? {} : { times }),
  },
});
/** With a credential nobody is taken for a box. */
const locked = { backendAuth: { key: 'sk-up' } };
const evicting = { health: { eviction: { duration: '1h' } } };

const counts = (...boxes: FakeOllama[]) => boxes.map((box) => inferencesOf(box).length);

interface ModelEntry {
  readonly name: string;
  readonly at: FakeOllama;
  readonly more?: object;
  readonly params?: object;
}

/** `llm` with one entry for each model, at a server with a key. */
function llmOf(models: readonly ModelEntry[], more: object = {}): object {
  return {
    config: { adminAddr: 'off', logging: { format: 'json' } },
    llm: {
      port: 3000,
      models: models.map(({ name, at, params, more: rest }) => ({
        name,
        provider: 'openAI',
        params: { baseUrl: `http://127.0.0.1:${at.port}/v1`, apiKey: 'sk-up', ...params },
        ...rest,
      })),
      ...more,
    },
  };
}

const codeOf = (reply: { json(): Json }): string => reply.json().error.code;

export function resilience(stage: Stage): void {
  const groups = (boxes: readonly FakeOllama[], policies: object = locked, inGroups = true, route: object = {}) =>
    herdOf(
      boxes.map((box, index) => ({ name: `up${index}`, at: box.port, policies })),
      { inGroups, policies: route },
    );

  describe('failover between other servers', () => {
    for (const status of [429, 500, 503]) {
      stage.it(`${status} → the next group, in the same request`, async () => {
        const [bad, good] = [await stage.box(no(status)), await stage.box()];
        const corral = await stage.corral({ yaml: groups([bad, good]) });
        const reply = await chat(corral.url, { seed: 7 });
        expect([reply.status, ...counts(bad, good)]).toEqual([200, 1, 1]);
        expect(inferencesOf(good)[0]?.json()).toMatchObject({ model: 'llama3.2', seed: 7 });
        expect(inferencesOf(good)[0]?.header('x-retry-attempt')).toBe('1');
      });
    }

    stage.it('400 is the client’s own', async () => {
      const [bad, good] = [await stage.box(no(400)), await stage.box()];
      const corral = await stage.corral({ yaml: groups([bad, good]) });
      expect([(await chat(corral.url)).status, ...counts(bad, good)]).toEqual([400, 1, 0]);
    });

    stage.it('in one group nothing is asked twice', async () => {
      const [first, second] = [await stage.box(no(503)), await stage.box(no(503))];
      const corral = await stage.corral({ yaml: groups([first, second], locked, false) });
      expect((await chat(corral.url)).status).toBe(503);
      expect(counts(first, second).reduce((sum, count) => sum + count)).toBe(1);
    });
  });

  describe('eviction', () => {
    stage.it('who failed is left alone, while others are there', async () => {
      const [bad, good] = [await stage.box(no(503)), await stage.box()];
      const corral = await stage.corral({ yaml: groups([bad, good], { ...locked, ...evicting }) });
      for (let times = 0; times < 4; times++) expect((await chat(corral.url)).status).toBe(200);
      expect(counts(bad, good)).toEqual([1, 4]);
    });

    stage.it('without it everybody is asked each time', async () => {
      const [bad, good] = [await stage.box(no(503)), await stage.box()];
      const corral = await stage.corral({ yaml: groups([bad, good]) });
      for (let times = 0; times < 3; times++) expect((await chat(corral.url)).status).toBe(200);
      expect(counts(bad, good)).toEqual([3, 3]);
    });

    stage.it('all evicted: they are asked anyway', async () => {
      const boxes = [await stage.box(no(503, 2)), await stage.box(no(503))];
      const corral = await stage.corral({ yaml: groups(boxes, { ...locked, ...evicting }) });
      expect((await chat(corral.url)).status).toBe(503);
      expect((await chat(corral.url)).status).toBe(503);
      expect((await chat(corral.url)).status).toBe(200);
    });

    stage.it('the expression says what is unhealthy; so many in a row', async () => {
      const [bad, good] = [await stage.box(no(404)), await stage.box()];
      const health = { unhealthyExpression: 'response.code == 404', eviction: { duration: '1h', consecutiveFailures: 2 } };
      const corral = await stage.corral({ yaml: groups([bad, good], { ...locked, health }) });
      const statuses = [];
      for (let times = 0; times < 4; times++) statuses.push((await chat(corral.url)).status);
      expect(statuses).toEqual([404, 404, 200, 200]);
    });
  });

  describe('retry', () => {
    stage.it('attempts are all tries; each says which one it is', async () => {
      for (const attempts of [1, 2, 4]) {
        const bad = await stage.box(no(500));
        const corral = await stage.corral({ yaml: groups([bad], locked, false, { retry: { attempts, codes: [500] } }) });
        expect((await chat(corral.url)).status).toBe(500);
        const tries = inferencesOf(bad).map((request) => request.header('x-retry-attempt'));
        expect(tries).toEqual([undefined, '1', '2', '3'].slice(0, attempts));
      }
    });

    stage.it('precondition and condition', async () => {
      const bad = await stage.box(no(418));
      const retry = {
        attempts: 2,
        codes: [],
        precondition: 'request.headers["x-again"] == "1"',
        condition: 'response.code == 418',
      };
      const corral = await stage.corral({ yaml: groups([bad], locked, false, { retry }) });
      await chat(corral.url);
      expect(counts(bad)).toEqual([1]);
      await chat(corral.url, {}, { 'x-again': '1' });
      expect(counts(bad)).toEqual([3]);
    });

    stage.it('a host backend gets its body again', async () => {
      const box = await stage.box(no(503, 1));
      const corral = await stage.corral({
        yaml: {
          config: { adminAddr: 'off' },
          binds: [
            {
              port: 3000,
              listeners: [
                {
                  routes: [{ policies: { retry: { attempts: 2, codes: [503] } }, backends: [{ host: `127.0.0.1:${box.port}` }] }],
                },
              ],
            },
          ],
        },
      });
      const content = 'x'.repeat(300_000);
      expect((await chat(corral.url, { messages: [{ role: 'user', content }] })).status).toBe(200);
      expect(inferencesOf(box).map((request) => (request.json() as Json).messages[0].content.length)).toEqual([300_000, 300_000]);
    });

    stage.it('a storm is bounded by the budget, and that is said', async () => {
      const bad = await stage.box(no(503));
      const corral = await stage.corral({ yaml: groups([bad], locked, false, { retry: { attempts: 10, codes: [503] } }) });
      const startedAt = performance.now();
      const replies = await Promise.all(Array.from({ length: 60 }, () => chat(corral.url)));
      const seconds = (performance.now() - startedAt) / 1_000;
      expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([503]));
      // 60 first tries, a fifth of that, ten at once, ten a second; 600 without a budget.
      expect(counts(bad)[0]).toBeGreaterThan(60);
      expect(counts(bad)[0]).toBeLessThanOrEqual(60 + 12 + 10 + Math.ceil(10 * seconds));
      expect(replies.some(({ headers }) => headers.get('x-corral-warning')?.includes('not tried again'))).toBe(true);
    });
  });

  describe('sessions', () => {
    const affine = { sessionAffinity: { source: 'request.headers["x-session"]' } };
    const herd = async (policies: object) => {
      const boxes = [await stage.box(), await stage.box(), await stage.box()];
      const yaml = herdOf(boxes.map((box, index) => ({ name: `b${index}`, at: box.port, policies }))) as Json;
      const corral = await stage.corral({ yaml });
      const of = async (session: string) => {
        const before = counts(...boxes);
        expect((await chat(corral.url, {}, { 'x-session': session })).status).toBe(200);
        return counts(...boxes).findIndex((count, index) => count > (before[index] ?? 0));
      };
      return { boxes, of };
    };

    stage.it('each stays at its own upstream; when that is gone it moves, and no other does', async () => {
      for (const policies of [affine, { ...affine, ...locked }]) {
        const { boxes, of } = await herd(policies);
        const names = Array.from({ length: 12 }, (_, index) => `session-${index}`);
        const first = [];
        for (const name of names) first.push(await of(name));
        expect(new Set(first).size).toBeGreaterThan(1);
        for (const [index, name] of names.entries()) expect(await of(name)).toBe(first[index]);
        const gone = first[0] ?? 0;
        await boxes[gone]?.refuse();
        for (const [index, name] of names.entries()) {
          const now = await of(name);
          if (first[index] === gone) expect(now).not.toBe(gone);
          else expect(now).toBe(first[index]);
        }
      }
    });
  });

  describe('virtual models', () => {
    const virtual = (routing: object) => ({ virtualModels: [{ name: 'v', routing }] });
    const ask3 = (url: string, more: object = {}) => chat(url, { model: 'v', ...more });
    const modelsOf = (box: FakeOllama) => inferencesOf(box).map((request) => (request.json() as Json).model);

    stage.it('weighted: as if its name had been asked for', async () => {
      const [a, b] = [await stage.box({ models: ['a'] }), await stage.box({ models: ['b'] })];
      const models = [
        { name: 'a', at: a },
        { name: 'b', at: b },
      ];
      const weighted = { targets: [{ model: 'a', weight: 0 }, { model: 'b' }] };
      const corral = await stage.corral({ yaml: llmOf(models, virtual({ weighted })) });
      expect((await ask3(corral.url)).status).toBe(200);
      expect([modelsOf(a), modelsOf(b)]).toEqual([[], ['b']]);
    });

    stage.it('failover: within the request, by priority; who was evicted is left alone', async () => {
      const [a, b] = [await stage.box({ models: ['a'], ...no(500) }), await stage.box({ models: ['b'] })];
      const models = [
        { name: 'a', at: a, more: evicting },
        { name: 'b', at: b },
      ];
      const failover = {
        targets: [
          { model: 'b', priority: 2 },
          { model: 'a', priority: 1 },
        ],
      };
      const corral = await stage.corral({ yaml: llmOf(models, virtual({ failover })) });
      for (const stream of [false, true]) expect((await ask3(corral.url, { stream })).status).toBe(200);
      expect([modelsOf(a), modelsOf(b)]).toEqual([['a'], ['b', 'b']]);
    });

    stage.it('conditional: the call decides; none fits: 400', async () => {
      const [a, b] = [await stage.box({ models: ['a'] }), await stage.box({ models: ['b'] })];
      const models = [
        { name: 'a', at: a },
        { name: 'b', at: b },
      ];
      const conditional = {
        targets: [
          { when: 'llmRequest.max_tokens > 100', model: 'a' },
          { when: 'request.headers["x-small"] == "1"', model: 'b' },
        ],
      };
      const corral = await stage.corral({ yaml: llmOf(models, virtual({ conditional })) });
      expect((await ask3(corral.url, { max_tokens: 200 })).status).toBe(200);
      expect((await chat(corral.url, { model: 'v', max_tokens: 1 }, { 'x-small': '1' })).status).toBe(200);
      const none = await ask3(corral.url, { max_tokens: 1 });
      expect([none.status, codeOf(none)]).toEqual([400, 'virtual_model_no_matching_target']);
      expect([modelsOf(a), modelsOf(b)]).toEqual([['a'], ['b']]);
    });
  });

  describe('entries of llm.models', () => {
    stage.it('rules of their own: 403 and not listed, for those whom they do not let', async () => {
      const box = await stage.box({ models: ['open', 'closed'] });
      const authorization = { rules: ['request.headers["x-a"] == "1"'] };
      const yaml = llmOf([
        { name: 'open', at: box },
        { name: 'closed', at: box, more: { authorization } },
      ]);
      const corral = await stage.corral({ yaml });
      const refused = await chat(corral.url, { model: 'closed' });
      expect([refused.status, codeOf(refused)]).toEqual([403, 'model_authorization_denied']);
      expect((await chat(corral.url, { model: 'closed' }, { 'x-a': '1' })).status).toBe(200);
      const listed = async (headers: Record<string, string>) =>
        (await ask(`${corral.url}/v1/models`, { headers })).json().data.map(({ id }: Json) => id);
      expect(await listed({})).toEqual(['open']);
      expect(await listed({ 'x-a': '1' })).toEqual(['closed', 'open']);
    });

    stage.it('transformation, guardrails and limits; passthrough changes nothing', async () => {
      const box = await stage.box({ models: ['m', 'raw'] });
      const yaml = llmOf(
        [
          { name: 'm', at: box, more: { transformation: { seed: 'int(llmRequest.seed) + 1' } } },
          { name: 'raw', at: box, more: { passthrough: 'detect', overrides: { seed: 9 } } },
        ],
        {
          policies: {
            guardrails: { request: [{ regex: { action: 'reject', rules: [{ pattern: 'forbidden' }] } }] },
            localRateLimit: [{ maxTokens: 4, tokensPerFill: 1, fillInterval: '1h' }],
          },
        },
      );
      const corral = await stage.corral({ yaml });
      expect((await chat(corral.url, { model: 'm', seed: 1 })).status).toBe(200);
      const guarded = await chat(corral.url, { model: 'm', seed: 1, messages: [{ role: 'user', content: 'forbidden' }] });
      expect(guarded.status).toBe(403);
      const text = '{"model":"raw",  "messages":[{"role":"user","content":"hi"}],"seed":1}';
      expect((await ask(`${corral.url}/v1/chat/completions`, { body: text })).status).toBe(200);
      expect(inferencesOf(box).map((request) => (request.json() as Json).seed)).toEqual([2, 1]);
      expect(inferencesOf(box)[1]?.body).toBe(text);
      expect((await chat(corral.url, { model: 'm', seed: 1 })).status).toBe(200);
      expect((await chat(corral.url, { model: 'm', seed: 1 })).status).toBe(429);
    });

    stage.it('paths that nobody knows go where the model in the body belongs', async () => {
      const [a, b] = [await stage.box(), await stage.box()];
      const corral = await stage.corral({
        yaml: llmOf([
          { name: 'a', at: a },
          { name: 'b', at: b },
        ]),
      });
      await ask(`${corral.url}/v1/rerank`, { body: { model: 'b', query: 'q' } });
      expect(b.requests.filter(isPath('/v1/rerank'))).toHaveLength(1);
      const nameless = await ask(`${corral.url}/v1/rerank`, { body: { query: 'q' } });
      expect([nameless.status, nameless.text]).toEqual([400, expect.stringContaining('name a model in the body')]);
      expect(a.requests.filter(isPath('/v1/rerank'))).toHaveLength(0);
      expect(errorOf(await chat(corral.url, { model: 'c' }))).toContain('Model not found');
    });
  });
}
