/** What must stay shut whatever policies stand together: each of these was open once. */
import { describe, expect, it } from 'vitest';
import { client, createStage, type Sent } from './stage.ts';

const chat = { model: 'm', messages: [{ role: 'user', content: 'Hello' }] };
const box = [{ ai: { name: 'desk', hostOverride: 'desk:1', provider: { openAI: {} } } }];

/** One route with these policies, to one box unless other backends are given. */
function yamlOf(policies: object, { backends = box, listener = {} }: { backends?: readonly object[]; listener?: object } = {}) {
  return JSON.stringify({
    binds: [{ port: 3000, listeners: [{ policies: listener, routes: [{ name: 'r', policies, backends }] }] }],
  });
}

describe('the host that a client asked for', () => {
  it('is not what a transformation has made of it, where a network stands for a key', async () => {
    const apiKey = { keys: [{ key: 'k', metadata: { name: 'lan', networks: ['192.168.0.0/16'] } }] };
    const listener = { transformations: { request: { set: { ':authority': '"localhost"' } } } };
    const stage = createStage(yamlOf({ apiKey }, { listener }));
    const ask = (host: string) => stage.read('/v1/chat/completions', { body: chat, host, client: client(3000, '192.168.1.7') });
    expect((await ask('gateway.lan')).status).toBe(200);
    const foreign = await ask('evil.example.com');
    expect([foreign.status, JSON.parse(foreign.text).error.code]).toEqual([401, 'api_key_missing']);
    expect(foreign.text).toContain('evil.example.com');
  });
});

describe('a header that a policy has set', () => {
  it.each(['transformations', 'extAuthz'])('cannot be taken away by naming it in Connection (%s)', async (name) => {
    const policies: Record<string, object> = {
      transformations: { transformations: { request: { set: { 'x-user': '"bob"' } } } },
      extAuthz: { extAuthz: { host: 'authz:1', protocol: { http: { includeResponseHeaders: ['x-user'] } } } },
    };
    const script = ({ url }: Sent) => (url.startsWith('http://authz') ? { headers: { 'x-user': 'bob' } } : {});
    const stage = createStage(yamlOf(policies[name] ?? {}, { backends: [{ host: 'up:81' }] }), { script });
    await stage.read('/x', { headers: { connection: 'x-user, x-own', 'x-user': 'root', 'x-own': '1' } });
    expect(stage.sent.at(-1)?.headers).toEqual({ 'x-user': 'bob' });
  });
});

describe('limits of routes with one name', () => {
  const answers = { directResponse: { status: 204 } };
  const tight = { localRateLimit: [{ maxTokens: 1, tokensPerFill: 1, fillInterval: '1h' }], ...answers };
  const wide = { localRateLimit: [{ maxTokens: 100, tokensPerFill: 100, fillInterval: '1s' }], ...answers };
  const at = (pathPrefix: string) => [{ path: { pathPrefix } }];

  it.each([
    ['twice in a listener', {}, { name: 'r', matches: at('/wide'), policies: wide }],
    [
      'in a group',
      { routeGroups: [{ name: 'g', routes: [{ name: 'r', matches: at('/wide'), policies: wide }] }] },
      { name: 'parent', matches: at('/wide'), backends: [{ routeGroup: 'g' }] },
    ],
  ])('are not one another: %s', async (_, more, other) => {
    const routes = [{ name: 'r', matches: at('/tight'), policies: tight }, other];
    const stage = createStage(JSON.stringify({ binds: [{ port: 3000, listeners: [{ routes }] }], ...more }));
    const statusOf = async (path: string) => (await stage.read(path)).status;
    expect([await statusOf('/tight'), await statusOf('/tight')]).toEqual([204, 429]);
    await stage.clock.advance(2_000);
    expect(await statusOf('/wide')).toBe(204);
    expect(await statusOf('/tight')).toBe(429);
  });
});
