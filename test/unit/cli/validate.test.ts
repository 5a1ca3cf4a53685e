import { describe, expect, it } from 'vitest';
import { clearSecretWarnings } from '../../../src/cli/clear-secrets.ts';
import { missingModels } from '../../../src/cli/missing-models.ts';
import { type ValidationReport, validate } from '../../../src/cli/validate.ts';
import { openGateway } from '../../../src/entry/open.ts';
import type { Settings } from '../../../src/entry/settings.ts';
import { GatewayError } from '../../../src/errors.ts';
import type { Platform } from '../../../src/platform.ts';
import { createQuietPlatform } from '../../support/quiet-platform.ts';
import { plainSettings } from '../../support/settings.ts';
import { planOf } from '../answers/stage.ts';

/** A box at each of these addresses, with these models; nobody elsewhere. */
function platformOf(boxes: Readonly<Record<string, readonly string[]>> = {}): Platform {
  return createQuietPlatform({
    async send({ url }) {
      const { origin, pathname } = new URL(url);
      const models = boxes[origin];
      if (models === undefined) throw new GatewayError('upstream_refused', 'nobody there');
      const answer =
        pathname === '/api/version' ? { version: '1.0.0' } : { models: models.map((name) => ({ name, digest: name })) };
      const bytes = new TextEncoder().encode(JSON.stringify(pathname === '/api/ps' ? { models: [] } : answer));
      return {
        status: 200,
        headers: new Headers({ 'content-type': 'application/json' }),
        body: { read: async () => bytes, cancel: () => undefined, stream: () => new ReadableStream() },
      };
    },
  });
}

function settings(text: string): Settings {
  return plainSettings(text, {
    config: { text, name: 'x.yaml', path: 'x.yaml' },
    env: (name) => (name === 'KEY' ? 'sk-secret' : undefined),
  });
}

async function run(text: string, flags: { portable?: boolean; json?: boolean; probe?: boolean } = {}, platform = platformOf()) {
  let out = '';
  let err = '';
  const exitCode = await validate({
    settings: settings(text),
    platform,
    flags: { portable: false, json: false, probe: false, ...flags },
    surroundings: {
      out: (more) => {
        out += more;
      },
      err: (more) => {
        err += more;
      },
      modeOf: () => 0o644,
    },
  });
  return { out, err, exitCode };
}

const herd = `binds:
- port: 3000
  listeners:
  - policies: { cors: { allowOrigins: ["https://a.example"] } }
    routes:
    - name: chat
      hostnames: [llm.example]
      matches:
      - path: { pathPrefix: /v1 }
      - path: { exact: /x }
        method: POST
        headers: [{ name: x-a, value: { exact: b } }]
      policies: { apiKey: { keys: [{ key: $KEY }] }, timeout: { requestTimeout: 10s } }
      backends:
      - ai:
          groups:
          - providers: [{ name: den, hostOverride: "den:11434", provider: { openAI: { model: llama3.2 } } }]
          - providers: [{ name: attic, hostOverride: "attic:11434", provider: { openAI: {} } }]
    - name: rest
      backends: [{ host: "web:80", weight: 3 }, { host: "other:80" }]
`;

describe('--validate-only', () => {
  it('says what would listen and where each request would go', async () => {
    const { out, err, exitCode } = await run(herd);
    expect([exitCode, err]).toEqual([0, '']);
    expect(out).toBe(`Configuration is valid!
port 3000 (HTTP)
  listener bind/3000/listener0 for * [cors]
    route chat for llm.example: /v1/* | POST /x with header x-a  (protected) [apiKey, timeout]
      → box den http://den:11434, model llama3.2, group 1
      → box attic http://attic:11434, group 2
    route rest: /*  (this machine only) [localOnly]
      → host web:80, weight 3
      → host other:80
boxes: den http://den:11434, attic http://attic:11434
`);
  });

  it('says everything that is wrong, and ends with 1', async () => {
    const { out, err, exitCode } = await run('bindz: []\nconfig: { adminAdr: x }\n');
    expect([out, exitCode]).toEqual(['', 1]);
    expect(err).toMatch(
      /^warning: x\.yaml:1:1 nothing is served.*\nx\.yaml:1:1 bindz.*x\.yaml:2:11 config\.adminAdr.*2 errors in x\.yaml; nothing was started\n$/s,
    );
  });

  it('refuses what this runtime cannot do, with its place', async () => {
    const platform = { ...platformOf(), refuses: () => 'cannot' };
    expect(await run(herd, {}, platform)).toMatchObject({
      exitCode: 1,
      err: expect.stringMatching(/^x\.yaml:17:\d+ binds.*cannot/),
    });
  });
});

describe('what works and does not do what was meant', () => {
  const at = (text: string) => text.split(' ', 1)[0];

  it('is told with its line: cors below a lock, tokens of a host, streams that are read whole', async () => {
    const { err, exitCode } = await run(`binds:
- port: 3000
  listeners:
  - policies:
      apiKey: { mode: strict, keys: [{ key: $KEY }] }
    routes:
    - policies:
        cors: { allowOrigins: ["https://a.example"] }
        localRateLimit: [{ type: tokens, maxTokens: 9, fillInterval: 1s }]
        transformations:
          response: { body: string(response.body) }
      backends:
      - host: web:80
      - ai: { name: den, hostOverride: "den:11434", provider: { openAI: {} } }
`);
    expect(exitCode).toBe(0);
    const warnings = err.split('warning: ').slice(1);
    expect(warnings.map(at).sort()).toEqual(['x.yaml:10:9', 'x.yaml:8:9', 'x.yaml:9:9']);
    const said = (about: string) => warnings.find((one) => one.includes(about)) ?? '';
    expect(said('policies.cors:')).toMatch(
      /the listener's apiKey answers them with 401 first; write cors on the listener, too\n/,
    );
    expect(said('policies.localRateLimit:')).toContain('tokens are not counted at web:80, a host backend');
    expect(said('policies.transformations:')).toContain('streams of models arrive in one piece here');
  });

  it('with CORRAL_API_KEY, too, which is a lock of every listener', () => {
    const of = (policies: string) =>
      planOf(
        `${policies}llm: { policies: { cors: { allowOrigins: ["https://a.example"] } }, models: [{ name: "*", provider: ollama }] }`,
        {
          apiKey: 'k',
        },
      ).warnings;
    expect(of('')).toEqual([expect.stringMatching(/^llm\.policies\.cors: .*target\.gateway\.gatewayName: llm, phase: gateway/)]);
    // What it says is done, and is enough.
    const target =
      'name: { name: p, namespace: d }, target: { gateway: { gatewayName: llm, gatewayNamespace: d } }, phase: gateway';
    expect(of(`policies: [{ ${target}, policy: { cors: { allowOrigins: ["https://a.example"] } } }]\n`)).toEqual([]);
  });

  it('llm has it told at its own policies', () => {
    const yaml = `llm:
  policies: { transformations: { response: { body: string(response.body) } } }
  models: [{ name: "*", provider: ollama }]`;
    expect(planOf(yaml).warnings).toEqual([expect.stringMatching(/^llm\.policies\.transformations: streams of models arrive/)]);
  });
});

describe('--json', () => {
  const reportOf = async (text: string, flags = {}) => {
    const { out, err, exitCode } = await run(text, { json: true, ...flags });
    expect(err).toBe('');
    return { report: JSON.parse(out) as ValidationReport, exitCode };
  };

  it('is one document of a shape that stays', async () => {
    const { report, exitCode } = await reportOf(herd);
    expect(exitCode).toBe(0);
    expect(report).toEqual({
      valid: true,
      file: 'x.yaml',
      errors: [],
      warnings: [],
      summary: {
        ports: [
          {
            port: 3000,
            protocol: 'HTTP',
            listeners: [
              {
                gateway: 'bind/3000',
                name: 'listener0',
                hostname: '*',
                policies: ['cors'],
                routes: [
                  {
                    name: 'chat',
                    hostnames: ['llm.example'],
                    matches: ['/v1/*', 'POST /x with header x-a'],
                    policies: ['apiKey', 'timeout'],
                    access: 'protected',
                    targets: [
                      { name: 'den', url: 'http://den:11434', kind: 'box', model: 'llama3.2', group: 0 },
                      { name: 'attic', url: 'http://attic:11434', kind: 'box', group: 1 },
                    ],
                    models: [],
                  },
                  {
                    name: 'rest',
                    hostnames: [],
                    matches: ['/*'],
                    policies: ['localOnly'],
                    access: 'localOnly',
                    targets: [
                      { name: 'web:80', url: 'http://web:80', kind: 'host', weight: 3 },
                      { name: 'other:80', url: 'http://other:80', kind: 'host', weight: 1 },
                    ],
                    models: [],
                  },
                ],
              },
            ],
          },
        ],
        boxes: [
          { name: 'den', url: 'http://den:11434' },
          { name: 'attic', url: 'http://attic:11434' },
        ],
      },
    });
    expect(JSON.stringify(report)).not.toContain('sk-secret');
  });

  it('has errors with their places, and no summary then', async () => {
    const { report, exitCode } = await reportOf('bindz: []\nllm: { models: [] }\n');
    expect(exitCode).toBe(1);
    expect(report).toEqual({
      valid: false,
      file: 'x.yaml',
      errors: [{ file: 'x.yaml', line: 1, column: 1, path: 'bindz', message: expect.stringContaining('unknown key') }],
      warnings: [],
      summary: null,
    });
  });

  it('says what agentgateway would', async () => {
    const { report, exitCode } = await reportOf(`fleet: { idleTimeout: 30s }\n${herd}`, { portable: true });
    expect([exitCode, report.valid]).toEqual([1, false]);
    expect(report.portable?.refused).toEqual([
      {
        file: 'x.yaml',
        line: 1,
        column: 1,
        path: 'fleet',
        message: "agentgateway does not know this section: it is Corral's own",
      },
    ]);
    expect(report.portable?.differs.map(({ line, path }) => `${line} ${path}`)).toEqual([
      '14 binds[0].listeners[0].routes[0].policies.apiKey',
      '17 binds[0].listeners[0].routes[0].backends[0].ai.groups',
      '18 binds[0].listeners[0].routes[0].backends[0].ai.groups[0].providers[0].provider.openAI.model',
    ]);
  });
});

describe('--probe', () => {
  it('says which boxes are silent and which models are missing', async () => {
    const { err } = await run(herd, { probe: true }, platformOf({ 'http://den:11434': ['mistral:latest'] }));
    expect(err).toMatch(/warning: x\.yaml:1:1 box attic does not answer/);
    expect(err).toMatch(/warning: .*the model llama3\.2 \(route chat\) is on none of its boxes \(den\): ollama pull llama3\.2/);
    const fine = await run(
      herd,
      { probe: true },
      platformOf({ 'http://den:11434': ['llama3.2:latest'], 'http://attic:11434': [] }),
    );
    expect(fine.err).toBe('');
  });

  it('does not blame a box that is silent', async () => {
    const result = await openGateway(settings(herd), platformOf());
    if (!result.ok) throw new Error(result.problems.join());
    const { plan } = result.opened;
    const facts = (isAlive: boolean | undefined) => ({ isBox: () => true, isAlive: () => isAlive, hasModel: () => false });
    expect(missingModels(plan, facts(false))).toEqual([]);
    expect(missingModels(plan, facts(undefined))).toEqual([]);
    expect(missingModels(plan, facts(true))).toHaveLength(1);
  });
});

describe('secrets in clear', () => {
  const text = `binds:
- port: 3000
  listeners:
  - policies:
      apiKey:
        keys:
        - { key: sk-in-clear, metadata: { name: a } }
        - { key: $KEY }
        - { key: { file: keys/a.txt } }
        - { keyHash: "sha256:${'0'.repeat(64)}" }
      basicAuth: { htpasswd: "bob:$$2y$$05$$abcdefghijklmnopqrstuv" }
    routes:
    - backends: [{ host: "x:1", policies: { backendAuth: { key: also-clear } } }]
`;
  it('are told of where everybody may read the file', () => {
    const warnings = clearSecretWarnings(settings(text), () => 0o644);
    expect(warnings.map(({ path }) => path)).toEqual([
      'binds[0].listeners[0].policies.apiKey.keys[0].key',
      'binds[0].listeners[0].routes[0].backends[0].policies.backendAuth.key',
    ]);
    expect(warnings[0]?.message).toContain('chmod 600 x.yaml');
  });

  it('are told apart from what Corral has not got, in a file for both', () => {
    const mixed = `mcp: { targets: [{ name: tools, stdio: { cmd: a-command } }] }
llm: { models: [{ name: "a-command", provider: openAI, params: { apiKey: sk-in-clear } }] }
routes:
- name: tools
  backends: [{ mcp: { targets: [] } }]
`;
    expect(clearSecretWarnings(settings(mixed), () => 0o644).map(({ path }) => path)).toEqual(['llm.models[0].params.apiKey']);
  });

  it('are the business of its owner otherwise', () => {
    expect(clearSecretWarnings(settings(text), () => 0o640)).toEqual([]);
    expect(clearSecretWarnings(settings(text), () => undefined)).toEqual([]);
    expect(clearSecretWarnings({ ...settings(text), config: { text, name: '<-c>' } }, () => 0o777)).toEqual([]);
    expect(clearSecretWarnings(settings('{['), () => 0o644)).toEqual([]);
  });
});
