import { describe, expect, test } from 'vitest';
import { runner } from './fake-herd.ts';
import { boxes, json, keys, stageOf, withKey } from './words.ts';

describe('lists', () => {
  const yaml = boxes(['a', 'b'], {
    listener: keys('{ key: all }', '{ key: some, allowedModels: ["llama*", fast] }', '{ key: none, allowedModels: [] }'),
    route: '{ ai: { modelAliases: { fast: "llama3.2:1b", "gpt-*": x, cheap: "qwen3:cloud" } } }',
  });

  function herdOf() {
    const stage = stageOf(yaml);
    stage.herd.know('a', { models: ['llama3.2:1b', 'mistral:latest'], running: [runner('mistral:latest')] });
    stage.herd.know('b', {
      models: ['llama3.2:1b', 'qwen3:cloud', 'hidden'],
      remote: ['hidden'],
      running: [runner('llama3.2:1b')],
    });
    return stage;
  }

  const namesOf = async (key: string, path: string, headers: Record<string, string> = {}) => {
    const { text } = await herdOf().read(path, { headers: { ...withKey(key).headers, ...headers } });
    const body = JSON.parse(text) as { data?: { id: string }[]; models?: { name: string }[] };
    return (body.data?.map(({ id }) => id) ?? body.models?.map(({ name }) => name) ?? []).sort();
  };

  test.each(['/v1/models', '/api/tags'])('%s: the union, aliases, nothing of the cloud', async (path) => {
    expect(await namesOf('all', path)).toEqual(['cheap', 'fast', 'llama3.2:1b', 'mistral:latest']);
  });

  test.each(['/v1/models', '/api/tags'])('%s: a key sees what it may use', async (path) => {
    expect(await namesOf('some', path)).toEqual(['fast', 'llama3.2:1b']);
    expect(await namesOf('none', path)).toEqual([]);
  });

  test('Anthropic’s clients get their own shape', async () => {
    const { text } = await herdOf().read('/v1/models?limit=1', {
      headers: { ...withKey('some').headers, 'anthropic-version': '2023-06-01' },
    });
    expect(JSON.parse(text)).toMatchObject({ data: [{ type: 'model', id: 'llama3.2:1b' }], has_more: true });
  });

  test('what runs, as far as the key may see', async () => {
    expect(await namesOf('all', '/api/ps')).toEqual(['llama3.2:1b', 'mistral:latest']);
    expect(await namesOf('some', '/api/ps')).toEqual(['llama3.2:1b']);
  });

  test('nothing known is an empty list, not an error; no box is asked while a client waits', async () => {
    const stage = stageOf(boxes(['a']));
    expect((await stage.read('/v1/models')).text).toBe('{"object":"list","data":[]}\n');
    expect((await stage.read('/api/tags')).text).toBe('{"models":[]}');
    expect(stage.sent).toEqual([]);
    expect(stage.herd.learned).toBe(2);
  });

  test('one model, by any spelling; aliases too; else the names that the key may see', async () => {
    const stage = herdOf();
    const ask = (id: string, key: string) => stage.read(`/v1/models/${id}`, withKey(key));
    expect(JSON.parse((await ask('MISTRAL', 'all')).text)).toMatchObject({ id: 'MISTRAL', object: 'model' });
    expect((await ask('fast', 'some')).status).toBe(200);
    const { status, text } = await ask('mistral', 'some');
    expect(status).toBe(404);
    expect(text).toContain('llama3.2:1b');
    expect(text).toContain('fast');
    expect(text).not.toContain('mistral:latest');
  });

  test('a route to other hosts alone passes the question on', async () => {
    const other = `{ ai: { name: a, hostOverride: "a:1", provider: { openAI: {} } }, policies: { backendAuth: { key: k } } }`;
    const stage = stageOf(boxes([other]), { a: json({ data: [] }) });
    await stage.read('/v1/models?x=1');
    expect(stage.sent.map(({ url }) => url)).toEqual(['http://a:1/v1/models?x=1']);
  });

  test('llm lists what its entries take', async () => {
    const stage = stageOf(`llm:
  models:
    - { name: "llama*", provider: ollama }
    - { name: fast, provider: ollama, params: { model: "qwen3:0.6b" } }
    - { name: "qwen*", visibility: internal, provider: ollama }
  virtualModels: [{ name: smart, routing: { weighted: { targets: [{ model: llama3.2 }] } } }]`);
    stage.herd.know('ollama', { models: ['llama3.2:latest', 'qwen3:0.6b', 'mistral:latest'] });
    const { text } = await stage.read('/v1/models');
    expect(JSON.parse(text).data.map(({ id }: { id: string }) => id)).toEqual(['llama3.2:latest', 'fast', 'smart']);
  });
});
