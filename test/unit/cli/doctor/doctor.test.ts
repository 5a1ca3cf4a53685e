import { describe, expect, it } from 'vitest';
import type { DoctorReport } from '../../../../src/cli/doctor/doctor.ts';
import { kvBytesOf, memoryShapeOf } from '../../../../src/cli/doctor/memory.ts';
import { isOlder } from '../../../../src/cli/doctor/versions.ts';
import { createMockHerd, type MockBox, run, words } from '../mock-herd.ts';

const env = { CORRAL_BOXES: 'desk=desk,attic=attic' };
const model = { digest: 'aaaaaaaaaaaaaaaa', size: 2_000_000_000 };
const healthy = (): { desk: MockBox; attic: MockBox } => ({
  desk: { models: { 'llama3.2:latest': model } },
  attic: { models: { 'llama3.2:latest': model } },
});

/** Everything that is found but that boxes serve. */
async function findings(boxes: Record<string, MockBox>, text?: string, variables: Record<string, string> = env) {
  const { platform } = createMockHerd(boxes);
  const setting = text === undefined ? { env: variables } : { env: variables, text };
  const { out, code } = await run(words(`doctor --json${text === undefined ? '' : ' -f herd.yaml'}`), platform, setting);
  const report = JSON.parse(out) as DoctorReport;
  expect(report.exitCode).toBe(code);
  return { code, found: report.findings.filter(({ severity }) => severity !== 'ok'), report };
}

const named = (fleet: string) =>
  `fleet:\n  boxes:\n  - { url: "http://desk:11434", name: desk${fleet} }\n  - { url: "http://attic:11434", name: attic }\n`;

describe('corral doctor', () => {
  it('finds nothing on healthy boxes and ends with 0', async () => {
    const { platform } = createMockHerd(healthy());
    expect(await run(['doctor'], platform, { env })).toEqual({
      out: [
        'CORRAL_BOXES, 2 of 2 boxes serve',
        'ok    desk   Ollama 0.20.0, 1 model, nothing in memory',
        'ok    attic  Ollama 0.20.0, 1 model, nothing in memory',
        'nothing is wrong (0 infos)',
        '',
      ].join('\n'),
      err: '',
      code: 0,
    });
  });

  it('aligns what it says, with the mend below, and ends with 1 for an error', async () => {
    const { platform } = createMockHerd({ ...healthy(), attic: { fault: 'unresolved' } });
    const { out, code } = await run(['doctor'], platform, { env });
    expect([out, code]).toEqual([
      [
        'CORRAL_BOXES, 1 of 2 boxes serves',
        'ok    desk   Ollama 0.20.0, 1 model, nothing in memory',
        'error attic  attic was not found: its host name does not resolve.',
        '             → Check the spelling of the host in the configuration, or use the IP address.',
        '1 error, 0 warnings, 0 infos',
        '',
      ].join('\n'),
      1,
    ]);
  });

  it('has colours on a terminal only', async () => {
    const { platform } = createMockHerd(healthy());
    const { out } = await run(['doctor'], platform, { env, terminal: { hasColour: true } });
    expect(out).toContain('\u001b[32mok   \u001b[0m desk ');
  });

  it('keeps its JSON in shape', async () => {
    const { report } = await findings({ ...healthy(), attic: { fault: 'refused' } });
    expect(report).toEqual({
      file: 'CORRAL_BOXES',
      exitCode: 1,
      counts: { ok: 1, info: 0, warn: 0, error: 1 },
      boxes: [
        { name: 'desk', url: 'http://desk:11434', isAlive: true, isBox: true, version: '0.20.0', models: 1, running: [] },
        { name: 'attic', url: 'http://attic:11434', isAlive: false, isBox: true, version: null, models: null, running: [] },
      ],
      findings: [
        { severity: 'ok', code: 'serves', box: 'desk', model: null, why: 'Ollama 0.20.0, 1 model, nothing in memory', mend: '' },
        {
          severity: 'error',
          code: 'upstream_refused',
          box: 'attic',
          model: null,
          why: 'attic refused the connection: Ollama is not running there, or not bound to port 11434.',
          mend: 'Start it on that machine, open to the network: `OLLAMA_HOST=0.0.0.0:11434 ollama serve`. Check the port with `lsof -i :11434`.',
        },
      ],
    });
  });

  it.each<[string, MockBox, string, RegExp]>([
    ['refused', { fault: 'refused' }, 'upstream_refused', /ollama serve/],
    ['a name that does not resolve', { fault: 'unresolved' }, 'upstream_unresolved', /spelling/],
    ['TLS', { fault: 'tls' }, 'upstream_tls', /http:\/\/ unless a tunnel/],
    ['a foreign Host', { answer: { status: 403, text: '' } }, 'upstream_foreign_host', /--http-host-header/],
    ["a tunnel's page", { answer: { status: 530, text: 'error code: 1033' } }, 'upstream_unavailable', /cloudflared tunnel run/],
    ["ngrok's page", { answer: { status: 404, text: 'ERR_NGROK_3200' } }, 'upstream_unavailable', /ngrok http 11434/],
  ])('an error with its mend: %s', async (_, attic, code, mend) => {
    const { found, code: exitCode } = await findings({ ...healthy(), attic });
    expect(found).toMatchObject([{ severity: 'error', code, box: 'attic', mend: expect.stringMatching(mend) }]);
    expect(exitCode).toBe(1);
  });

  it('waits two seconds for a silent box and not longer', async () => {
    const herd = createMockHerd({ ...healthy(), attic: { fault: 'silent' } });
    const ended = run(['doctor', '--json'], herd.platform, { env });
    await herd.clock.advance(1_899);
    let isOver = false;
    void ended.then(() => {
      isOver = true;
    });
    await herd.clock.settle();
    expect(isOver).toBe(false);
    await herd.clock.advance(101);
    const { out, code } = await ended;
    expect(code).toBe(1);
    expect(JSON.parse(out).findings).toMatchObject([
      { box: 'desk' },
      { code: 'upstream_silent', box: 'attic', severity: 'error' },
    ]);
  });

  it('warns of versions that differ and of old ones, and ends with 3', async () => {
    const boxes = healthy();
    boxes.desk.version = '0.20.1';
    boxes.attic.version = '0.9.6';
    const { found, code } = await findings(boxes);
    expect(found).toMatchObject([
      { severity: 'warn', code: 'version_old', box: 'attic' },
      {
        severity: 'warn',
        code: 'version_skew',
        why: expect.stringContaining('0.20.1 on desk, 0.9.6 on attic'),
        mend: 'Bring all to 0.20.1.',
      },
    ]);
    expect(code).toBe(3);
  });

  it.each([
    ['0.13.5', ['version_old', 'version_old']],
    ['0.14.0', []],
  ])('%s: %j', async (version, codes) => {
    const boxes = healthy();
    boxes.desk.version = version;
    boxes.attic.version = version;
    expect((await findings(boxes)).found.map(({ code }) => code)).toEqual(codes);
  });

  it('warns of digest drift', async () => {
    const boxes = healthy();
    boxes.attic.models = { 'llama3.2:latest': { digest: 'bbbbbbbbbbbbbbbb', at: '2025-01-01T00:00:00Z' } };
    expect((await findings(boxes)).found).toMatchObject([
      {
        severity: 'warn',
        code: 'digest_drift',
        why: 'llama3.2:latest is not the same on all boxes: aaaaaaaaaaaa on desk, bbbbbbbbbbbb on attic.',
        mend: 'corral fleet sync llama3.2:latest',
      },
    ]);
  });

  it('warns of a model that the CPU computes in part', async () => {
    const boxes = healthy();
    boxes.desk.running = [
      {
        name: 'llama3.2:latest',
        digest: model.digest,
        size: 4e9,
        size_vram: 1e9,
        context_length: 32768,
        expires_at: '2026-01-01T00:05:00Z',
      },
    ];
    expect((await findings(boxes)).found).toMatchObject([
      {
        severity: 'warn',
        code: 'cpu_split',
        box: 'desk',
        model: 'llama3.2:latest',
        why: 'llama3.2:latest runs on desk with a context of 32768 as 75 % CPU, 25 % GPU: 3.0 GB of 4.0 GB are not in GPU memory, which is slow.',
      },
    ]);
  });

  const onCpu = (name: string) => ({
    name,
    digest: model.digest,
    size: 4e9,
    size_vram: 0,
    context_length: 4_096,
    expires_at: '2026-01-01T00:05:00Z',
  });

  it('tells of a box that has no GPU as far as can be known, once, and ends with 0', async () => {
    const boxes = healthy();
    boxes.desk.running = [onCpu('llama3.2:latest'), onCpu('other:latest')];
    boxes.attic.running = [onCpu('llama3.2:latest')];
    const { found, code } = await findings(boxes);
    expect(found.map(({ severity, code: what, box, model: which, why }) => [severity, what, box, which, why])).toEqual([
      ['info', 'cpu_only', 'desk', null, 'desk runs on its CPU: nothing that it has in memory is in GPU memory.'],
      ['info', 'cpu_only', 'attic', null, 'attic runs on its CPU: nothing that it has in memory is in GPU memory.'],
    ]);
    expect(code).toBe(0);
  });

  it.each([
    ['the file says how much memory it has', [onCpu('llama3.2:latest')], ', vram: 16GiB'],
    ['another model is in it', [onCpu('llama3.2:latest'), { ...onCpu('other:latest'), size_vram: 4e9 }], ''],
  ])('warns of a model on the CPU of a box that has a GPU: %s', async (_, running, options) => {
    const boxes = healthy();
    boxes.desk.running = running;
    const { found, code } = await findings(boxes, named(options));
    expect(found).toMatchObject([
      {
        severity: 'warn',
        code: 'cpu_split',
        box: 'desk',
        model: 'llama3.2:latest',
        why: 'llama3.2:latest runs wholly on the CPU of desk with a context of 4096, which is slow.',
      },
    ]);
    expect(code).toBe(3);
  });

  // Llama 3.2 3B: 28 layers, 8 heads of 128 for keys and as many for values, 2 bytes: 114,688 bytes a token.
  const llama = {
    'general.architecture': 'llama',
    'llama.block_count': 28,
    'llama.attention.head_count': 24,
    'llama.attention.head_count_kv': 8,
    'llama.embedding_length': 3072,
    'llama.attention.key_length': 128,
    'llama.attention.value_length': 128,
  };
  const running = (context_length: number) => [
    {
      name: 'llama3.2:latest',
      digest: model.digest,
      size: 4e9,
      size_vram: 4e9,
      context_length,
      expires_at: '2026-01-01T00:05:00Z',
    },
  ];

  it('warns where slots times context do not go into the memory', async () => {
    const boxes = healthy();
    boxes.desk = { models: { 'llama3.2:latest': { ...model, info: llama } }, running: running(32_768) };
    // 4 × 32,768 × 114,688 bytes are 15.0 GB, with the weights 17.0 GB.
    const { found } = await findings(boxes, named(', slots: 4, vram: 16GiB, reserve: 1GiB'));
    expect(found).toMatchObject([
      {
        severity: 'warn',
        code: 'memory_tight',
        box: 'desk',
        model: 'llama3.2:latest',
        why: 'llama3.2:latest with a context of 32768 and 4 slots needs roughly 17.0 GB on desk, of which 15.0 GB for the context (a rough estimate: f16, full attention); 16.1 GB are there for models.',
      },
    ]);
    expect((await findings(boxes, named(', slots: 2, vram: 16GiB'))).found).toEqual([]);
    expect((await findings(boxes, named(', slots: 4'))).found).toEqual([]);
  });

  it('counts the context that fleet.warm asks for, too', async () => {
    const boxes = healthy();
    boxes.desk = { models: { 'llama3.2:latest': { ...model, info: llama } } };
    const text = `${named(', vram: 16GiB')}  warm: [{ model: llama3.2, boxes: [desk], numCtx: 262144 }]\n`;
    expect((await findings(boxes, text)).found).toMatchObject([
      {
        code: 'memory_tight',
        why: expect.stringContaining('a context of 262144 and one slot (fleet.boxes says nothing of slots)'),
      },
    ]);
  });

  it('tells of cloud models, and of models without a second box', async () => {
    const boxes = healthy();
    boxes.attic.models = {
      ...boxes.attic.models,
      mistral: { digest: 'cccccccccccccccc' },
      'gpt-oss:120b-cloud': { digest: 'd', remoteHost: 'https://ollama.com' },
    };
    const { found, code } = await findings(boxes);
    expect(found).toMatchObject([
      { severity: 'info', code: 'cloud_models', box: 'attic', why: expect.stringContaining('so they are refused') },
      { severity: 'info', code: 'no_failover', box: 'attic', model: 'mistral', mend: 'corral fleet sync --from attic mistral' },
    ]);
    expect(code).toBe(0);
  });

  it.each([
    [{ 'cf-ray': '8f1-FRA' }, 'Cloudflare, which cuts what is silent for 100 s'],
    [{ 'ngrok-agent-ips': '203.0.113.7' }, 'ngrok'],
  ])('warns of the limits of a tunnel: %j', async (headers, why) => {
    const boxes = healthy();
    boxes.attic.headers = headers;
    expect((await findings(boxes)).found).toMatchObject([
      {
        severity: 'warn',
        code: 'tunnel_limit',
        box: 'attic',
        why: expect.stringContaining(why),
        mend: expect.stringContaining('corral --relay'),
      },
    ]);
  });

  it('says nothing of a tunnel that a relay keeps awake', async () => {
    const boxes = healthy();
    boxes.attic.headers = { 'cf-ray': '8f1-FRA', 'x-corral-relay': '1' };
    expect((await findings(boxes)).found).toEqual([]);
  });

  it.each([
    ['Thu, 01 Jan 2026 00:01:00 GMT', undefined],
    ['Thu, 01 Jan 2026 00:01:01 GMT', /61 s ahead of/],
    ['Wed, 31 Dec 2025 23:00:00 GMT', /60 min behind/],
  ])('holds the clock of a box against its own: %s', async (date, why) => {
    const boxes = healthy();
    boxes.attic.headers = { date };
    const { found } = await findings(boxes);
    expect(found).toMatchObject(
      why === undefined ? [] : [{ severity: 'warn', code: 'clock_skew', box: 'attic', why: expect.stringMatching(why) }],
    );
  });

  it('warns of warm models that no box can serve, or too few', async () => {
    const text = `${named('')}  warm: [{ model: nosuch }, { model: llama3.2, boxes: 3 }]\n`;
    expect((await findings(healthy(), text)).found).toMatchObject([
      { severity: 'warn', code: 'warm_unservable', model: 'nosuch', mend: 'corral fleet pull nosuch --box BOX' },
      {
        severity: 'warn',
        code: 'warm_too_few',
        model: 'llama3.2',
        why: expect.stringContaining('on 3 boxes, and 2 of those that answer have it: desk, attic'),
      },
    ]);
  });

  it('warns of models that the configuration names and no box has', async () => {
    const text = `binds:
- port: 3000
  listeners:
  - routes:
    - name: chat
      backends:
      - ai: { name: desk, hostOverride: "desk:11434", provider: { openAI: { model: nosuch } } }
`;
    expect((await findings(healthy(), text, {})).found).toMatchObject([
      {
        severity: 'warn',
        code: 'model_missing',
        why: 'the model nosuch (route chat) is on none of its boxes (desk).',
        mend: 'corral fleet pull nosuch --box BOX, or correct the name.',
      },
    ]);
  });

  it('warns of an admin address that others can reach', async () => {
    const text = `config: { adminAddr: "0.0.0.0:15000" }\n${named('')}`;
    expect((await findings(healthy(), text, {})).found).toMatchObject([
      {
        severity: 'warn',
        code: 'admin_exposed',
        why: expect.stringContaining('without CORRAL_ADMIN_TOKEN everybody is refused'),
      },
    ]);
    expect((await findings(healthy(), text, { CORRAL_ADMIN_TOKEN: 'token' })).found).toMatchObject([
      { code: 'admin_exposed', why: expect.stringContaining('over plain HTTP') },
    ]);
  });

  it('a configuration that cannot be read is an error, and one that warns warns here', async () => {
    expect(await findings({}, 'bindz: []\n')).toMatchObject({
      code: 1,
      report: { boxes: [] },
      found: [{ severity: 'error', code: 'configuration', why: expect.stringMatching(/herd\.yaml:1:1 .*bindz/s) }],
    });
    const { found } = await findings(healthy(), `${named('')}  warm: [{ model: llama3.2, boxes: [desk, nosuch] }]\n`);
    expect(found).toContainEqual(
      expect.objectContaining({
        severity: 'warn',
        code: 'configuration',
        why: expect.stringContaining('no box is called "nosuch"'),
      }),
    );
  });

  it('shows no secret', async () => {
    const herd = createMockHerd({ desk: { fault: 'refused' } });
    const text = 'fleet: { boxes: [{ url: "http://desk:11434", headers: { authorization: "Bearer hidden-token" } }] }\n';
    const { out } = await run(words('doctor --json -f x.yaml'), herd.platform, { text });
    expect(out).not.toContain('hidden-token');
    expect(herd.asked[0]?.headers.authorization).toBe('Bearer hidden-token');
  });
});

describe('what a context takes', () => {
  it('goes without numbers that are not there', () => {
    expect(memoryShapeOf(undefined)).toBeUndefined();
    expect(memoryShapeOf('{"model_info":{"general.architecture":"x"}}')).toBeUndefined();
    const info = { 'general.architecture': 'x', 'x.block_count': 2, 'x.attention.head_count': 4, 'x.embedding_length': 64 };
    // 4 heads of 16, keys and values, 2 layers, 2 bytes.
    expect(kvBytesOf(memoryShapeOf(JSON.stringify({ model_info: info })) ?? { layers: 0, elements: 0 })).toBe(512);
  });

  it('takes the largest of layers that differ', () => {
    const info = {
      'general.architecture': 'x',
      'x.block_count': 3,
      'x.attention.head_count': 4,
      'x.attention.head_count_kv': [1, 4, 1],
      'x.embedding_length': 64,
    };
    expect(memoryShapeOf(JSON.stringify({ model_info: info }))).toEqual({ layers: 3, elements: 128 });
  });
});

describe('versions', () => {
  it.each([
    ['0.9.6', '0.14.0', true],
    ['0.14.0', '0.14.0', false],
    ['0.14.1-rc2', '0.14.0', false],
    ['0.13', '0.14.0', true],
    ['0.0.0', '0.14.0', false],
    ['dev', '0.14.0', false],
  ])('%s is older than %s: %s', (one, other, expected) => {
    expect(isOlder(one, other)).toBe(expected);
  });
});
