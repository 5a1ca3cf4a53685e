/** Policies made of CEL (issue 4: "Policies"; `docs/cel.md`): who may pass, and what is made of requests and answers. */
import { beforeAll, describe, expect } from 'vitest';
import type { FakeOllama } from '../support/fake-ollama/index.ts';
import type { RunningCorral } from '../support/runtimes/index.ts';
import { ask, chat, herdOf, inferencesOf, type Stage } from './stage.ts';

export function expressions(stage: Stage): void {
  describe('expressions: rules and transformations', () => {
    let box: FakeOllama;
    let corral: RunningCorral;
    beforeAll(async () => {
      box = await stage.box({ models: ['llama3.2'] });
      const policies = {
        authorization: {
          rules: [
            'default(request.headers["x-team"], "") in ["blue", "green"]',
            { deny: 'json(request.body).messages.exists(m, m.content.matches("(?i)top\\\\s+secret"))' },
            { require: 'cidr("127.0.0.0/8").containsIP(source.address) || !has(source.address)' },
          ],
        },
        transformations: {
          conditional: [
            {
              condition: 'request.headers["x-team"] == "green"',
              response: { set: { ':status': '202' }, body: '{"team": metadata.team, "model": json(response.body).model}' },
              request: { metadata: { team: 'request.headers["x-team"].upperAscii()' } },
            },
            {
              request: { body: 'json(request.body).merge({"seed": 7})' },
              response: { set: { 'x-code': 'response.code + 1' } },
            },
          ],
        },
      };
      corral = await stage.corral({ yaml: herdOf([{ name: 'desk', at: box.port }], { policies }) });
    });

    stage.it('a rule lets pass or not, by headers and by body', async () => {
      const statusOf = async (team: string, content = 'Hello') =>
        (await chat(corral.url, { messages: [{ role: 'user', content }] }, team === '' ? {} : { 'x-team': team })).status;
      expect(await statusOf('blue')).toBe(200);
      expect(await statusOf('red')).toBe(403);
      expect(await statusOf('')).toBe(403);
      expect(await statusOf('blue', 'This is TOP  secret.')).toBe(403);
    });

    stage.it('the request’s body and the answer’s headers are edited', async () => {
      const reply = await chat(corral.url, {}, { 'x-team': 'blue' });
      expect([reply.status, reply.headers.get('x-code')]).toEqual([200, '201']);
      expect(JSON.parse(inferencesOf(box).at(-1)?.body ?? '{}')).toMatchObject({ seed: 7 });
    });

    stage.it('an answer gets another status and another body', async () => {
      const reply = await chat(corral.url, {}, { 'x-team': 'green' });
      expect([reply.status, JSON.parse(reply.text)]).toEqual([202, { team: 'GREEN', model: 'llama3.2' }]);
    });
  });

  describe('expressions: networks', () => {
    stage.it('a client may be refused by its address', async () => {
      const box = await stage.box({ models: ['llama3.2'] });
      const networkAuthorization = { rules: [{ deny: 'cidr("127.0.0.0/8").containsIP(source.address)' }] };
      const corral = await stage.corral({
        yaml: herdOf([{ name: 'desk', at: box.port }], { frontendPolicies: { networkAuthorization } }),
      });
      const { status, text } = await ask(`${corral.url}/v1/models`);
      // Workers are told no address here, and a rule that fails does not deny.
      if (stage.runtime === 'workerd') expect(status).toBe(200);
      else expect([status, JSON.parse(text)]).toMatchObject([403, { error: { code: 'network_refused' } }]);
    });
  });
}
