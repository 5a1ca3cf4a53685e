import { describe, expect, it } from 'vitest';
import { createBoard } from '../../../../src/cli/fleet/board.ts';
import { type AdminScript, begin, createMockHerd, type MockBox, run, words } from '../mock-herd.ts';

const env = { CORRAL_BOXES: 'desk=desk,attic=attic' };
const running = {
  name: 'llama3.2:latest',
  digest: 'aaaaaaaaaaaaaaaa',
  size: 4_000_000_000,
  size_vram: 3_000_000_000,
  context_length: 8192,
  expires_at: '2026-01-01T00:04:00Z',
};
const two = (): { desk: MockBox; attic: MockBox } => ({
  desk: { version: '0.20.1', models: { 'llama3.2:latest': { digest: 'aaaaaaaaaaaaaaaa' } }, running: [running] },
  attic: { fault: 'refused' },
});
const direct = 'no Corral answers at http://localhost:15000: the boxes of CORRAL_BOXES are asked directly\n';

/** Enough of `GET /fleet` for two boxes. */
function fleetReport() {
  const box = {
    isAlive: true,
    isBox: true,
    version: '0.20.1',
    isCordoned: false,
    cordonedForMs: null,
    lookedAgoMs: 2_000,
    trouble: null,
    inFlight: 2,
    waiting: 1,
    configured: { weight: 1, slots: null, vramBytes: null, reserveBytes: 0, maxLoaded: null },
    models: [],
    running: [],
    loading: [],
    tripped: [],
  };
  const loaded = {
    name: 'qwen3:14b',
    digest: 'q',
    sizeBytes: 11_000_000_000,
    vramBytes: 11_000_000_000,
    contextLength: 16384,
    expiresAt: '2318-01-01T00:00:00Z',
    inFlight: 2,
    waiting: 1,
    slots: 4,
  };
  return {
    boxes: [
      { ...box, name: 'desk', url: 'http://desk:11434', running: [loaded] },
      {
        ...box,
        name: 'attic',
        url: 'http://attic:11434',
        isCordoned: true,
        inFlight: 0,
        waiting: 0,
        loading: [{ model: 'big', forMs: 3_100 }],
      },
    ],
    models: [],
    drift: [],
    warm: [],
  };
}

describe('corral fleet ls and ps', () => {
  it('ask the boxes where no Corral runs, and say so', async () => {
    const { platform } = createMockHerd(two());
    expect(await run(words('fleet ls'), platform, { env })).toEqual({
      out: [
        'BOX    URL                 STATE  VERSION  MODELS  LOADED  BUSY  WAITING',
        'desk   http://desk:11434   up     0.20.1   1       1       -     -',
        'attic  http://attic:11434  down   -        -       -       -     -',
        'attic:  attic refused the connection: Ollama is not running there, or not bound to port 11434. Start it on that machine, open to the network: `OLLAMA_HOST=0.0.0.0:11434 ollama serve`. Check the port with `lsof -i :11434`.',
        '',
      ].join('\n'),
      err: direct,
      code: 1,
    });
    expect(await run(words('fleet ps'), platform, { env })).toEqual({
      out: [
        'BOX   MODEL            SIZE    PROCESSOR           CONTEXT  UNTIL     BUSY  WAITING',
        'desk  llama3.2:latest  4.0 GB  25 % CPU, 75 % GPU  8192     in 4 min  -     -',
        '',
      ].join('\n'),
      err: `${direct}attic does not answer\n`,
      code: 1,
    });
  });

  it('ask the Corral that runs, with the token', async () => {
    const { platform, asked } = createMockHerd({}, () => ({ status: 200, body: fleetReport() }));
    const withToken = { env: { ...env, CORRAL_ADMIN_TOKEN: 'the-token' } };
    expect(await run(words('fleet ls'), platform, withToken)).toEqual({
      out: [
        'BOX    URL                 STATE               VERSION  MODELS  LOADED  BUSY  WAITING',
        'desk   http://desk:11434   up                  0.20.1   0       1       2     1',
        'attic  http://attic:11434  up, out of service  0.20.1   0       0       0     0',
        '',
      ].join('\n'),
      err: '',
      code: 0,
    });
    expect((await run(words('fleet ps'), platform, withToken)).out).toBe(
      [
        'BOX    MODEL      SIZE     PROCESSOR  CONTEXT  UNTIL     BUSY  WAITING',
        'desk   qwen3:14b  11.0 GB  GPU        16384    for ever  2     1',
        'attic  big        -        loading    -        for 3 s   -     -',
        '',
      ].join('\n'),
    );
    expect(asked.map(({ path, headers }) => [path, headers.authorization])).toEqual([
      ['/fleet', 'Bearer the-token'],
      ['/fleet', 'Bearer the-token'],
    ]);
  });

  it('a Corral that lets nobody in is not passed over', async () => {
    const { platform } = createMockHerd(two(), () => ({
      status: 401,
      body: 'Authorization: Bearer CORRAL_ADMIN_TOKEN is asked for here\n',
    }));
    expect(await run(words('fleet ls'), platform, { env })).toEqual({
      out: '',
      err: 'error: http://localhost:15000 does not let this command in (401): Authorization: Bearer CORRAL_ADMIN_TOKEN is asked for here\n',
      code: 1,
    });
  });

  it('another program at that port is', async () => {
    const { platform } = createMockHerd(two(), () => ({ status: 404, body: 'what?' }));
    expect((await run(words('fleet ls'), platform, { env })).err).toBe(direct);
  });

  it('an address that was named must answer', async () => {
    const { platform } = createMockHerd(two());
    expect(await run(words('fleet ls --admin http://localhost:15000/'), platform, { env })).toEqual({
      out: '',
      err: 'error: no Corral answers at http://localhost:15000: connection refused\n',
      code: 1,
    });
  });

  it('print JSON, and nothing that steers a terminal', async () => {
    const models = { m: { digest: '111111111111' } };
    const { platform } = createMockHerd({ desk: { version: '\u001b[31m0.20', models }, attic: { models } });
    const { out } = await run(words('fleet ls --json'), platform, { env });
    expect(JSON.parse(out)).toMatchObject({
      isFromGateway: false,
      boxes: [{ name: 'desk' }, { name: 'attic' }],
      models: [{ name: 'm', boxes: ['desk', 'attic'] }],
    });
    expect((await run(words('fleet ls'), platform, { env })).out).not.toContain('\u001b');
  });
});

describe('corral fleet diff (T16)', () => {
  it('T16: shows models by box with digest drift, and ends with 3', async () => {
    const { platform } = createMockHerd({
      desk: { models: { 'a:latest': { digest: '111111111111aaaa', at: '2026-02-02T00:00:00Z' }, b: { digest: '222222222222' } } },
      attic: {
        models: { A: { digest: 'sha256:000000000000bbbb' }, b: { digest: '222222222222' }, c: { digest: '333333333333' } },
      },
    });
    expect(await run(words('fleet diff'), platform, { env })).toEqual({
      out: [
        'MODEL     desk          attic',
        'a:latest  111111111111  000000000000*',
        'c         -             333333333333',
        '',
        '*: not what was pulled last, -: not there; 1 model is the same on all boxes',
        '',
      ].join('\n'),
      err: direct,
      code: 3,
    });
    expect((await run(words('fleet diff b'), platform, { env })).code).toBe(0);
  });
});

describe('corral fleet pull, load and unload', () => {
  it('pulls on all boxes that answer', async () => {
    const boxes: Record<string, MockBox> = two();
    boxes.desk = { ...boxes.desk, pull: (_, say) => say({ status: 'success' }) };
    const { platform } = createMockHerd(boxes);
    const { out, err, code } = await run(words('fleet pull mistral --all'), platform, { env });
    expect(out).toContain('desk  mistral  done after 0 s\n');
    expect(out).toContain('attic  mistral  failed: attic refused the connection');
    expect([err, code]).toEqual(['1 pull failed\n', 1]);
  });

  it('loads with context and keep-alive, and says what came of it', async () => {
    const { platform, asked } = createMockHerd(two());
    expect(await run(words('fleet load llama3.2 --box desk --num-ctx 8192 --keep-alive -1'), platform, { env })).toEqual({
      out: 'desk  llama3.2:latest in memory after 0 s: 4.0 GB, 25 % CPU, 75 % GPU, context 8192\n',
      err: 'desk loads llama3.2 …\n',
      code: 0,
    });
    expect(asked.find(({ path }) => path === '/api/generate')?.body).toEqual({
      model: 'llama3.2',
      stream: false,
      options: { num_ctx: 8192 },
      keep_alive: -1,
    });
  });

  it('loads a model for embeddings as one', async () => {
    const boxes = two();
    boxes.desk.models = { minilm: { digest: 'm', capabilities: ['embedding'] } };
    boxes.desk.running = [{ ...running, name: 'minilm:latest' }];
    const { platform, asked } = createMockHerd(boxes);
    expect((await run(words('fleet load minilm --box desk'), platform, { env })).code).toBe(0);
    expect(asked.filter(({ method }) => method === 'POST').map(({ path }) => path)).toEqual([
      '/api/show',
      '/api/embed',
      '/refresh',
    ]);
  });

  it("ends with 1 and the box's own words", async () => {
    const boxes = two();
    boxes.desk.refusal = { status: 404, error: "model 'nosuch' not found" };
    const { platform } = createMockHerd(boxes);
    const { err, code } = await run(words('fleet load nosuch --box desk'), platform, { env });
    expect([err, code]).toEqual(["desk loads nosuch …\nerror: desk says: model 'nosuch' not found\n", 1]);
  });

  it('sends the headers of a box', async () => {
    const text = 'fleet: { boxes: [{ url: "http://desk:11434", headers: { x-tunnel: let-me-in } }] }\n';
    const { platform, asked } = createMockHerd(two());
    await run(words('fleet load llama3.2 -f herd.yaml'), platform, { text });
    const atBox = asked.filter(({ at }) => at === 'desk:11434');
    expect(atBox.length).toBeGreaterThan(3);
    expect(new Set(atBox.map(({ headers }) => headers['x-tunnel']))).toEqual(new Set(['let-me-in']));
  });

  it('unloads', async () => {
    const boxes = two();
    const { platform, asked } = createMockHerd(boxes);
    expect((await run(words('fleet unload llama3.2 --box desk'), platform, { env })).out).toBe(
      'desk  llama3.2 goes as soon as what it answers has ended\n',
    );
    boxes.desk.running = [];
    expect((await run(words('fleet unload llama3.2 --box desk'), platform, { env })).out).toBe(
      'desk  llama3.2 is not in memory any more\n',
    );
    expect(asked.find(({ path }) => path === '/api/generate')?.body).toEqual({ model: 'llama3.2', stream: false, keep_alive: 0 });
  });

  it('Ctrl-C lets go of a load', async () => {
    const boxes = two();
    const herd = createMockHerd(boxes);
    const send = herd.platform.send.bind(herd.platform);
    const platform = {
      ...herd.platform,
      send: (request: Parameters<typeof send>[0]) =>
        request.url.endsWith('/api/generate') ? new Promise<never>(() => undefined) : send(request),
    };
    const started = begin(words('fleet load llama3.2 --box desk'), platform, { env });
    for (let turns = 0; turns < 20; turns++) await herd.clock.settle();
    started.interrupt();
    expect(await started.code).toBe(130);
    expect(started.err()).toBe('desk loads llama3.2 …\nstopped; desk gives the load up\n');
  });
});

describe('corral fleet cordon, uncordon and drain', () => {
  const state = { box: 'desk', isCordoned: true, hasChanged: true, inFlight: 0, waiting: 0, isIdle: true };
  const asking = (answers: readonly object[]) => {
    const left = [...answers];
    const script: AdminScript = () => ({ status: 200, body: left.shift() ?? { error: 'too many' } });
    return createMockHerd({}, script);
  };

  it('cordons and uncordons at the admin address', async () => {
    const { platform, asked } = asking([
      state,
      { ...state, isCordoned: false },
      { ...state, isCordoned: false, hasChanged: false },
    ]);
    expect(await run(words('fleet cordon desk'), platform, { env })).toEqual({
      out: 'desk is out of service: nothing under way\n',
      err: '',
      code: 0,
    });
    expect((await run(words('fleet uncordon desk'), platform, { env })).out).toBe('desk is in service\n');
    expect((await run(words('fleet uncordon desk'), platform, { env })).out).toBe('desk is already in service\n');
    expect(asked.map(({ path, body }) => [path, body])).toEqual([
      ['/fleet/cordon', { box: 'desk' }],
      ['/fleet/uncordon', { box: 'desk' }],
      ['/fleet/uncordon', { box: 'desk' }],
    ]);
  });

  it.each(['fleet drain desk --wait', 'fleet drain --wait desk', 'fleet drain --wait 1h desk', 'fleet drain desk --wait=1h'])(
    '%s waits until the box has nothing to do and tells what changes',
    async (line) => {
      const busy = { ...state, inFlight: 2, waiting: 1, isIdle: false };
      const { platform, asked } = asking([busy, busy, { ...busy, inFlight: 1, waiting: 0 }, state]);
      expect(await run(words(line), platform, { env })).toEqual({
        out: [
          'desk is out of service: 2 under way, 1 waiting',
          'desk is out of service: 1 under way, 0 waiting',
          'desk is out of service: nothing under way',
          '',
        ].join('\n'),
        err: '',
        code: 0,
      });
      expect(asked.map(({ body }) => body)).toEqual([{ box: 'desk' }, ...Array(3).fill({ box: 'desk', wait: 5 })]);
    },
  );

  it('does not wait unasked, and ends with 1 when the time is over', async () => {
    const busy = { ...state, inFlight: 2, isIdle: false };
    expect((await run(words('fleet drain desk'), asking([busy]).platform, { env })).code).toBe(0);
    const herd = asking([busy, busy]);
    const { send } = herd.platform;
    const platform = {
      ...herd.platform,
      async send(request: Parameters<typeof send>[0]) {
        if (herd.asked.length > 0) await herd.clock.advance(3_000);
        return send(request);
      },
    };
    const { err, code } = await run(words('fleet drain desk --wait 3s'), platform, { env });
    expect([err, code]).toEqual(['the time is over and desk still has something to do; it stays out of service\n', 1]);
    expect(herd.asked.map(({ body }) => body)).toEqual([{ box: 'desk' }, { box: 'desk', wait: 3 }]);
  });

  it('hands on what the gateway says against it', async () => {
    const { platform } = createMockHerd({}, () => ({ status: 404, body: { error: 'no box is called "den"; there are: desk' } }));
    expect(await run(words('fleet drain den'), platform, { env })).toEqual({
      out: '',
      err: 'error: no box is called "den"; there are: desk\n',
      code: 1,
    });
  });

  it('needs a Corral that runs', async () => {
    const { platform } = createMockHerd({});
    expect((await run(words('fleet cordon desk'), platform, { env })).err).toBe(
      'error: no Corral answers at http://localhost:15000: connection refused\n',
    );
    expect((await run(words('fleet cordon desk -f x'), platform, { text: 'config: { adminAddr: "off" }' })).err).toBe(
      'error: config.adminAddr is off: name a running Corral with --admin URL\n',
    );
  });
});

describe('the board', () => {
  const progress = (completedBytes: number) => ({ status: 'pulling dde5aa3fc5ff', completedBytes, totalBytes: 2_000_000_000 });

  it('draws bars anew in their place on a terminal, not more often than ten times a second', () => {
    let out = '';
    let nowMs = 0;
    const board = createBoard({
      terminal: { isTerminal: true, columns: () => 80 },
      out: (text) => {
        out += text;
      },
      clock: { now: () => nowMs },
    });
    board.progress('attic  a', progress(0));
    board.progress('attic  a', progress(500_000_000));
    expect(out).toBe('attic  a  ░░░░░░░░░░░░░░░░░░░░░░░░    0 %  0 kB of 2.0 GB  pulling\n');
    out = '';
    nowMs = 100;
    board.progress('attic  a', progress(1_000_000_000));
    expect(out).toBe('\u001b[1A\r\u001b[0Jattic  a  ████████████░░░░░░░░░░░░   50 %  1.0 GB of 2.0 GB  pulling\n');
    out = '';
    board.progress('desk  b', { status: 'pulling manifest', completedBytes: 0, totalBytes: 0 });
    expect(out.split('\n')).toHaveLength(3);
    out = '';
    board.end('attic  a', 'done after 3 s');
    expect(out).toBe('\u001b[2A\r\u001b[0Jattic  a  done after 3 s\ndesk  b  pulling manifest\n');
  });

  it('prints 40 lines for a row at most elsewhere', () => {
    const lines: string[] = [];
    const board = createBoard({
      terminal: { isTerminal: false, columns: () => 80 },
      out: (text) => lines.push(text),
      clock: { now: () => 0 },
    });
    for (let index = 0; index < 1_000; index++)
      board.progress('attic  a', { status: `step ${index}`, completedBytes: 0, totalBytes: 0 });
    expect(lines).toHaveLength(40);
    board.end('attic  a', 'done');
    expect(lines.at(-1)).toBe('attic  a  done\n');
  });
});
