import { describe, expect, it } from 'vitest';
import { openGateway } from '../../../src/entry/open.ts';
import type { Opened } from '../../../src/entry/opened.ts';
import type { Peer, Platform, Relay, UpstreamRequest } from '../../../src/platform.ts';
import { createFakeClock } from '../../support/fake-clock.ts';
import { plainSettings } from '../../support/settings.ts';

/** A platform whose upstreams answer when the test says so. */
function createWorld() {
  const clock = createFakeClock();
  const asked: { readonly request: UpstreamRequest; answer(): void }[] = [];
  const platform: Platform = {
    runtime: 'node',
    clock,
    hasBackground: false,
    send: (request) =>
      new Promise((resolve) => {
        const answer = () =>
          resolve({
            status: 200,
            headers: new Headers(),
            body: { read: async () => new Uint8Array(), cancel: () => undefined, stream: () => new ReadableStream() },
          });
        asked.push({ request, answer });
      }),
    respond: ({ status, headers, tap }: Relay) => {
      tap.end();
      return new Response('body', { status, headers });
    },
    refuses: () => undefined,
    print: () => undefined,
    report: () => undefined,
  };
  return { clock, asked, platform };
}

const peer: Peer = { port: 3000, address: () => '127.0.0.1', onGone: () => undefined, waitUntil: () => undefined };

function yaml(stamp: string, more = ''): string {
  return `binds:
- port: 3000
  listeners:
  - routes:
    - name: ${stamp}
      policies:
        responseHeaderModifier: { set: { x-plan: ${stamp} } }
${more}      backends: [{ host: localhost:1 }]
`;
}

async function opening(text: string) {
  const world = createWorld();
  const result = await openGateway(plainSettings(text), world.platform);
  if (!result.ok) throw new Error(result.problems.join('\n'));
  const { opened } = result;
  return {
    ...world,
    opened,
    ask: async () => opened.gateway.fetch(new Request('http://localhost:3000/', { headers: { host: 'localhost:3000' } }), peer),
    async take(next: string) {
      const prepared = await opened.prepareReload(plainSettings(next));
      if (!prepared.ok) throw new Error(prepared.problems.join('\n'));
      prepared.next.swap();
      return prepared.next;
    },
  };
}

function planOf(response: Response): string | null {
  return response.headers.get('x-plan');
}

describe('a plan that is replaced', () => {
  it('answers what it has begun, and nothing that comes after', async () => {
    const { asked, ask, take, clock } = await opening(yaml('one'));
    const begun = ask();
    await clock.settle();
    await take(yaml('two'));
    const late = ask();
    await clock.settle();
    for (const { answer } of asked) answer();
    expect([planOf(await begun), planOf(await late)]).toEqual(['one', 'two']);
  });

  it('is waited for at the end', async () => {
    const { asked, ask, take, opened, clock } = await opening(yaml('one'));
    const begun = ask();
    await clock.settle();
    await take(yaml('two'));
    const late = ask();
    await clock.settle();
    expect(opened.gateway.inFlight).toBe(2);
    opened.gateway.drain();
    let isIdle = false;
    opened.gateway.onIdle(() => {
      isIdle = true;
    });
    asked[1]?.answer();
    await late;
    expect([isIdle, opened.gateway.inFlight]).toEqual([false, 1]);
    asked[0]?.answer();
    await begun;
    expect([isIdle, opened.gateway.inFlight]).toEqual([true, 0]);
    expect((await ask()).status).toBe(503);
  });

  it('does not open a door that is being closed', async () => {
    const { opened, take, ask } = await opening(yaml('one'));
    opened.gateway.drain();
    await take(yaml('two'));
    expect((await ask()).status).toBe(503);
  });

  it('leaves its limits to the next one', async () => {
    const limit = '        localRateLimit: [{ maxTokens: 2, tokensPerFill: 2, fillInterval: 1h, type: requests }]\n';
    const named = (stamp: string) => yaml(stamp, limit).replace(`name: ${stamp}`, 'name: same');
    const { asked, ask, take, clock } = await opening(named('one'));
    const statusOf = async () => {
      const answer = ask();
      await clock.settle();
      for (const one of asked.splice(0)) one.answer();
      return (await answer).status;
    };
    expect(await statusOf()).toBe(200);
    await take(named('two'));
    expect([await statusOf(), await statusOf()]).toEqual([200, 429]);
  });
});

describe('prepareReload', () => {
  it('changes nothing until the swap, and says what would change', async () => {
    const { opened } = await opening(yaml('one'));
    const prepared = await opened.prepareReload(
      plainSettings(
        `${yaml('one')}- port: 4000\n  listeners:\n  - routes: [{ name: chat, backends: [{ ai: ${box('den')} }] }]\n`,
      ),
    );
    if (!prepared.ok) throw new Error(prepared.problems.join());
    expect(prepared.next.changes).toEqual([
      'ports +4000',
      'listeners +bind/4000/listener0',
      'routes +bind/4000/listener0/chat',
      'boxes +den',
    ]);
    expect([opened.ports, opened.sync.reloads]).toEqual([[3000], 0]);
    prepared.next.swap();
    expect([opened.ports, opened.sync.reloads]).toEqual([[3000, 4000], 1]);
    const back = await opened.prepareReload(plainSettings(yaml('one')));
    expect(back.ok && back.next.changes).toEqual([
      'ports -4000',
      'listeners -bind/4000/listener0',
      'routes -bind/4000/listener0/chat',
      'boxes -den',
    ]);
  });

  it('keeps what runs when the configuration is wrong, and remembers why', async () => {
    const { opened, clock, take } = await opening(yaml('one'));
    const many = Array.from({ length: 7 }, (_, index) => `bindz${index}: 1\n`).join('');
    const refused = await opened.prepareReload(plainSettings(many));
    expect(refused.ok).toBe(false);
    expect(problemsOf(opened)).toEqual({ isIn: false, count: 7, shown: 5, first: 'x.yaml:1:1 bindz0: ', at: clock.wallTime() });
    opened.refuseReload(['port 4000 is in use']);
    expect(problemsOf(opened)).toMatchObject({ count: 1, first: 'port 4000 is in use' });
    await take(yaml('two'));
    expect(problemsOf(opened)).toMatchObject({ isIn: true, count: 0, shown: 0 });
  });

  it('refuses what the runtime cannot do, with its place', async () => {
    const { opened, platform } = await opening(yaml('one'));
    Object.assign(platform, { refuses: () => 'cannot' });
    const refused = await opened.prepareReload(plainSettings(yaml('two')));
    expect(refused.ok ? [] : refused.problems.map((problem) => problem.split('\n', 1)[0])).toEqual([
      'x.yaml:8:18 binds[0].listeners[0].routes[0].backends[0]: cannot',
    ]);
  });
});

function problemsOf({ sync }: Opened) {
  return {
    isIn: sync.configSynchronized,
    count: sync.problemCount,
    shown: sync.problems.length,
    first: sync.problems[0]?.slice(0, 19),
    at: sync.lastRefusalMs,
  };
}

function box(name: string): string {
  return `{ name: ${name}, hostOverride: "den:11434", provider: { openAI: {} } }`;
}

describe('config_dump', () => {
  const warningsIn = (opened: Opened) => {
    const { warnings, warningCount } = JSON.parse(opened.configDump()) as { warnings: object[]; warningCount: number };
    return { warnings, warningCount };
  };

  it('has the warnings of the text and of the plan in force, with their places and no secret', async () => {
    const lock = `        apiKey: { mode: optional, keys: [{ key: sk-in-clear }] }\n`;
    const { opened, take } = await opening(yaml('one', lock));
    expect(warningsIn(opened)).toEqual({
      warningCount: 1,
      warnings: [
        {
          line: 8,
          column: 25,
          path: 'binds[0].listeners[0].routes[0].policies.apiKey.mode',
          message: 'optional lets requests in that show nothing; only wrong credentials are refused: strict locks',
        },
      ],
    });
    // A name that is the key: the warning would tell it.
    const twice = (name: string) => `    - name: ${name}\n      backends: [{ host: localhost:1 }]\n`;
    await take(`${yaml('one', lock)}${twice('sk-in-clear')}${twice('sk-in-clear')}`);
    const after = warningsIn(opened);
    expect(after.warningCount).toBeGreaterThan(1);
    expect(JSON.stringify(after)).toContain('a route named \\"<secret>\\" stands above');
    expect(JSON.stringify(after)).not.toContain('sk-in-clear');
    await take(yaml('two'));
    expect(warningsIn(opened)).toEqual({ warningCount: 0, warnings: [] });
  });

  it('has a hundred of them at most', async () => {
    const routes = Array.from(
      { length: 120 },
      (_, at) => `    - { name: r${at}, matches: [{ path: { exact: x } }], backends: [{ host: "a:1" }] }\n`,
    );
    const { opened } = await opening(`${yaml('one')}${routes.join('')}`);
    const { warnings, warningCount } = warningsIn(opened);
    expect(warnings).toHaveLength(100);
    expect(warningCount).toBeGreaterThan(100);
  });
});
