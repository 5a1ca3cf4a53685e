// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is the YAML's own way to name a variable.
import { describe, expect, it } from 'vitest';
import { formatDiagnostic, type LoadResult, loadConfig } from '../../../src/config/load.ts';
import { maskedConfig } from '../../../src/config/masked.ts';
import type { Config } from '../../../src/config/schema.ts';

interface World {
  readonly env?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
}

function load(text: string, { env = {}, files }: World = {}): LoadResult {
  return loadConfig(text, {
    name: 'gateway.yaml',
    env: (name) => env[name],
    ...(files === undefined
      ? {}
      : {
          readFile(path: string) {
            const content = files[path];
            if (content === undefined) throw new Error('no such file or directory');
            return content;
          },
        }),
  });
}

function configOf(text: string, world?: World): Config {
  const result = load(text, world);
  if (!result.ok) throw new Error(result.errors.map(formatDiagnostic).join('\n'));
  return result.config;
}

/** `line:column path: message` of each error. */
function errorsOf(text: string, world?: World): string[] {
  const result = load(text, world);
  return result.ok ? [] : result.errors.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
}

const box = `
      backends:
      - ai:
          name: ollama
          hostOverride: localhost:11434
          provider:
            openAI: {}`;

/** A configuration with one route, whose policies are given. */
function withPolicies(policies: string): string {
  const indented = policies.replace(/^/gm, '        ');
  return `binds:\n- port: 3000\n  listeners:\n  - routes:\n    - policies:\n${indented}${box}\n`;
}

describe('files that are no configuration', () => {
  it.each([
    ['an empty file', '', '1:1 : the file is empty; expected keys such as "binds", "gateways" or "llm"'],
    ['only comments', '# nothing\n# here\n', '1:1 : the file is empty; expected keys such as "binds", "gateways" or "llm"'],
    ['null', 'null\n', '1:1 : the file is empty; expected keys such as "binds", "gateways" or "llm"'],
    ['a list', '- a\n', '1:1 : the file is a list; expected keys such as "binds", "gateways" or "llm"'],
    ['a single value', 'hello\n', '1:1 : the file is a single value; expected keys such as "binds", "gateways" or "llm"'],
    ['a tab', 'binds:\n\t- port: 3000\n', '2:1 : a tab stands where YAML wants spaces'],
    ['two documents', 'binds: []\n---\nbinds: []\n', '2:1 : a second document begins here; a configuration is one document'],
    ['a tag', 'binds: !list []\n', '1:8 : YAML tags ("!…") mean nothing here'],
    ['a key that is a list', 'binds: []\n? [a]\n: 1\n', '2:3 : a key must be a plain text'],
    ['a template left unfilled', 'binds:\n- port: {{ port }}\n  listeners: []\n', '2:10 : a key must be a plain text'],
    ['an unknown alias', 'binds: *nothing\n', '1:8 : the alias "*nothing" has no anchor "&nothing" above it'],
    ['an alias of itself', 'binds: &b [*b]\n', '1:12 : the alias "*b" stands inside of what it repeats'],
    ['a repeated key', 'binds: []\nbinds: []\n', '2:1 binds: this key stands here twice'],
  ])('%s', (_, text, expected) => {
    expect(errorsOf(text)).toEqual([expected]);
  });

  it.each([
    ['an unclosed quote', 'binds: "a\n'],
    ['an unclosed bracket', 'binds: [\n'],
    ['a missing colon', 'binds:\n- port 3000\n  listeners: []\n'],
    ['bad indentation', 'binds:\n  - port: 1\n - port: 2\n'],
    ['a nested mapping on one line', 'binds: a: b\n'],
    ['broken JSON', '{"binds": [}'],
  ])('%s', (_, text) => {
    const [first] = errorsOf(text);
    expect(first).toMatch(/^\d+:\d+ /);
  });

  it('a bomb of aliases', () => {
    const bomb = [
      'a0: &a0 [x, x, x, x, x, x, x, x, x, x]',
      ...Array.from({ length: 9 }, (_, n) => `a${n + 1}: &a${n + 1} [${`*a${n}, `.repeat(9)}*a${n}]`),
    ];
    expect(errorsOf(bomb.join('\n'))).toEqual(['1:1 : the file repeats too much through aliases']);
  });

  it('brackets nested without end', () => {
    expect(errorsOf(`binds: ${'['.repeat(100_000)}`)).toHaveLength(1);
  });

  it.each([
    ['lists', `llm: ${'['.repeat(250)}${']'.repeat(250)}`],
    ['maps', `llm: ${'{a: '.repeat(120)}1${'}'.repeat(120)}`],
    ['lists, deeper than the parser goes', `llm: ${'['.repeat(5_000)}${']'.repeat(5_000)}`],
    [
      'aliases',
      Array.from({ length: 8 }, (_, index) => {
        const inner = index === 0 ? '1' : `*x${index - 1}`;
        return `x${index}: &x${index} ${'['.repeat(40)}${inner}${']'.repeat(40)}`;
      }).join('\n'),
    ],
  ])('nested deeply: %s', (_, text) => {
    expect(errorsOf(text).at(-1)).toMatch(/^\d+:\d+ : the file is nested too deeply$/);
  });

  it('counts lines also behind what makes no sense', () => {
    // The text that begins with the second quote goes over a line end.
    const text = '[binds:\n  - a: x["b"] == "c"\n    d: 1\n]\ne: 1\n  f: 2\n';
    const lines = errorsOf(text).map((error) => Number(error.split(':')[0]));
    expect(Math.max(...lines)).toBeGreaterThanOrEqual(5);
    expect(lines).toEqual([...lines].sort((first, second) => first - second));
  });

  it('more than 4 MiB', () => {
    expect(errorsOf(`# ${'x'.repeat(4 * 1024 * 1024)}`)).toEqual(['1:1 : the file is larger than 4 MiB']);
  });
});

describe('what is accepted', () => {
  it('JSON, with a byte order mark and Windows line ends', () => {
    expect(configOf('\uFEFF{"binds":\r\n [{"port": 3000,\r\n "listeners": []}]}\r\n').binds[0]?.port).toBe(3_000);
  });

  it('anchors and aliases', () => {
    const text = `binds:\n- port: 1\n  listeners:\n  - routes: &r\n    - name: a\n- port: 2\n  listeners:\n  - routes: *r\n`;
    expect(configOf(text).binds[1]?.listeners[0]?.routes[0]?.name).toBe('a');
  });

  it('an error behind an alias is reported where the text stands', () => {
    const text = `binds:\n- port: 1\n  listeners: &l\n  - routs: []\n    routes: []\n- port: 2\n  listeners: *l\n`;
    expect(errorsOf(text)).toEqual([
      '4:5 binds[0].listeners[0].routs: unknown key; did you mean "routes"?',
      '4:5 binds[1].listeners[0].routs: unknown key; did you mean "routes"?',
    ]);
  });

  it('empty policies, which are common when all of them are commented out', () => {
    const text = `binds:\n- port: 1\n  listeners:\n  - routes:\n    - policies:\n      # cors: {}\n      backends: []\n`;
    expect(configOf(text).binds[0]?.listeners[0]?.routes[0]?.policies).toEqual({});
  });

  it('fills in what is left out', () => {
    const config = configOf(`binds:\n- port: 3000\n  listeners:\n  - routes:\n    - ${box.trim()}\n`);
    const [listener] = config.binds[0]?.listeners ?? [];
    expect(listener).toMatchObject({ hostname: '', policies: {} });
    expect(listener?.routes[0]).toMatchObject({
      hostnames: [],
      matches: [{ path: { kind: 'prefix', value: '/' }, headers: [], query: [] }],
    });
    expect(listener?.routes[0]?.backends[0]).toEqual({
      weight: undefined,
      policies: {},
      target: {
        kind: 'ai',
        ai: {
          isGrouped: false,
          groups: [
            {
              providers: [
                {
                  name: 'ollama',
                  hostOverride: { host: 'localhost', port: 11_434, authority: 'localhost:11434' },
                  provider: { kind: 'openAI', model: undefined },
                  policies: {},
                },
              ],
            },
          ],
        },
      },
    });
    expect(config.config).toMatchObject({
      adminAddr: { host: 'localhost', port: 15_000 },
      logging: { level: 'info', format: 'text' },
    });
    expect(config.fleet).toEqual({
      loadTimeout: 900_000,
      idleTimeout: 30_000,
      probeInterval: 10_000,
      bodyTimeout: 60_000,
      allowCloudModels: false,
      allowWebSearch: false,
      openPaths: [],
      boxes: [],
      queue: { maxWaiting: 256, maxWait: 300_000, share: 'user' },
      loads: { own: true, headersAfter: 10_000, heartbeat: 15_000, padJson: false },
      warm: [],
      placement: { byPrediction: true, explain: 'admin', secondHome: true },
      affinity: { enabled: true, maxLoad: 1.25, headers: [], keepBillingLine: false },
      truncation: { refuse: 'agents', warn: true },
      embeddings: { split: true, maxBatch: 32 },
      relay: {},
    });
  });

  it('warns when nothing is served', () => {
    const result = load('config: {}\n');
    expect([result.ok, result.warnings.map(({ message }) => message)]).toEqual([
      true,
      ['nothing is served: there are no binds, no gateways, no llm and no fleet.boxes'],
    ]);
  });
});

describe('CORRAL_BOXES', () => {
  const boxes = [
    { name: 'desk', baseUrl: 'http://192.168.1.7:11434' },
    { name: undefined, baseUrl: 'http://attic:11434' },
  ];

  function boxesOf(text: string) {
    const result = loadConfig(text, { name: 'x.yaml', env: () => undefined, boxes });
    if (!result.ok) throw new Error(result.errors.map(({ message }) => message).join());
    return [result.config.fleet.boxes.map(({ name, url, slots }) => [name, url.authority, slots]), result.warnings];
  }

  it('is the herd of a file that names no backends, beside the boxes that this one tunes', () => {
    const added = [
      ['desk', '192.168.1.7:11434', undefined],
      [undefined, 'attic:11434', undefined],
    ];
    expect(boxesOf('{}')).toEqual([added, []]);
    expect(boxesOf('fleet: { queue: { maxWaiting: 3 } }')).toEqual([added, []]);
    const tuned = 'fleet: { boxes: [{ url: "http://ATTIC:11434/", slots: 2 }] }';
    expect(boxesOf(tuned)).toEqual([[[undefined, 'attic:11434', 2], added[0]], []]);
  });

  it('does nothing, with a warning, beside backends of the file', () => {
    const message = expect.stringMatching(/^CORRAL_BOXES does nothing here: this configuration names its backends itself/);
    expect(boxesOf('llm: { models: [] }')).toEqual([[], [expect.objectContaining({ line: 1, message })]]);
    expect(boxesOf('binds: []')).toEqual([[], [expect.objectContaining({ line: 1, message })]]);
  });

  it('leaves it to the schema to say what is wrong with a fleet that is none', () => {
    const result = loadConfig('fleet: 5', { name: 'x.yaml', env: () => undefined, boxes });
    expect(result.ok ? [] : result.errors.map(({ path }) => path)).toEqual(['fleet']);
  });
});

describe('fleet.boxes', () => {
  it.each([
    [
      'url: "http://box/v1"',
      '2:18 fleet.boxes[0].url: expected scheme, host and port alone, such as "http://box.lan:11434", without a path',
    ],
    ['url: "http://user:pw@box"', '2:18 fleet.boxes[0].url: a base URL holds no user and no password; use apiKey or auth'],
    [
      'url: "http://box", headers: { Host: x }',
      '2:49 fleet.boxes[0].headers.Host: the Host is set with the policy urlRewrite.authority of the backend',
    ],
    [
      'url: "http://box", headers: { X-Corral-Box: x }',
      '2:57 fleet.boxes[0].headers.X-Corral-Box: this header belongs to the connection or to Corral and cannot be set',
    ],
    ['url: "http://box", headers: { A: x, a: y }', '2:52 fleet.boxes[0].headers.a: this header stands here twice'],
    [
      'url: "http://box", access: true',
      '2:40 fleet.boxes[0].access: the service token goes over https alone: write the url with https, or leave access out',
    ],
    [
      'url: "https://box", access: true',
      '2:41 fleet.boxes[0].access: there is no service token to show: set fleet.relay.accessClientId and accessClientSecret',
    ],
    ['url: "http://box", vram: 2GiB, reserve: 2GiB', '2:53 fleet.boxes[0].reserve: the reserve takes all of vram'],
    ['url: "http://box" }, { url: "http://BOX:80"', '2:41 fleet.boxes[1].url: boxes[0] has this url already'],
    ['url: "http://a", name: x }, { url: "http://b", name: x', '2:66 fleet.boxes[1].name: boxes[0] has this name already'],
  ])('%s', (entry, expected) => {
    const result = load(`fleet:\n  boxes: [{ ${entry} }]\n`);
    const errors = result.ok ? [] : result.errors;
    expect(errors.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`)).toEqual([expected]);
  });

  it('holds secrets in its headers, which no dump shows', () => {
    const written = { fleet: { boxes: [{ url: 'http://box', headers: { 'X-Tunnel': 'hunter2-hunter2' } }] } };
    expect(JSON.stringify(maskedConfig(written))).not.toContain('hunter2');
    expect(JSON.stringify(maskedConfig(written))).toContain('X-Tunnel');
  });
});

describe('unknown keys, with the nearest known one', () => {
  it.each([
    ['the top', 'bindz: []\n', '1:1 bindz: unknown key; did you mean "binds"?'],
    [
      'a bind',
      'binds:\n- port: 1\n  listeners: []\n  listenrs: []\n',
      '4:3 binds[0].listenrs: unknown key; did you mean "listeners"?',
    ],
    [
      'a listener',
      'binds:\n- port: 1\n  listeners:\n  - routes: []\n    hostnam: a\n',
      '5:5 binds[0].listeners[0].hostnam: unknown key; did you mean "hostname"?',
    ],
    [
      'a route',
      'gateways: {default: {port: 1}}\nroutes:\n- matchs: []\n',
      '3:3 routes[0].matchs: unknown key; did you mean "matches"?',
    ],
    [
      'a match',
      'gateways: {default: {port: 1}}\nroutes:\n- matches:\n  - pth: {exact: /}\n',
      '4:5 routes[0].matches[0].pth: unknown key; did you mean "path"?',
    ],
    [
      'a path',
      'gateways: {default: {port: 1}}\nroutes:\n- matches:\n  - path: {prefix: /}\n',
      '4:12 routes[0].matches[0].path.prefix: unknown key; did you mean "pathPrefix"?',
    ],
    [
      'a header value',
      'gateways: {default: {port: 1}}\nroutes:\n- matches:\n  - headers: [{name: a, value: {exat: b}}]\n',
      '4:33 routes[0].matches[0].headers[0].value.exat: unknown key; did you mean "exact"?',
    ],
    [
      'policies',
      withPolicies('urlRewritez: {}'),
      '6:9 binds[0].listeners[0].routes[0].policies.urlRewritez: unknown key; did you mean "urlRewrite"?',
    ],
    [
      "a policy's options",
      withPolicies('cors:\n  allow_origins: ["*"]'),
      '7:11 binds[0].listeners[0].routes[0].policies.cors.allow_origins: unknown key; did you mean "allowOrigins"?',
    ],
    [
      'a gateway',
      'gateways:\n  default:\n    port: 1\n    protokol: HTTP\n',
      '4:5 gateways.default.protokol: unknown key; did you mean "protocol"?',
    ],
    ['llm', 'llm:\n  models: []\n  model: []\n', '3:3 llm.model: unknown key; did you mean "models"?'],
    [
      'a model',
      'llm:\n  models:\n  - {name: a, provider: ollama, parms: {}}\n',
      '3:33 llm.models[0].parms: unknown key; did you mean "params"?',
    ],
    [
      'params',
      'llm:\n  models:\n  - {name: a, provider: ollama, params: {base_url: "http://a"}}\n',
      '3:42 llm.models[0].params.base_url: unknown key; did you mean "baseUrl"?',
    ],
    ['config', 'config: {adminAdr: off}\nbinds: []\n', '1:10 config.adminAdr: unknown key; did you mean "adminAddr"?'],
    ['fleet', 'fleet: {loadtimeout: 1m}\nbinds: []\n', '1:9 fleet.loadtimeout: unknown key; did you mean "loadTimeout"?'],
    ['a backend', 'backends: [{nam: a, host: "a:1"}]\nbinds: []\n', '1:13 backends[0].nam: unknown key; did you mean "name"?'],
  ])('in %s', (_, text, expected) => {
    expect(errorsOf(text)).toEqual([expected]);
  });

  it('lists the known keys when none is near', () => {
    expect(errorsOf('binds: []\nxyzzy: 1\n')).toEqual([
      '2:1 xyzzy: unknown key; known here: binds, gateways, routes, routeGroups, policies, backends, llm, config, frontendPolicies, fleet',
    ]);
  });

  it('a misspelt key is not reported as missing too', () => {
    expect(errorsOf('binds:\n- prt: 3000\n  listeners: []\n')).toEqual(['2:3 binds[0].prt: unknown key; did you mean "port"?']);
  });

  it('keys named like parts of JavaScript are unknown keys', () => {
    expect(
      errorsOf('binds: []\n__proto__: {a: 1}\nconstructor: 1\n').map((line) => line.split(':').slice(0, 2).join(':')),
    ).toEqual(['2:1 __proto__', '3:1 constructor']);
  });
});

describe("agentgateway's keys that are not supported", () => {
  const route = 'binds:\n- port: 1\n  listeners:\n  - routes:\n    - ';
  it.each([
    ['mcp: {}\nbinds: []\n', '1:1 mcp', /does not speak MCP/],
    ['ui: {}\nbinds: []\n', '1:1 ui', /config\.adminAddr/],
    ['tcpRoutes: []\nbinds: []\n', '1:1 tcpRoutes', /HTTP only/],
    ['workloads: []\nbinds: []\n', '1:1 workloads', /mesh/],
    ['binds:\n- port: 1\n  tunnelProtocol: direct\n  listeners: []\n', '3:3 binds[0].tunnelProtocol', /mesh/],
    ['binds:\n- port: 1\n  listeners:\n  - tcpRoutes: []\n', '4:5 binds[0].listeners[0].tcpRoutes', /nginx/],
    [
      `${route}policies: {remoteRateLimit: {}}\n`,
      '5:18 binds[0].listeners[0].routes[0].policies.remoteRateLimit',
      /localRateLimit/,
    ],
    [`${route}policies: {oidc: {}}\n`, '5:18 binds[0].listeners[0].routes[0].policies.oidc', /oauth2-proxy.*jwtAuth/],
    [`${route}policies: {extProc: {}}\n`, '5:18 binds[0].listeners[0].routes[0].policies.extProc', /gRPC.*extAuthz/],
    [`${route}policies: {a2a: {}}\n`, '5:18 binds[0].listeners[0].routes[0].policies.a2a', /plain route/],
    [`${route}backends: [{mcp: {}}]\n`, '5:19 binds[0].listeners[0].routes[0].backends[0].mcp', /MCP/],
    [`${route}backends: [{dynamic: {}}]\n`, '5:19 binds[0].listeners[0].routes[0].backends[0].dynamic', /name the hosts/],
    [
      `${route}backends: [{host: "a:1", policies: {inferenceRouting: {}}}]\n`,
      '5:43 binds[0].listeners[0].routes[0].backends[0].policies.inferenceRouting',
      /Kubernetes/,
    ],
    [
      `${route}backends: [{ai: {name: a, provider: {bedrock: {}}}}]\n`,
      '5:44 binds[0].listeners[0].routes[0].backends[0].ai.provider.bedrock',
      /custom/,
    ],
    ['gateways:\n  x:\n    port: 1\n    listeners: [{oidc: {}}]\n', '4:18 gateways.x.listeners[0].oidc', /jwtAuth/],
    ['config: {database: {}}\nbinds: []\n', '1:10 config.database', /access log/],
    ['config: {xdsAddress: a}\nbinds: []\n', '1:10 config.xdsAddress', /mesh/],
    ['frontendPolicies: {proxyProtocol: {}}\nbinds: []\n', '1:20 frontendPolicies.proxyProtocol', /proxy in front/],
  ])('%j', (text, place, why) => {
    const [error, ...more] = errorsOf(text);
    expect(more).toEqual([]);
    expect(error?.slice(0, place.length + 2)).toBe(`${place}: `);
    expect(error).toContain('known to agentgateway, not supported: ');
    expect(error).toMatch(why);
  });

  it('providers and protocols by name', () => {
    expect(errorsOf('llm:\n  models: [{name: a, provider: vertex}]\n')[0]).toMatch(
      /^2:32 llm\.models\[0\]\.provider: "vertex" is known to agentgateway, not supported: .*reach that vendor through/,
    );
    expect(errorsOf('llm:\n  models: [{name: a, provider: azure}]\n')[0]).toMatch(
      /"azure" is known to agentgateway, not supported: write it as {custom: .*openai\.azure\.com\/openai\/v1 and params\.apiKey/,
    );
    expect(errorsOf('binds: [{port: 1, listeners: [{protocol: TCP, routes: []}]}]\n')[0]).toContain(
      'binds[0].listeners[0].protocol: "TCP" is known to agentgateway, not supported',
    );
  });

  it('says where a policy may stand', () => {
    expect(errorsOf('gateways: {default: {port: 1}}\nllm:\n  models: []\n  policies: {retry: {codes: [503]}}\n')).toEqual([
      '4:14 llm.policies.retry: this policy cannot stand here; it may stand on a route',
    ]);
    expect(errorsOf('gateways: {default: {port: 1}}\nroutes:\n- cors: {}\n')).toEqual([
      '3:3 routes[0].cors: this is a policy; it stands below "policies"',
    ]);
  });
});

describe('wrong values', () => {
  it.each([
    ['port: "3000"', 'expected a port number from 0 to 65535, without quotes'],
    ['port: 70000', 'expected a port number from 0 to 65535'],
    ['port: -1', 'expected a port number from 0 to 65535'],
    ['port: 30.5', 'expected a port number from 0 to 65535'],
    ['port: [3000]', 'expected a port number from 0 to 65535'],
    ['port:', 'empty; expected a port number from 0 to 65535'],
  ])('%s', (port, message) => {
    expect(errorsOf(`binds:\n- ${port}\n  listeners: []\n`)[0]).toMatch(`binds[0].port: ${message}`);
  });

  it('a missing key is reported where it should stand', () => {
    expect(errorsOf('binds:\n- listeners: []\n')).toEqual(['2:3 binds[0].port: missing; expected a port number from 0 to 65535']);
    expect(errorsOf('llm:\n  port: 4000\n')).toEqual(['1:1 llm.models: missing; expected a list']);
  });

  it.each([
    ['binds: {}', '1:8 binds: expected a list, not keys and values'],
    ['binds: 3', '1:8 binds: expected a list, not a number'],
    ['binds: [a]', '1:9 binds[0]: expected keys and values, not a text'],
    ['gateways: []', '1:11 gateways: expected keys and values, not a list'],
    ['config: text\nbinds: []', '1:9 config: expected keys and values, not a text'],
    ['fleet: {allowCloudModels: "yes"}\nbinds: []', '1:27 fleet.allowCloudModels: expected true or false, not a text'],
    [
      'fleet: {openPaths: [GET]}\nbinds: []',
      '1:21 fleet.openPaths[0]: expected a method in capitals and a path, such as "POST /api/pull"',
    ],
    [
      'fleet: {openPaths: [GET /a/../b]}\nbinds: []',
      '1:21 fleet.openPaths[0]: expected a plain path, without query, "%", "//" or dot segments',
    ],
    [
      'fleet: {openPaths: [GET /a/b*]}\nbinds: []',
      '1:21 fleet.openPaths[0]: "*" stands for one whole segment, as in "GET /v1/responses/*"',
    ],
    [
      'config: {logging: {level: loud}}\nbinds: []',
      '1:27 config.logging.level: expected one of: error, warn, info, debug, trace',
    ],
    [
      'config: {logging: {format: jsn}}\nbinds: []',
      '1:28 config.logging.format: expected one of "text", "json"; did you mean "json"?',
    ],
    [
      'config: {adminAddr: unix:/x}\nbinds: []',
      '1:21 config.adminAddr: Unix sockets are known to agentgateway, not supported: not every runtime has them; listen on a port of localhost',
    ],
  ])('%j', (text, expected) => {
    expect(errorsOf(text)).toEqual([expected]);
  });

  it('a duration without unit', () => {
    expect(errorsOf(withPolicies('timeout:\n  requestTimeout: 5'))).toEqual([
      '7:27 binds[0].listeners[0].routes[0].policies.timeout.requestTimeout: expected a duration with a unit, such as "500ms", "30s", "15m" or "1h30m"',
    ]);
  });

  it('a provider in small letters: an error in binds, fine in llm', () => {
    const text = withPolicies('cors: {}').replace('openAI', 'openai');
    expect(errorsOf(text)).toEqual([
      '12:13 binds[0].listeners[0].routes[0].backends[0].ai.provider.openai: unknown key; did you mean "openAI"?',
    ]);
    expect(configOf('llm:\n  models: [{name: a, provider: openai}]\n').llm?.models[0]?.provider).toEqual({
      kind: 'openAI',
      model: undefined,
    });
  });

  it('a preset in binds', () => {
    const text = withPolicies('cors: {}').replace('openAI', 'ollama');
    expect(errorsOf(text)).toEqual([
      '12:13 binds[0].listeners[0].routes[0].backends[0].ai.provider.ollama: a provider of llm.models; here write openAI, with the address in hostOverride',
    ]);
  });

  it('unions answer with one message', () => {
    expect(errorsOf('llm:\n  models: [{name: a, provider: 5}]\n')[0]).toMatch(
      /^2:32 llm\.models\[0\]\.provider: expected the name of a provider: openAI, anthropic, gemini, ollama/,
    );
    expect(errorsOf('llm:\n  models: [{name: a, provider: olama}]\n')[0]).toMatch(/did you mean "ollama"\?$/);
    expect(errorsOf('llm:\n  models: [{name: a, provider: {refrence: b}}]\n')).toEqual([
      '2:33 llm.models[0].provider.refrence: unknown key; did you mean "reference"?',
    ]);
    expect(errorsOf('llm:\n  models: [{name: a, provider: {custom: {formats: []}}, params: {baseUrl: "http://a"}}]\n')).toEqual([
      '2:51 llm.models[0].provider.custom.formats: a custom provider needs at least one format',
    ]);
    expect(errorsOf('llm:\n  models: [{name: a, provider: ollama, params: {apiKey: {fil: x}}}]\n', { files: {} })).toEqual([
      '2:58 llm.models[0].params.apiKey.fil: unknown key; did you mean "file"?',
    ]);
    expect(errorsOf('llm:\n  models: [{name: a, provider: ollama, params: {apiKey: [x]}}]\n')).toEqual([
      '2:57 llm.models[0].params.apiKey: expected a text, or {file: "path"} with the path of a file that holds it',
    ]);
  });

  it.each([
    ['none', '{}', 'expected exactly one of: host, ai, backend, routeGroup'],
    ['two', '{host: "a:1", ai: {name: a, provider: {openAI: {}}}}', 'expected exactly one of: host, ai, backend, routeGroup'],
  ])('a backend with %s of its kinds', (_, backend, message) => {
    expect(errorsOf(`gateways: {default: {port: 1}}\nroutes:\n- backends: [${backend}]\n`)).toEqual([
      `3:14 routes[0].backends[0]: ${message}`,
    ]);
  });

  it.each([
    ['{name: a}', '3:15 routes[0].backends[0].ai.provider: missing; expected {openAI: …} or {custom: …}'],
    ['{provider: {openAI: {}}}', '3:15 routes[0].backends[0].ai.name: missing; expected a name for this backend'],
    [
      '{name: a, provider: {openAI: {}, custom: {formats: [{type: completions}]}}}',
      '3:39 routes[0].backends[0].ai.provider: expected exactly one provider: openAI, anthropic, gemini or custom',
    ],
    [
      '{name: a, provider: {custom: {formats: [{type: completions}]}}}',
      '3:19 routes[0].backends[0].ai: a custom provider needs a hostOverride',
    ],
    ['{groups: [], name: a}', '3:28 routes[0].backends[0].ai.groups: expected at least one group'],
    [
      '{groups: [{providers: [{name: a, provider: {openAI: {}}}]}], name: a}',
      '3:19 routes[0].backends[0].ai: beside "groups" nothing else may stand: each provider has its own',
    ],
    [
      '{groups: [{providers: [{nam: a, provider: {openAI: {}}}]}]}',
      '3:43 routes[0].backends[0].ai.groups[0].providers[0].nam: unknown key; did you mean "name"?',
    ],
  ])('ai: %s', (ai, expected) => {
    expect(errorsOf(`gateways: {default: {port: 1}}\nroutes:\n- backends: [{ai: ${ai}}]\n`)).toEqual([expected]);
  });
});

describe('all errors at once', () => {
  it('in the order of the file', () => {
    const text =
      'llm:\n  port: "4000"\n  modles: []\nbinds:\n- port: 1\n  listeners: []\n- port: 1\n  listeners: []\nfleet:\n  idleTimeout: soon\n';
    expect(errorsOf(text)).toEqual([
      '2:9 llm.port: expected a port number from 0 to 65535, without quotes',
      '3:3 llm.modles: unknown key; did you mean "models"?',
      '7:9 binds[1].port: port 1 is configured by both binds[0] and binds[1]; binds, llm, and mcp must use unique ports',
      '10:16 fleet.idleTimeout: expected a duration with a unit, such as "500ms", "30s", "15m" or "1h30m", not "soon"',
    ]);
  });

  it('at most 100 of them', () => {
    const text = `binds:\n${'- {}\n'.repeat(300)}`;
    expect(errorsOf(text)).toHaveLength(100);
    expect(errorsOf(text)[0]).toMatch(/^2:3 binds\[0\]/);
  });
});

describe('environment variables', () => {
  it('stand for texts, numbers, keys and parts of texts', () => {
    const text =
      'gateways:\n  $NAME:\n    port: $PORT\nllm:\n  gateways: ${NAME}\n  models:\n  - {name: a, provider: ollama, params: {baseUrl: "http://${HOST}:${PORT}/v1"}}\n';
    const config = configOf(text, { env: { NAME: 'default', PORT: '3001', HOST: 'box.lan' } });
    expect(config.gateways.default?.port).toBe(3_001);
    expect(config.llm?.models[0]?.params.baseUrl?.authority).toBe('box.lan:3001');
  });

  it('work inside flow lists and maps', () => {
    const text = 'gateways: {default: {port: ${PORT}}}\nroutes:\n- hostnames: [${HOST}, $HOST]\n';
    expect(configOf(text, { env: { PORT: '1', HOST: 'a.example' } }).routes[0]?.hostnames).toEqual(['a.example', 'a.example']);
  });

  it('a default is used when the variable is not set, not when it is empty', () => {
    const text = 'llm:\n  models:\n  - {name: "x${TAG:-:1b}", provider: ollama}\n';
    expect(configOf(text).llm?.models[0]?.name).toBe('x:1b');
    expect(configOf(text, { env: { TAG: '' } }).llm?.models[0]?.name).toBe('x');
  });

  it('$$ is a dollar sign; a lone $ stays', () => {
    const text = `gateways: {default: {port: 1}}\nroutes:\n- matches: [{path: {regex: "/a$$|/b$"}, headers: [{name: a, value: {exact: "$$HOME $"}}]}]\n`;
    const [match] = configOf(text).routes[0]?.matches ?? [];
    expect(match?.path).toMatchObject({ kind: 'regex', pattern: '/a$|/b$' });
    expect(match?.headers[0]?.value).toEqual({ kind: 'exact', value: '$HOME $' });
  });

  it('one that is not set is an error at its own place, and nothing else is reported for it', () => {
    const text = 'llm:\n  models:\n  - name: a\n    provider: ollama\n    params: {apiKey: "sk-${NOPE}", model: $ALSO_NOT}\n';
    expect(errorsOf(text)).toEqual([
      '5:26 llm.models[0].params.apiKey: the environment variable "NOPE" is not set; set it, give a default as ${NOPE:-value}, or write "$$" for a dollar sign',
      '5:43 llm.models[0].params.model: the environment variable "ALSO_NOT" is not set; set it, give a default as ${ALSO_NOT:-value}, or write "$$" for a dollar sign',
    ]);
  });

  it('comments are left alone', () => {
    const text =
      '# yaml-language-server: $schema=https://example.com/schema.json\n# costs $5 or ${NOPE}\nbinds: [] # $NOPE\nllm:\n  models:\n  # - name: $NOPE\n  - {name: "a#$X", provider: ollama}\n';
    expect(configOf(text, { env: { X: 'x' } }).llm?.models[0]?.name).toBe('a#x');
  });

  it('a value is never structure', () => {
    const env = { EVIL: 'x\n  port: 1', LIST: '[a, b]', COLON: 'a: b # c', STAR: '*', QUOTE: 'a"b' };
    const text =
      'gateways: {default: {port: 1}}\nroutes:\n- name: $EVIL\n- name: $LIST\n- name: $COLON\n- name: $STAR\n- name: "$QUOTE"\n';
    expect(configOf(text, { env }).routes.map(({ name }) => name)).toEqual(['x\n  port: 1', '[a, b]', 'a: b # c', '*', 'a"b']);
  });

  it.each([['12345'], ['1e5'], ['true'], ['0x10'], ['null'], ['~'], ['007']])('a key that is %s is still a text', (KEY) => {
    const text = 'llm:\n  models:\n  - name: a\n    provider: ollama\n    params: {apiKey: $KEY, model: $KEY}\n';
    expect(configOf(text, { env: { KEY } }).llm?.models[0]?.params).toMatchObject({ apiKey: KEY, model: KEY });
  });

  it('where a number is wanted, a number is what it is', () => {
    expect(errorsOf('binds:\n- port: $PORT\n  listeners: []\n', { env: { PORT: '70000' } })).toEqual([
      '2:9 binds[0].port: expected a port number from 0 to 65535',
    ]);
    expect(errorsOf('binds:\n- port: "$PORT"\n  listeners: []\n', { env: { PORT: '3000' } })).toEqual([
      '2:9 binds[0].port: expected a port number from 0 to 65535, without quotes',
    ]);
    const defaults = configOf('llm:\n  models: [{name: a, provider: ollama, defaults: {temperature: $T}}]\n', {
      env: { T: '0.5' },
    });
    expect(defaults.llm?.models[0]?.policies).toEqual({ ai: { defaults: { temperature: 0.5 }, overrides: undefined } });
  });

  it('keys that become the same are repeated keys', () => {
    expect(errorsOf('gateways:\n  a: {port: 1}\n  $A: {port: 2}\n', { env: { A: 'a' } })).toEqual([
      '3:3 gateways.a: this key stands here twice',
    ]);
  });

  it("private use characters of the file's own survive", () => {
    expect(configOf('gateways: {default: {port: 1}}\nroutes:\n- name: "a\uE000b\uF8FFc"\n').routes[0]?.name).toBe(
      'a\uE000b\uF8FFc',
    );
  });

  it('thousands of references are bounded', () => {
    expect(errorsOf(`binds: []\n${'# $A\n'.repeat(7_000)}`)).toEqual([
      '1:1 : the file has more than 6000 references to variables',
    ]);
  });
});

describe('files that the configuration names', () => {
  const text = 'llm:\n  models:\n  - name: a\n    provider: ollama\n    params: {apiKey: {file: "~/key"}}\n';

  it('are read, with ~/ as the home directory', () => {
    const config = configOf(text, { env: { HOME: '/home/ann' }, files: { '/home/ann/key': 'sk-1\n' } });
    expect(config.llm?.models[0]?.params.apiKey).toBe('sk-1');
  });

  it('are an error when they cannot be read, and where there are no files', () => {
    expect(errorsOf(text, { files: {} })).toEqual([
      '5:22 llm.models[0].params.apiKey: "~/key" cannot be read: no such file or directory',
    ]);
    expect(errorsOf(text)[0]).toMatch(/^5:22 llm\.models\[0\]\.params\.apiKey: "~\/key" cannot be read: there are no files here/);
  });
});

describe('positions for later stages', () => {
  const result = load(
    '# c\nbinds:\n- port: 3000\n  listeners:\n  - routes:\n    - name: a\n      policies:\n        ai: {routes: {"/v1/x": detect}}\n',
  );

  it.each([
    ['binds[0].port', { line: 3, column: 3 }],
    ['binds[0].listeners[0].routes[0]', { line: 6, column: 7 }],
    ['binds[0].listeners[0].routes[0].policies.ai.routes["/v1/x"]', { line: 8, column: 23 }],
    ['binds[0].listeners[0].routes[0].policies.cors', { line: 7, column: 7 }],
    ['binds[7].port', { line: 2, column: 1 }],
    ['gateways.default', undefined],
  ])('%s', (path, position) => {
    expect(result.ok && result.positionOf(path)).toEqual(position);
  });

  it('diagnosticAt writes one', () => {
    expect(result.ok && formatDiagnostic(result.diagnosticAt('binds[0].port', 'is taken'))).toBe(
      'gateway.yaml:3:3 binds[0].port: is taken\n  3 | - port: 3000\n        ^',
    );
  });
});
