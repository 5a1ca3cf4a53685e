/** The command at the end of a start asks a place that answers. */
import { describe, expect, it } from 'vitest';
import { type Trial, trialOf } from '../../../src/cli/try-it.ts';
import { openGateway } from '../../../src/entry/open.ts';
import type { Settings } from '../../../src/entry/settings.ts';
import { createQuietPlatform } from '../../support/quiet-platform.ts';
import { plainSettings } from '../../support/settings.ts';

async function trial(text: string, more: Partial<Settings> = {}): Promise<Trial | undefined> {
  const result = await openGateway(plainSettings(text, more), createQuietPlatform());
  if (!result.ok) throw new Error(result.problems.join('\n'));
  return trialOf(result.opened.plan.binds);
}

const box = (name: string, model = 'm') =>
  `backends: [{ ai: { name: ${name}, hostOverride: "${name}:1", provider: { openAI: { model: ${model} } } } }]`;
const prefix = (path: string) => `matches: [{ path: { pathPrefix: ${path} } }]`;
const bind = (...routes: string[]) =>
  `binds:\n- port: 3000\n  listeners:\n  - routes:\n${routes.map((route) => `    - { ${route} }\n`).join('')}`;

const chat = '/v1/chat/completions';

describe('where a first request is tried', () => {
  it('is the first route that takes chat completions as they are', async () => {
    expect(await trial(bind(`${prefix('/team')}, ${box('a')}`, `${prefix('/v1')}, ${box('b')}`))).toMatchObject({
      port: 3000,
      path: chat,
      lock: 'none',
      upstreams: new Set(['b']),
      models: [{ name: 'm', box: 'b' }],
    });
  });

  it('is below a prefix where there is nothing else', async () => {
    expect(await trial(bind(`${prefix('/team')}, ${box('a')}`))).toMatchObject({ path: `/team${chat}` });
  });

  it.each([
    ['a route without models', 'backends: [{ host: "x:1" }]'],
    ['a route that answers itself', `policies: { directResponse: { status: 200, body: hi } }, ${box('a')}`],
    [
      'a condition on headers',
      `matches: [{ path: { pathPrefix: / }, headers: [{ name: x, value: { exact: y } }] }], ${box('a')}`,
    ],
    ['another path', `matches: [{ path: { exact: /health } }], ${box('a')}`],
    ['another method', `matches: [{ path: { pathPrefix: / }, method: GET }], ${box('a')}`],
    ['another host', `hostnames: [llm.example], ${box('a')}`],
  ])('is not %s', async (_, route) => {
    expect(await trial(bind(route))).toBeUndefined();
  });

  it.each([
    ['key', 'apiKey: { keys: [{ key: abc }] }'],
    ['password', 'basicAuth: { htpasswd: "a:{SHA}fEqNCco3Yq9h5ZUglD3CZJT4lBs=" }'],
    ['none', 'timeout: { requestTimeout: 5s }'],
  ])('asks for: %s', async (lock, policy) => {
    expect(await trial(bind(`policies: { ${policy} }, ${box('a')}`))).toMatchObject({ lock });
  });

  it.each([
    ['an admin token alone', bind(box('a')), { adminToken: 'of-the-admin' }, 'none'],
    [
      'keys that nobody has to have',
      bind(`policies: { apiKey: { mode: optional, keys: [{ key: abc }] } }, ${box('a')}`),
      {},
      'none',
    ],
    ['keys of all listeners', bind(box('a')), { apiKey: 'of-everybody' }, 'key'],
  ])('asks for what is really needed: %s', async (_, text, more, lock) => {
    expect(await trial(text, more)).toMatchObject({ lock });
  });

  it('is nowhere at a relay, which lets in other Corrals alone, unless it has a key for clients', async () => {
    const relay = { isRelay: true, relaySecret: 'what-both-ends-of-the-leg-know' };
    expect(await trial(bind(box('a')), relay)).toBeUndefined();
    expect(await trial(bind(`policies: { apiKey: { keys: [{ key: abc }] } }, ${box('a')}`), relay)).toMatchObject({
      lock: 'key',
    });
  });

  it('knows the names that the llm section takes', async () => {
    const found = await trial(
      'llm: { port: 4000, models: [{ name: fast, provider: ollama, params: { model: "llama3.2:1b" } }] }',
    );
    expect(found).toMatchObject({ port: 4000, path: chat, models: [{ name: 'fast', box: undefined }] });
    expect(found?.lists('llama3.2:1b')).toBe(false);
  });

  it('is found in route groups', async () => {
    const groups = `routeGroups:\n- name: g\n  routes: [{ ${prefix('/team')}, ${box('a')} }]\n`;
    expect(await trial(`${bind(`${prefix('/team')}, backends: [{ routeGroup: g }]`)}${groups}`)).toMatchObject({
      path: `/team${chat}`,
      upstreams: new Set(['a']),
    });
  });
});
