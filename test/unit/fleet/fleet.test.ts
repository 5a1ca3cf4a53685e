import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import type { Upstream } from '../../../src/exchange.ts';
import { createFleet, type Herd } from '../../../src/fleet/fleet.ts';
import {
  attic,
  createWorld,
  den,
  ghost,
  healthyBox,
  laptop,
  modelItem,
  Raw,
  runningItem,
  type Script,
  upstreamNamed,
  type World,
} from './scripted-boxes.ts';

function herdOf(world: World, upstreams: readonly Upstream[], scripts: readonly (Script | undefined)[]): Herd {
  upstreams.forEach((upstream, index) => {
    const script = scripts[index];
    if (script !== undefined) world.scripts.set(upstream.baseUrl, script);
  });
  return createFleet({ upstreams, platform: world.platform, instanceId: 'me', jitter: () => 0.5 });
}

/** Runs the work, moving time on as it asks for it; resolves with how long it took on the fake clock. */
async function timed(world: World, work: Promise<unknown>): Promise<number> {
  const startedMs = world.clock.now();
  let doneMs: number | undefined;
  void work.then(() => {
    doneMs = world.clock.now();
  });
  for (let step = 0; doneMs === undefined && step < 20_000; step++) await world.clock.advance(1);
  return (doneMs ?? Number.POSITIVE_INFINITY) - startedMs;
}

const namesOf = (herd: Herd) => herd.models().map(({ model, boxes }) => [model.name, boxes]);

describe('who is Ollama', () => {
  const other: Script = { answers: { '/v1/models': {} } };
  const locked: Script = { answers: { '/api/version': new Raw(403, '') } };

  it('is presumed until a probe has told, and proven only by one', async () => {
    const world = createWorld();
    const cloud = upstreamNamed('cloud', 'http://cloud', 'openai');
    const herd = herdOf(world, [attic, den, laptop, ghost, cloud], [healthyBox([]), other, locked, undefined, healthyBox([])]);
    const standings = () => [attic, den, laptop, ghost, cloud].map((one) => [herd.isBox(one), herd.isProvenBox(one)]);
    const presumed = [true, false];
    expect(standings()).toEqual([presumed, presumed, presumed, presumed, [false, false]]);
    await timed(world, herd.learn());
    expect(standings()).toEqual([[true, true], [false, false], presumed, presumed, [false, false]]);
    world.scripts.delete(attic.baseUrl);
    await timed(world, herd.checkAlive(attic));
    expect([herd.isAlive(attic), herd.isProvenBox(attic)]).toEqual([false, true]);
    world.scripts.set(attic.baseUrl, other);
    await timed(world, herd.checkAlive(attic));
    expect([herd.isBox(attic), herd.isProvenBox(attic)]).toEqual([false, false]);
  });
});

describe('lists of several boxes', () => {
  it('are the union, each model once with its number of boxes, newest first', async () => {
    const world = createWorld();
    const herd = herdOf(
      world,
      [attic, den, laptop],
      [
        healthyBox(['llama3.2:latest', 'mistral:latest']),
        healthyBox(['Mistral:latest', 'phi3:mini']),
        healthyBox(['llama3.2:latest']),
      ],
    );
    await timed(world, herd.learn());
    // Days of age: llama3.2 0 and 0, mistral 1 and 0, phi3 1.
    expect(namesOf(herd)).toEqual([
      ['Mistral:latest', 2],
      ['llama3.2:latest', 2],
      ['phi3:mini', 1],
    ]);
    expect(herd.models()[1]).toMatchObject({ boxNames: ['attic', 'laptop'], hasDrift: false });
  });

  it('take the newest copy of a model whose content differs, and say so', async () => {
    const world = createWorld();
    const herd = herdOf(
      world,
      [attic, den],
      [healthyBox(['other:1b', ['llama3.2:latest', 'old']]), healthyBox([['llama3.2:latest', 'new']])],
    );
    await timed(world, herd.learn());
    const listed = herd.models().find(({ model }) => model.name === 'llama3.2:latest');
    expect(listed).toMatchObject({ boxes: 2, hasDrift: true });
    expect(listed?.model.digest).toBe('new');
  });

  it('hand on the items letter by letter', async () => {
    const world = createWorld();
    const item =
      '{"name":"x:1b", "modified_at":"2026-01-01T00:00:00Z","size":12345678901234567890,"digest":"d","a":["]}\\"",{"b":"\\u003c"}]}';
    const script = healthyBox([]);
    script.answers['/api/tags'] = new Raw(200, `{"models":[ ${item} ,{"name":"y:1b"}]}`);
    const herd = herdOf(world, [attic], [script]);
    await timed(world, herd.learn());
    expect(herd.models()[0]?.model.tag).toBe(item);
    expect(herd.models()[1]?.model.tag).toBe('{"name":"y:1b"}');
  });

  it('hold 2,000 models of one box and no more', async () => {
    const world = createWorld();
    const herd = herdOf(world, [attic], [healthyBox(Array.from({ length: 2_001 }, (_, index) => `m${index}:latest`))]);
    await timed(world, herd.learn());
    expect(herd.models()).toHaveLength(2_000);
    expect(herd.hasModel(attic, 'm1999')).toBe(true);
    expect(herd.hasModel(attic, 'm2000')).toBe(false);
  });

  it('keep the last known list when an answer is longer than 16 MiB', async () => {
    const world = createWorld();
    const script = healthyBox(['a:1b']);
    const herd = herdOf(world, [attic], [script]);
    await timed(world, herd.learn());
    script.answers['/api/tags'] = new Raw(200, `{"models":[],"x":"${'x'.repeat(16 * 1024 * 1024)}"}`);
    await world.clock.advance(2_000);
    await timed(world, herd.learn());
    expect(namesOf(herd)).toEqual([['a:1b', 1]]);
  });

  it('survive answers that are no lists at all', async () => {
    for (const answer of [
      null,
      7,
      [],
      {},
      { models: null },
      { models: 'x' },
      { models: [null, 3, {}, { name: 5 }] },
      new Raw(200, '{"models":['),
      new Raw(500, ''),
    ]) {
      const world = createWorld();
      const script = healthyBox([]);
      script.answers['/api/tags'] = answer;
      script.answers['/api/ps'] = answer;
      const herd = herdOf(world, [attic], [script]);
      await timed(world, herd.learn());
      expect(herd.models()).toEqual([]);
      expect(herd.running()).toEqual([]);
      expect(herd.isAlive(attic)).toBe(true);
    }
  });

  it('show what is in memory once, the longest-lived first, and where', async () => {
    const world = createWorld();
    const later = { ...runningItem('phi3:mini'), expires_at: '2026-01-28T10:09:00Z' };
    const herd = herdOf(
      world,
      [attic, den],
      [
        healthyBox(['llama3.2:latest'], [runningItem('llama3.2:latest')]),
        healthyBox(['llama3.2:latest', 'phi3:mini'], [later, runningItem('llama3.2:latest')]),
      ],
    );
    await timed(world, herd.learn());
    expect(herd.running().map(({ runner, boxNames }) => [runner.name, boxNames])).toEqual([
      ['phi3:mini', ['den']],
      ['llama3.2:latest', ['attic', 'den']],
    ]);
    expect(JSON.parse(herd.running()[0]?.runner.item ?? '')).toEqual(later);
  });
});

describe('one dead box', () => {
  const three = [attic, laptop, ghost];
  const scripts = () => [healthyBox(['llama3.2:latest']), { fault: 'silent', answers: {} } as Script, undefined];

  it('delays the very first list by 2 s at most, later ones not at all', async () => {
    const world = createWorld();
    const herd = herdOf(world, three, scripts());
    herd.start();
    expect(await timed(world, herd.learn())).toBeLessThanOrEqual(2_001);
    expect(namesOf(herd)).toEqual([['llama3.2:latest', 1]]);
    await world.clock.advance(5_000);
    expect(await timed(world, herd.learn())).toBeLessThanOrEqual(2);
    herd.stop();
  });

  it('that is slow, and being asked already, makes a list wait for the rest of the 2 s only', async () => {
    const world = createWorld();
    const herd = herdOf(world, [attic], [{ ...healthyBox(['a:1b']), delayMs: 1_500 }]);
    const first = herd.learn();
    await world.clock.advance(1_000);
    expect(await timed(world, herd.learn())).toBeLessThanOrEqual(1_001);
    await first;
    await world.clock.advance(1_500);
    expect(namesOf(herd)).toEqual([['a:1b', 1]]);
  });

  it('is known to be dead within 2.2 s and costs nothing from then on', async () => {
    const world = createWorld();
    const herd = herdOf(world, three, scripts());
    expect(await timed(world, herd.checkAlive(laptop))).toBeLessThanOrEqual(2_200);
    expect(await timed(world, herd.checkAlive(ghost))).toBeLessThanOrEqual(1);
    expect(herd.isAlive(laptop)).toBe(false);
    expect(herd.isAlive(ghost)).toBe(false);
    expect(herd.describe().map(({ name, isAlive }) => [name, isAlive])).toEqual([
      ['attic', undefined],
      ['laptop', false],
      ['ghost', false],
    ]);
  });

  it('delays a list by 40 ms when it falls silent after it was well', async () => {
    const world = createWorld();
    const [well, ,] = scripts();
    const falling = healthyBox(['phi3:mini']);
    const herd = herdOf(world, [attic, laptop], [well, falling]);
    await timed(world, herd.learn());
    falling.fault = 'silent';
    await world.clock.advance(1_500);
    const tookMs = await timed(world, herd.learn());
    expect(tookMs).toBeGreaterThanOrEqual(40);
    expect(tookMs).toBeLessThan(50);
    expect(namesOf(herd)).toEqual([
      ['llama3.2:latest', 1],
      ['phi3:mini', 1],
    ]);
  });

  it('keeps its models in the list for 30 s, and loses what it had in memory at once', async () => {
    const world = createWorld();
    const herd = herdOf(world, [attic, laptop], [healthyBox(['a:1b']), healthyBox(['b:1b'], [runningItem('b:1b')])]);
    await timed(world, herd.learn());
    herd.noteFailure(laptop, new GatewayError('upstream_refused', 'x'));
    expect(herd.running()).toEqual([]);
    await world.clock.advance(29_000);
    expect(namesOf(herd)).toEqual([
      ['a:1b', 1],
      ['b:1b', 1],
    ]);
    await world.clock.advance(1_000);
    expect(namesOf(herd)).toEqual([['a:1b', 1]]);
    // What it had is still the best guess for a request that names it.
    expect(herd.hasModel(laptop, 'b:1b')).toBe(true);
  });

  it('is asked less and less often, up to once a minute, and returns by itself', async () => {
    const world = createWorld();
    const script: Script = { fault: 'refused', answers: healthyBox(['b:1b']).answers };
    const herd = herdOf(world, [laptop], [script]);
    herd.start();
    await world.clock.advance(300_000);
    expect(world.asked.map(({ atMs }) => atMs / 1_000)).toEqual([0, 1, 3, 7, 15, 31, 63, 123, 183, 243]);
    delete script.fault;
    await world.clock.advance(10_000);
    expect(herd.isAlive(laptop)).toBe(true);
    expect(namesOf(herd)).toEqual([['b:1b', 1]]);
    herd.stop();
  });

  it('is asked when somebody wants a list, who does not wait for it: it is in the next one', async () => {
    const world = createWorld();
    const script: Script = { fault: 'refused', answers: healthyBox(['b:1b']).answers };
    const herd = herdOf(world, [laptop], [script]);
    herd.start();
    await world.clock.advance(65_000);
    script.delayMs = 500;
    delete script.fault;
    expect(await timed(world, herd.learn())).toBeLessThanOrEqual(2);
    expect(namesOf(herd)).toEqual([]);
    await world.clock.advance(1_500);
    expect(namesOf(herd)).toEqual([['b:1b', 1]]);
    herd.stop();
  });

  it('is not forgotten when many attempts fail at once', async () => {
    const world = createWorld();
    const script = healthyBox(['b:1b']);
    const herd = herdOf(world, [laptop], [script]);
    herd.start();
    await world.clock.advance(5_000);
    world.take(laptop.baseUrl);
    for (let index = 0; index < 50; index++) herd.noteFailure(laptop, new GatewayError('upstream_closed', 'x'));
    expect(herd.isAlive(laptop)).toBe(false);
    await world.clock.advance(1_001);
    expect(herd.isAlive(laptop)).toBe(true);
    expect(world.take(laptop.baseUrl).filter((path) => path === '/api/version')).toHaveLength(1);
    herd.stop();
  });
});

describe('probing', () => {
  it('asks every 10 s and sees a new model within 30 s', async () => {
    const world = createWorld();
    const script = healthyBox(['a:1b']);
    const herd = herdOf(world, [attic], [script]);
    herd.start();
    await world.clock.advance(1_000);
    script.answers['/api/tags'] = { models: [modelItem('a:1b'), modelItem('new:1b')] };
    await world.clock.advance(29_000);
    expect(herd.hasModel(attic, 'new:1b')).toBe(true);
    expect(world.asked.filter(({ url }) => url.endsWith('/api/version')).map(({ atMs }) => atMs)).toEqual([
      0, 10_000, 20_000, 30_000,
    ]);
    herd.stop();
  });

  it('asks once for all who want to know at the same time', async () => {
    const world = createWorld();
    const herd = herdOf(world, [attic], [{ ...healthyBox(['a:1b']), delayMs: 20 }]);
    await timed(world, Promise.all([herd.learn(), herd.learn(), herd.checkAlive(attic), herd.checkAlive(attic)]));
    expect(world.take(attic.baseUrl).sort()).toEqual(['/api/ps', '/api/show', '/api/tags', '/api/version']);
  });

  it('does not ask again what is younger than a second', async () => {
    const world = createWorld();
    const herd = herdOf(world, [attic], [healthyBox(['a:1b'])]);
    await timed(world, herd.learn());
    world.take(attic.baseUrl);
    await world.clock.advance(999);
    await timed(world, herd.learn());
    expect(world.take(attic.baseUrl)).toEqual([]);
    await world.clock.advance(10);
    await timed(world, herd.learn());
    expect(world.take(attic.baseUrl).sort()).toEqual(['/api/ps', '/api/tags', '/api/version']);
  });

  it('leaves no timer and no connection behind when it stops, and learns nothing from being stopped', async () => {
    const world = createWorld();
    const herd = herdOf(world, [attic, laptop], [healthyBox(['a:1b']), healthyBox(['b:1b'])]);
    herd.start();
    await world.clock.advance(1_000);
    world.scripts.set(laptop.baseUrl, { fault: 'silent', answers: {} });
    await world.clock.advance(9_500);
    expect(world.open).toBeGreaterThan(0);
    herd.stop();
    await world.clock.settle();
    expect(world.open).toBe(0);
    expect(world.clock.pending).toBe(0);
    expect(herd.isAlive(laptop)).toBe(true);
    await world.clock.advance(100_000);
    expect(world.clock.pending).toBe(0);
  });

  it('runs with requests where nothing runs in the background, two boxes at a time', async () => {
    const world = createWorld({ hasBackground: false });
    const herd = herdOf(world, [attic, den, laptop], [healthyBox(['a:1b']), healthyBox(['b:1b']), healthyBox(['c:1b'])]);
    herd.start();
    await world.clock.advance(60_000);
    expect(world.asked).toEqual([]);
    await timed(world, herd.catchUp() ?? Promise.reject(new Error('nothing was due')));
    expect(namesOf(herd)).toEqual([
      ['a:1b', 1],
      ['b:1b', 1],
    ]);
    await timed(world, herd.catchUp() ?? Promise.reject(new Error('nothing was due')));
    expect(herd.models()).toHaveLength(3);
    expect(herd.catchUp()).toBeUndefined();
    await world.clock.advance(11_000);
    expect(herd.catchUp()).toBeDefined();
    expect(world.clock.pending).toBeGreaterThan(0);
  });

  it('is begun by one of several requests that come at once', async () => {
    const world = createWorld({ hasBackground: false });
    const herd = herdOf(world, [attic], [{ ...healthyBox([]), delayMs: 100 }]);
    const work = herd.catchUp();
    expect(work).toBeDefined();
    expect(herd.catchUp()).toBeUndefined();
    await timed(world, work ?? Promise.resolve());
  });

  it('has one timer per box, however often a box comes and goes', async () => {
    const world = createWorld();
    const herd = herdOf(world, [attic], [healthyBox([])]);
    herd.start();
    await world.clock.advance(5_000);
    for (let index = 0; index < 10; index++) {
      herd.noteFailure(attic, new GatewayError('upstream_closed', 'x'));
      herd.noteAnswer(attic);
    }
    expect(world.clock.pending).toBe(1);
    herd.stop();
  });

  it('does not share its promises where they die with their request', async () => {
    const world = createWorld({ hasBackground: false });
    const herd = herdOf(world, [attic], [{ ...healthyBox([]), delayMs: 5 }]);
    await timed(world, Promise.all([herd.checkAlive(attic), herd.checkAlive(attic)]));
    expect(world.take(attic.baseUrl)).toEqual(['/api/version', '/api/version']);
  });

  it('hands work that outlasts the wait to whoever keeps it alive', async () => {
    const world = createWorld({ hasBackground: false });
    const script = healthyBox(['a:1b']);
    const herd = herdOf(world, [attic], [script]);
    await timed(world, herd.learn());
    script.delayMs = 500;
    script.answers['/api/tags'] = { models: [modelItem('late:1b')] };
    await world.clock.advance(2_000);
    const kept: Promise<unknown>[] = [];
    expect(
      await timed(
        world,
        herd.learn((work) => kept.push(work)),
      ),
    ).toBeLessThan(50);
    expect(namesOf(herd)).toEqual([['a:1b', 1]]);
    await timed(world, Promise.all(kept));
    expect(namesOf(herd)).toEqual([['late:1b', 1]]);
  });

  it('never asks other kinds of upstreams by itself', async () => {
    const world = createWorld();
    const cloud = upstreamNamed('cloud', 'https://api.example.com', 'openai');
    const herd = herdOf(world, [cloud], [{ answers: {} }]);
    herd.start();
    await timed(world, herd.learn());
    await world.clock.advance(60_000);
    expect(world.asked).toEqual([]);
    expect(herd.describe()).toEqual([]);
    expect(herd.isBox(cloud)).toBe(false);
    // Asked for, any answer counts.
    const alive = herd.checkAlive(cloud);
    await timed(world, alive);
    expect(await alive).toBe(true);
  });

  it('carries the headers that the upstream needs', async () => {
    const world = createWorld();
    world.scripts.set(attic.baseUrl, healthyBox([]));
    const herd = createFleet({
      upstreams: [attic],
      platform: world.platform,
      instanceId: 'me',
      headersFor: ({ name }) => ({ host: `${name}.internal` }),
    });
    await timed(world, herd.checkAlive(attic));
    expect(world.asked[0]?.headers).toMatchObject({ host: 'attic.internal' });
  });
});

describe('what answers', () => {
  const judged = async (answer: unknown, script = healthyBox(['a:1b'])) => {
    const world = createWorld();
    script.answers['/api/version'] = answer;
    const herd = herdOf(world, [attic], [script]);
    await timed(world, herd.learn());
    return { herd, world, report: herd.describe()[0] };
  };

  it('is a box when it tells a version', async () => {
    const { report } = await judged({ version: '0.12.3' });
    expect(report).toMatchObject({ isBox: true, isAlive: true, version: '0.12.3', models: ['a:1b'], why: undefined });
  });

  it.each([
    ['404', new Raw(404, '{"detail":"Not Found"}')],
    ['an error with 200, as LM Studio', new Raw(200, '{"error":"Unexpected endpoint or method. (GET /api/version)"}')],
    ['a page', new Raw(200, `<!doctype html>${' '.repeat(5_000)}`, { 'content-type': 'text/html' })],
  ])('is another server when it answers %s, and is not asked for models', async (_name, answer) => {
    const { herd, world } = await judged(answer);
    expect(herd.isBox(attic)).toBe(false);
    expect(herd.isAlive(attic)).toBe(true);
    expect(herd.hasModel(attic, 'a:1b')).toBeUndefined();
    expect(world.take(attic.baseUrl)).toEqual(['/api/version']);
  });

  it('is presumed to be a box until it has told', () => {
    expect(herdOf(createWorld(), [attic], []).isBox(attic)).toBe(true);
  });

  it('is alive but in trouble when it refuses the Host header, and stays a box', async () => {
    const { herd, report } = await judged(new Raw(403, ''));
    expect(herd.isBox(attic)).toBe(true);
    expect(herd.isAlive(attic)).toBe(true);
    expect(herd.hasAnsweringBox()).toBe(false);
    expect(report).toMatchObject({ isAlive: false });
    expect(report?.mend).toContain('OLLAMA_ORIGINS');
  });

  it('is down when a tunnel says that it cannot be reached, and stays a box', async () => {
    const { herd, report } = await judged(new Raw(530, 'error code: 1033'));
    expect(herd.isAlive(attic)).toBe(false);
    expect(herd.isBox(attic)).toBe(true);
    expect(report?.why).toContain('530');
  });

  it('is refused when it is this gateway itself, whatever attempts say', async () => {
    const { herd, world, report } = await judged(
      new Raw(200, '{"version":"0.12.3"}', { 'x-corral-instance': 'me', 'content-type': 'application/json' }),
    );
    expect(herd.isAlive(attic)).toBe(false);
    expect(report?.why).toContain('this gateway itself');
    expect(world.take(attic.baseUrl)).toEqual(['/api/version']);
    herd.noteAnswer(attic);
    expect(herd.isAlive(attic)).toBe(false);
    expect(herd.describe()[0]?.why).toContain('this gateway itself');
    expect(herd.models()).toEqual([]);
  });

  it('may be another Corral', async () => {
    const { herd } = await judged(new Raw(200, '{"version":"0.12.3"}', { 'x-corral-instance': 'someone else' }));
    expect(herd.isAlive(attic)).toBe(true);
    expect(herd.hasModel(attic, 'a:1b')).toBe(true);
  });
});

describe('attempts', () => {
  it('keep liveness current between probes', async () => {
    const world = createWorld();
    const herd = herdOf(world, [attic], [healthyBox([])]);
    expect(herd.isAlive(attic)).toBeUndefined();
    herd.noteAnswer(attic);
    expect(herd.isAlive(attic)).toBe(true);
    herd.noteFailure(attic, new GatewayError('upstream_silent', 'x'));
    expect(herd.isAlive(attic)).toBe(false);
    herd.noteAnswer(attic);
    expect(herd.isAlive(attic)).toBe(true);
    await world.clock.advance(90_001);
    expect(herd.isAlive(attic)).toBeUndefined();
  });

  it('tell the log when a box goes and when it comes back, once each, and nothing of one that was never there', async () => {
    const world = createWorld();
    const said: string[] = [];
    const platform = { ...world.platform, report: (level: string, text: string) => void said.push(`${level} ${text}`) };
    const herd = createFleet({ upstreams: [attic, den], platform, instanceId: 'me', jitter: () => 0.5 });
    const refused = new GatewayError('upstream_refused', 'attic refused the connection');
    herd.noteFailure(den, refused);
    herd.noteAnswer(den);
    expect(said).toEqual([]);
    herd.noteAnswer(attic);
    herd.noteFailure(attic, refused);
    herd.noteFailure(attic, refused);
    await world.clock.advance(61_400);
    herd.noteAnswer(attic);
    herd.noteAnswer(attic);
    expect(said).toEqual([
      'warn fleet: attic does not answer any more: attic refused the connection',
      'info fleet: attic is back after 61 s',
    ]);
  });

  it.each(['upstream_timeout', 'upstream_unavailable', 'model_not_found', 'internal'] as const)(
    'that end with %s kill nobody',
    (code) => {
      const herd = herdOf(createWorld(), [attic], [healthyBox([])]);
      herd.noteAnswer(attic);
      herd.noteFailure(attic, new GatewayError(code, 'x'));
      expect(herd.isAlive(attic)).toBe(true);
    },
  );

  it('are counted, below zero never', () => {
    const herd = herdOf(createWorld(), [attic, den], []);
    herd.enter(attic);
    herd.enter(attic);
    herd.leave(attic);
    herd.leave(den);
    expect([herd.inFlight(attic), herd.inFlight(den)]).toEqual([1, 0]);
  });

  it('to one place under two names are counted together, and the place is one box', async () => {
    const world = createWorld();
    const alias = upstreamNamed('attic-embeddings', attic.baseUrl);
    const herd = herdOf(world, [attic, alias], [healthyBox(['a:1b'])]);
    await timed(world, herd.learn());
    herd.enter(alias);
    expect(herd.inFlight(attic)).toBe(1);
    expect(namesOf(herd)).toEqual([['a:1b', 1]]);
    expect(herd.hasModel(alias, 'a:1b')).toBe(true);
    expect(herd.describe()).toHaveLength(1);
  });

  it('that find a listed model missing have the list asked for again, once a second', async () => {
    const world = createWorld();
    const script = healthyBox(['a:1b']);
    const herd = herdOf(world, [attic], [script]);
    herd.start();
    await world.clock.advance(3_000);
    world.take(attic.baseUrl);
    script.answers['/api/tags'] = { models: [] };
    herd.noteMissing(attic, 'never-had:1b');
    await world.clock.advance(10);
    expect(world.take(attic.baseUrl)).toEqual([]);
    herd.noteMissing(attic, 'A:1b');
    await world.clock.advance(10);
    expect(herd.hasModel(attic, 'a:1b')).toBe(false);
    expect(world.take(attic.baseUrl)).toContain('/api/tags');
    // The list is back, but the box still says 404 to each of many requests.
    script.answers['/api/tags'] = { models: [modelItem('a:1b')] };
    await world.clock.advance(10_000);
    world.take(attic.baseUrl);
    for (let tenths = 0; tenths < 30; tenths++) {
      herd.noteMissing(attic, 'a:1b');
      await world.clock.advance(100);
    }
    expect(world.take(attic.baseUrl).filter((path) => path === '/api/tags').length).toBeLessThanOrEqual(3);
    herd.stop();
  });
});

describe('models of a box', () => {
  it('are known by every spelling that Ollama takes', async () => {
    const world = createWorld();
    const herd = herdOf(world, [attic], [healthyBox(['llama3.2:latest', 'acme/x:1b'])]);
    expect(herd.hasModel(attic, 'llama3.2')).toBeUndefined();
    await timed(world, herd.learn());
    for (const name of ['llama3.2', ' LLAMA3.2:latest', 'library/llama3.2', 'registry.ollama.ai/library/llama3.2:latest']) {
      expect(herd.hasModel(attic, name)).toBe(true);
    }
    expect(herd.hasModel(attic, 'llama3.2:3b')).toBe(false);
  });

  it('are not known any more after a minute without news', async () => {
    const world = createWorld();
    const herd = herdOf(world, [attic], [healthyBox(['a:1b'])]);
    await timed(world, herd.learn());
    await world.clock.advance(59_000);
    expect(herd.hasModel(attic, 'a:1b')).toBe(true);
    await world.clock.advance(2_000);
    expect(herd.hasModel(attic, 'a:1b')).toBeUndefined();
    // Lists still show the last known state.
    expect(namesOf(herd)).toEqual([['a:1b', 1]]);
  });

  it('are in memory under any name of the same blob', async () => {
    const world = createWorld();
    const script = healthyBox(
      [
        ['gemma3:270m', 'blob'],
        ['llama3.2:latest', 'blob'],
        ['phi3:mini', 'else'],
      ],
      [runningItem('gemma3:270m', 'blob')],
    );
    const herd = herdOf(world, [attic], [script]);
    expect(herd.isResident(attic, 'gemma3:270m')).toBeUndefined();
    await timed(world, herd.learn());
    expect(herd.isResident(attic, 'gemma3:270m')).toBe(true);
    expect(herd.isResident(attic, 'llama3.2')).toBe(true);
    expect(herd.isResident(attic, 'phi3:mini')).toBe(false);
    expect(herd.runnerOn(attic, 'llama3.2')?.name).toBe('gemma3:270m');
    await world.clock.advance(31_000);
    expect(herd.isResident(attic, 'gemma3:270m')).toBeUndefined();
  });

  it('are told to be in the cloud when the box says so', async () => {
    const world = createWorld();
    const script = healthyBox([]);
    script.answers['/api/tags'] = {
      models: [modelItem('near:1b'), { ...modelItem('far:1b'), remote_model: 'x', remote_host: 'https://ollama.com' }],
    };
    const herd = herdOf(world, [attic], [script]);
    expect(herd.isRemote(attic, 'far:1b')).toBe(false);
    await timed(world, herd.learn());
    expect([herd.isRemote(attic, 'FAR:1b'), herd.isRemote(attic, 'near:1b')]).toEqual([true, false]);
  });

  it('are looked for in memory now when asked to', async () => {
    const world = createWorld();
    const script = healthyBox([
      ['gemma3:270m', 'blob'],
      ['llama3.2:latest', 'blob'],
    ]);
    const herd = herdOf(world, [attic], [script]);
    const resident = async (model: string) => {
      const work = herd.checkResident(attic, model);
      const tookMs = await timed(world, work);
      return [await work, tookMs <= 2_001];
    };
    expect(await resident('llama3.2')).toEqual([false, true]);
    script.answers['/api/ps'] = { models: [runningItem('gemma3:270m', 'blob')] };
    expect(await resident('llama3.2')).toEqual([true, true]);
    script.fault = 'silent';
    expect(await resident('llama3.2')).toEqual([undefined, true]);
  });
});

it('reports boxes without credentials', () => {
  const herd = herdOf(createWorld(), [upstreamNamed('attic', 'http://user:secret@attic:11434')], []);
  expect(herd.describe()[0]).toEqual({
    name: 'attic',
    url: 'http://attic:11434',
    isAlive: undefined,
    isBox: true,
    waiting: 0,
    version: undefined,
    models: undefined,
    why: undefined,
    mend: undefined,
  });
});

it('knows nothing of upstreams that it was not told of', async () => {
  const herd = herdOf(createWorld(), [], []);
  herd.enter(attic);
  herd.noteAnswer(attic);
  herd.noteFailure(attic, new GatewayError('upstream_refused', 'x'));
  expect([herd.isBox(attic), herd.isAlive(attic), herd.hasModel(attic, 'x'), herd.inFlight(attic)]).toEqual([
    true,
    undefined,
    undefined,
    0,
  ]);
  expect(await herd.checkAlive(attic)).toBe(false);
  expect(await herd.checkResident(attic, 'x')).toBeUndefined();
});
