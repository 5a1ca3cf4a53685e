import { describe, expect, it } from 'vitest';
import { cordonedError } from '../../../src/exchange/cordoned.ts';
import { boxes, chat, json, keys, stageOf, withKey } from './words.ts';

const answers = { a: json({ from: 'a' }), b: json({ from: 'b' }) };
const out = { isCordoned: true, turnsAway: cordonedError('a') };

describe('a box that is out of service', () => {
  it('gets nothing while another one may serve', async () => {
    const stage = stageOf(boxes(['a', 'b']), answers);
    stage.herd.know('a', { ...out, models: ['m'] });
    stage.herd.know('b', { models: ['m'] });
    for (const path of ['/v1/chat/completions', '/api/chat', '/v1/embeddings'])
      expect((await stage.read(path, chat('m', { input: 'x' }))).status).toBe(200);
    expect(new Set(stage.sent.map(({ url }) => new URL(url).hostname))).toEqual(new Set(['b']));
  });

  it('refuses where nobody else has the model, with 503, the mend, and the shape of the protocol', async () => {
    const stage = stageOf(boxes(['a', 'b']), { ...answers, b: json({ error: "model 'm' not found" }, 404) });
    stage.herd.know('a', { ...out, models: ['m'] });
    stage.herd.know('b', { models: ['other'] });
    const { status, headers, text } = await stage.read('/v1/chat/completions', chat('m'));
    expect([status, headers.get('retry-after')]).toEqual([503, '30']);
    expect(JSON.parse(text).error.message).toContain('a is out of service and no other box can take this. Put it back with');
    expect(JSON.parse((await stage.read('/api/chat', chat('m'))).text).error).toContain('corral fleet uncordon a');
  });

  it('gets no opened path either, but what manages it, lists and probes', async () => {
    const yaml = boxes(['a'], {
      listener: keys('{ key: admin, metadata: { scopes: [admin] } }'),
      more: 'fleet: { openPaths: ["POST /api/new"] }',
    });
    const stage = stageOf(yaml, answers);
    stage.herd.know('a', out);
    const post = { method: 'POST', body: { model: 'm' }, ...withKey('admin') };
    expect((await stage.read('/api/new', post)).status).toBe(503);
    expect(stage.sent).toEqual([]);
    expect((await stage.read('/api/pull', post)).status).toBe(200);
    expect((await stage.read('/api/version', withKey('admin'))).status).toBe(200);
    expect((await stage.read('/_corral/boxes/a/api/tags', withKey('admin'))).status).toBe(200);
  });
});
