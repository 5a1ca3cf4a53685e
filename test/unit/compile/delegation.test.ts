import { describe, expect, test } from 'vitest';
import { createStage } from '../answers/stage.ts';

const yaml = `
gateways: {default: {port: 3000}}
routes:
- name: api
  matches: [{path: {pathPrefix: /api}, headers: [{name: x-team, value: {exact: a}}]}]
  policies: {responseHeaderModifier: {set: {x-parent: "1"}}}
  backends: [{routeGroup: teams}]
- name: rest
  backends: [{host: "rest:80"}]
- name: circle
  matches: [{path: {exact: /circle}}]
  backends: [{routeGroup: round}]
routeGroups:
- name: teams
  routes:
  - {name: one, matches: [{path: {pathPrefix: /api/one}}], backends: [{host: "one:80"}]}
  - name: two
    matches: [{path: {pathPrefix: /api/two}}]
    policies: {responseHeaderModifier: {set: {x-child: "1"}}, urlRewrite: {path: {prefix: /}}}
    backends: [{host: "two:80"}]
- {name: round, routes: [{backends: [{routeGroup: round}]}]}
`;

const team = { 'x-team': 'a' };

describe('routes that hand over to groups', () => {
  test("the child's route is matched on the whole path, under the parent's conditions", async () => {
    const stage = createStage(yaml);
    const inherited = await stage.read('/api/one/x?q=1', { headers: team });
    expect(stage.sent[0]?.url).toBe('http://one:80/api/one/x?q=1');
    expect(inherited.headers.get('x-parent')).toBe('1');
    expect(stage.told[0]?.exchange.routeName).toBe('one');

    await stage.read('/api/one/x');
    expect(stage.sent[1]?.url).toBe('http://rest:80/api/one/x');
  });

  test("a policy of the child's replaces the parent's, and rewrites by the child's prefix", async () => {
    const stage = createStage(yaml);
    const { headers } = await stage.read('/api/two/x', { headers: team });
    expect(stage.sent[0]?.url).toBe('http://two:80/x');
    expect([headers.get('x-parent'), headers.get('x-child')]).toEqual([null, '1']);
  });

  test('what no child takes is not found, and is not tried elsewhere', async () => {
    const stage = createStage(yaml);
    expect(await stage.read('/api/three', { headers: team })).toMatchObject({ status: 404, text: 'route not found' });
    expect(stage.sent).toEqual([]);
  });

  test('a circle is told, not followed', async () => {
    const stage = createStage(yaml);
    expect(await stage.read('/circle')).toMatchObject({ status: 500, text: 'route delegation cycle detected' });
  });
});

describe('policies that are attached by name', () => {
  const attached = (target: string, policy: string, phase = 'route') => `
policies:
- name: {name: p, namespace: default}
  target: ${target}
  phase: ${phase}
  policy: ${policy}
binds:
- port: 3000
  listeners:
  - name: l
    routes:
    - {name: a, ruleName: first, matches: [{path: {pathPrefix: /a}}], backends: [{backend: box}]}
    - {name: b, policies: {responseHeaderModifier: {set: {x-inline: "1"}}}, backends: [{host: "b:80"}]}
backends: [{name: box, host: "box:80"}]
`;
  const stamp = '{responseHeaderModifier: {set: {x-attached: "1"}}}';
  const gateway = '{gateway: {gatewayName: default, gatewayNamespace: default, listenerName: l}}';

  test.each([
    ['a gateway', '{gateway: {gatewayName: default, gatewayNamespace: default}}', ['1', null]],
    ['its listener', gateway, ['1', null]],
    ['another listener', '{gateway: {gatewayName: default, gatewayNamespace: default, listenerName: m}}', [null, null]],
    ['its port', '{gateway: {gatewayName: default, gatewayNamespace: default, port: 3000}}', ['1', null]],
    ['another port', '{gateway: {gatewayName: default, gatewayNamespace: default, port: 3001}}', [null, null]],
    ['a route', '{route: {name: a, namespace: default}}', ['1', null]],
    ['a rule of it', '{route: {name: a, namespace: default, ruleName: first}}', ['1', null]],
    ['another rule', '{route: {name: a, namespace: default, ruleName: second}}', [null, null]],
    ['another namespace', '{route: {name: a, namespace: other}}', [null, null]],
    ['a backend', '{backend: {backend: {name: box, namespace: default}}}', ['1', null]],
  ])('%s', async (_, target, expected) => {
    const stage = createStage(attached(target, stamp));
    const [first, second] = [await stage.read('/a'), await stage.read('/b')];
    // Route b has one of its own, which replaces what comes from further out.
    expect([first.headers.get('x-attached'), second.headers.get('x-attached')]).toEqual(expected);
    expect(second.headers.get('x-inline')).toBe('1');
  });

  test('one that names nothing does nothing, and that is said', () => {
    const nowhere = '{gateway: {gatewayName: defalt, gatewayNamespace: default}}';
    const { warnings } = createStage(attached(nowhere, '{apiKey: {keys: [{key: secret}]}}', 'gateway')).plan;
    expect(warnings).toContain('policies[0].target: names nothing here that serves requests, so this policy does nothing');
    expect(createStage(attached(gateway, stamp)).plan.warnings.join()).not.toContain('names nothing');
  });

  test('one provider of a backend has its own', async () => {
    const providers = ['one', 'two'].map((name) => ({ name, hostOverride: `${name}:1`, provider: { openAI: { model: name } } }));
    const rule = { authorization: { rules: [{ deny: 'request.headers["x-who"] == "eve"' }] } };
    const stage = createStage(
      JSON.stringify({
        binds: [{ port: 3000, listeners: [{ routes: [{ backends: [{ backend: 'b' }] }] }] }],
        backends: [{ name: 'b', ai: { groups: [{ providers }] } }],
        policies: [{ name: { name: 'p' }, target: { backend: { backend: { name: 'b', section: 'one' } } }, policy: rule }],
      }),
    );
    const chat = { model: 'one', messages: [] };
    const statusFor = async (who: string) =>
      (await stage.read('/v1/chat/completions', { body: chat, headers: { 'x-who': who } })).status;
    expect([await statusFor('ann'), await statusFor('eve')]).toEqual([200, 403]);
  });

  test('one for all routes of a gateway holds for the models of llm, at each try as well', async () => {
    const promptGuard = { request: [{ regex: { action: 'reject', rules: [{ pattern: 'secret' }] } }] };
    const stage = createStage(
      JSON.stringify({
        gateways: { default: { port: 3000 } },
        policies: [{ name: { name: 'p' }, target: { gateway: { gatewayName: 'default' } }, policy: { ai: { promptGuard } } }],
        llm: { models: [{ name: '*', provider: 'openAI', params: { baseUrl: 'http://box:1/v1' } }] },
      }),
    );
    const body = { model: 'm', messages: [{ role: 'user', content: 'a secret' }] };
    expect((await stage.read('/v1/chat/completions', { body })).status).toBe(403);
    expect(stage.sent).toEqual([]);
  });

  test('a lock before the route is chosen holds for paths that no route has', async () => {
    const stage = createStage(
      attached(gateway, '{apiKey: {keys: [{key: secret}]}}', 'gateway').replace(
        '- {name: b,',
        '- {name: b, matches: [{path: {exact: /b}}],',
      ),
    );
    expect((await stage.read('/nowhere')).status).toBe(401);
    expect((await stage.read('/nowhere', { headers: { authorization: 'Bearer secret' } })).status).toBe(404);
  });

  test.each([
    ['two policies', '{route: {name: a, namespace: default}}', '{cors: {}, timeout: {}}', 'route', /exactly one policy/],
    ['no policy', '{route: {name: a, namespace: default}}', '{}', 'route', /exactly one policy/],
    ['a route before routes', '{route: {name: a, namespace: default}}', '{cors: {}}', 'gateway', /targets of kind gateway/],
    [
      'two targets',
      `{route: {name: a, namespace: default}, ${gateway.slice(1)}`,
      '{cors: {}}',
      'route',
      /exactly one of: gateway, route, backend/,
    ],
    ['what cannot stand there', gateway, '{timeout: {}}', 'gateway', /may stand on a route/],
    ['a service', '{backend: {service: {hostname: a, namespace: b}}}', '{cors: {}}', 'route', /Kubernetes/],
  ])('%s is an error', (_, target, policy, phase, message) => {
    expect(() => createStage(attached(target, policy, phase))).toThrow(message);
  });
});
