import { describe, expect, it } from 'vitest';
import { syncPlan } from '../../../support/sync-plan.ts';
import { begin, createMockHerd, type MockBox, run, words } from '../mock-herd.ts';

const fresh = 'a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72';
const stale = 'baf6a787fdffd633537aa2eb51cfd54cb93ff08e28040095462bb63daf552878';
const mistral = 'f974a74358d62a017b37c6f424fcdf2744ca02926c4f952513ddf474b2fa5091';
const env = { CORRAL_BOXES: 'desk=desk,attic=attic,shed=shed' };

/** Three boxes that agree on one model and not on the other: attic has an old copy. */
function threeBoxes(): { desk: MockBox; attic: MockBox; shed: MockBox } {
  const same = { 'mistral:latest': { digest: mistral, size: 4_100_000_000 } };
  return {
    desk: { models: { 'llama3.2:latest': { digest: fresh, size: 2_019_393_189, at: '2026-01-28T10:00:00Z' }, ...same } },
    attic: { models: { 'llama3.2:latest': { digest: stale, size: 2_019_393_189, at: '2025-09-01T08:00:00Z' }, ...same } },
    shed: { models: { 'llama3.2:latest': { digest: fresh, size: 2_019_393_189, at: '2026-01-20T10:00:00Z' }, ...same } },
  };
}

describe('corral fleet sync (T16)', () => {
  it('T16 A16: prints exactly the plan for three boxes of which one has a stale digest, and pulls nothing', async () => {
    const { platform, asked } = createMockHerd(threeBoxes());
    expect(await run(words('fleet sync --dry-run'), platform, { env })).toEqual({
      out: syncPlan,
      err: '',
      code: 0,
    });
    expect(asked.filter(({ path }) => path === '/api/pull')).toEqual([]);
  });

  it('T16 A16: apply streams the progress of the pull while it runs', async () => {
    const boxes = threeBoxes();
    let say: (line: unknown) => void = () => undefined;
    let finish: () => void = () => undefined;
    boxes.attic.pull = (model, sayLine) => {
      expect(model).toBe('llama3.2:latest');
      say = sayLine;
      return new Promise((resolve) => {
        finish = resolve;
      });
    };
    const herd = createMockHerd(boxes);
    const started = begin(words('fleet sync'), herd.platform, { env });
    for (let turns = 0; turns < 20; turns++) await herd.clock.settle();
    expect(started.out()).toBe(syncPlan);

    say({ status: 'pulling manifest' });
    await herd.clock.settle();
    expect(started.out()).toBe(`${syncPlan}attic  llama3.2:latest  pulling manifest\n`);

    const layer = { status: 'pulling dde5aa3fc5ff', digest: 'sha256:dde5aa3fc5ff', total: 2_000_000_000 };
    say({ ...layer, completed: 0 });
    say({ ...layer, completed: 100_000_000 });
    say({ ...layer, completed: 1_100_000_000 });
    await herd.clock.settle();
    expect(started.out().slice(syncPlan.length).split('\n')).toEqual([
      'attic  llama3.2:latest  pulling manifest',
      'attic  llama3.2:latest  pulling 0 % of 2.0 GB',
      'attic  llama3.2:latest  pulling 55 % of 2.0 GB',
      '',
    ]);

    say({ status: 'success' });
    boxes.attic.models = boxes.desk.models ?? {};
    await herd.clock.advance(3_000);
    finish();
    expect(await started.code).toBe(0);
    expect(started.out().split('\n').slice(-3)).toEqual([
      'attic  llama3.2:latest  pulling 55 % of 2.0 GB',
      'attic  llama3.2:latest  done after 3 s',
      '',
    ]);
    expect(started.err()).toBe('');
    expect(herd.asked.filter(({ path }) => path === '/api/pull')).toMatchObject([
      { at: 'attic:11434', method: 'POST', body: { model: 'llama3.2:latest' } },
    ]);
    // A running Corral is told to look again.
    expect(herd.asked.filter(({ path }) => path === '/refresh')).toHaveLength(1);
  });

  it('pulls what is missing, from the view of one box, on the boxes that are named', async () => {
    const boxes = threeBoxes();
    delete boxes.shed.models?.['mistral:latest'];
    const { platform } = createMockHerd(boxes);
    expect((await run(words('fleet sync --dry-run --from attic --to shed,desk'), platform, { env })).out).toBe(
      [
        'desk  pull llama3.2:latest  2.0 GB  stale: a80c4f17acd5, attic has baf6a787fdff',
        'shed  pull llama3.2:latest  2.0 GB  stale: a80c4f17acd5, attic has baf6a787fdff',
        'shed  pull mistral:latest   4.1 GB  missing: attic has it',
        '3 pulls on 2 boxes, 8.1 GB at most',
        '',
      ].join('\n'),
    );
    expect((await run(words('fleet sync --dry-run --to shed Mistral'), platform, { env })).out).toBe(
      'shed  pull mistral:latest  4.1 GB  missing: desk has it\n1 pull on 1 box, 4.1 GB at most\n',
    );
  });

  it('leaves models of a cloud alone', async () => {
    const { platform } = createMockHerd({
      desk: { models: { 'gpt-oss:120b-cloud': { digest: fresh, remoteHost: 'https://ollama.com' } } },
      attic: { models: {} },
    });
    expect(await run(words('fleet sync --dry-run'), platform, { env: { CORRAL_BOXES: 'desk=desk,attic=attic' } })).toEqual({
      out: 'desk   nothing to do\nattic  nothing to do\nall of them agree\n',
      err: '',
      code: 0,
    });
  });

  it('says which box is silent and which model nobody has, and ends with 1', async () => {
    const { platform } = createMockHerd({ ...threeBoxes(), shed: { fault: 'refused' } });
    expect(await run(words('fleet sync --dry-run mistral nosuch'), platform, { env })).toEqual({
      out: 'desk   nothing to do\nattic  nothing to do\nall of them agree\n',
      err: 'shed does not tell what it has: left out\nno box has nosuch: corral fleet pull nosuch --all\n',
      code: 1,
    });
  });

  it('says so when the registry has something newer than the box that was held for the newest', async () => {
    const boxes = threeBoxes();
    boxes.attic.pull = (_, say) => {
      boxes.attic.models = {
        ...boxes.attic.models,
        'llama3.2:latest': { digest: 'cccccccccccccccc', at: '2026-02-01T00:00:00Z' },
      };
      say({ status: 'success' });
    };
    const { platform } = createMockHerd(boxes);
    const { err, code } = await run(words('fleet sync --from desk --to attic'), platform, { env });
    expect([err, code]).toEqual([
      'llama3.2:latest on attic still differs from desk: the registry has another one now, so pull it there, too: corral fleet pull llama3.2:latest --box desk\n',
      3,
    ]);
  });

  it('tells why a pull failed, goes on with the others, and ends with 1', async () => {
    const boxes = threeBoxes();
    boxes.attic.models = {};
    boxes.attic.pull = (model, say) =>
      say(model === 'mistral:latest' ? { status: 'success' } : { error: 'pull model manifest: file does not exist' });
    const { platform } = createMockHerd(boxes);
    const { out, err, code } = await run(words('fleet sync --to attic'), platform, { env });
    expect(out).toContain('attic  llama3.2:latest  failed: pull model manifest: file does not exist\n');
    expect(out).toContain('attic  mistral:latest  done after 0 s\n');
    expect([err, code]).toEqual(['1 pull failed\n', 1]);
  });

  it('a pull that breaks off has failed', async () => {
    const boxes = threeBoxes();
    boxes.attic.pull = (_, say) => say({ status: 'pulling manifest' });
    const { platform } = createMockHerd(boxes);
    const { out, code } = await run(words('fleet sync'), platform, { env });
    expect(out).toContain('attic  llama3.2:latest  failed: the box broke off before it was done\n');
    expect(code).toBe(1);
  });

  it('Ctrl-C closes the connection to the box and says that nothing is lost', async () => {
    const boxes = threeBoxes();
    boxes.attic.pull = (_, say) => {
      say({ status: 'pulling manifest' });
      return new Promise(() => undefined);
    };
    const herd = createMockHerd(boxes);
    const started = begin(words('fleet sync'), herd.platform, { env });
    for (let turns = 0; turns < 20; turns++) await herd.clock.settle();
    expect(started.out()).toContain('pulling manifest');
    started.interrupt();
    expect(await started.code).toBe(130);
    expect(started.err()).toBe('stopped; what was fetched stays on the boxes, and the same command goes on from there\n');
    expect(herd.clock.pending).toBe(0);
  });

  it('a pull of which nothing is heard for ten minutes has failed', async () => {
    const boxes = threeBoxes();
    boxes.attic.pull = () => new Promise(() => undefined);
    const herd = createMockHerd(boxes);
    const started = begin(words('fleet sync'), herd.platform, { env });
    for (let turns = 0; turns < 20; turns++) await herd.clock.settle();
    await herd.clock.advance(599_000);
    expect(started.out()).not.toContain('failed');
    await herd.clock.advance(2_000);
    expect(await started.code).toBe(1);
    expect(started.out()).toContain('attic  llama3.2:latest  failed: nothing came for ten minutes\n');
  });
});

describe('the command line', () => {
  it.each([
    ['fleet sync --from nosuch', 'no box is called "nosuch"; there are: desk, attic, shed'],
    ['fleet sync --form desk', 'unknown flag --form; did you mean --from?'],
    ['fleet sync --from --dry-run', '--from needs a value: --from BOX'],
    ['fleet sync --dry-run=yes', '--dry-run takes no value'],
    ['fleet snyc', 'corral fleet has no command "snyc"; did you mean sync?'],
    ['fleet pull', 'which model?'],
    ['fleet pull a --all --box desk', '--box and --all exclude each other'],
    ['fleet pull a', 'name the box that is meant with --box: desk, attic, shed'],
    ['fleet pull a b --all', '"b" is one too many'],
    ['fleet load a --box desk --num-ctx many', '--num-ctx takes a number of tokens, not "many"'],
    ['fleet load a --box desk --keep-alive long', '--keep-alive takes a time such as 30m, 1h30m or -1 for ever, not "long"'],
    ['fleet drain desk --wait=5', '--wait: expected a duration with a unit'],
    ['fleet cordon', 'which box?'],
  ])('%s is wrong', async (line, problem) => {
    const { platform, asked } = createMockHerd(threeBoxes());
    const { out, err, code } = await run(words(line), platform, { env });
    expect([out, code, asked]).toEqual(['', 2, []]);
    expect(err).toContain(`error: ${problem}`);
  });

  it('a configuration that is wrong ends with 1, as a start does', async () => {
    const { platform } = createMockHerd({});
    const { err, code } = await run(words('fleet ls -f x.yaml'), platform, { text: 'bindz: []\n' });
    expect(code).toBe(1);
    expect(err).toMatch(/^error: x\.yaml:1:1 .*bindz/);
  });
});
