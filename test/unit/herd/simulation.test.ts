/** The simulated box against what was seen of real ones (ollama.md sections 0, 2, 6; recordings). Expected values are written down. */
import { describe, expect, it } from 'vitest';
import { createFakeClock } from '../../support/fake-clock.ts';
import { SimulatedBox } from '../../support/herd/box.ts';
import type { BoxSetting } from '../../support/herd/setting.ts';

const gigabyte = 1_000_000_000;
/** Loads take 5 s (1 s start, 4 s of reading), a token 20 ms, 1000 prompt tokens 1 s. */
const small = { name: 'small', sizeBytes: 4 * gigabyte, digest: 'a'.repeat(64) };
const other = { name: 'other', sizeBytes: 4 * gigabyte, digest: 'b'.repeat(64) };
const third = { name: 'third', sizeBytes: 4 * gigabyte, digest: 'c'.repeat(64) };

interface Heard {
  status: number | undefined;
  headMs: number | undefined;
  endMs: number | undefined;
  end: 'clean' | 'cut' | undefined;
  text: string;
  leave(): void;
}

function createScene(setting: Partial<BoxSetting> = {}) {
  const clock = createFakeClock();
  const box = new SimulatedBox(
    { url: 'http://x', models: [small, other, third], promptTokensPerSecond: 1_000, tokensPerWrite: 1, ...setting },
    clock,
  );
  const ask = (pathname: string, body?: object): Heard => {
    const heard: Heard = {
      status: undefined,
      headMs: undefined,
      endMs: undefined,
      end: undefined,
      text: '',
      leave: () => undefined,
    };
    const request = { method: body === undefined ? 'GET' : 'POST', pathname, body: JSON.stringify(body ?? ''), host: 'x' };
    heard.leave = box.take(request, {
      head(status) {
        heard.status = status;
        heard.headMs = clock.now();
      },
      chunk(text) {
        heard.text += text;
      },
      end(how) {
        heard.end = how;
        heard.endMs = clock.now();
      },
    });
    return heard;
  };
  const chat = (model: string, more: object = {}) =>
    ask('/api/chat', { model, messages: [{ role: 'user', content: 'Hello' }], options: { num_predict: 10 }, ...more });
  const loaded = () => (JSON.parse(ask('/api/ps').text) as { models: { name: string }[] }).models.map(({ name }) => name);
  return { clock, box, ask, chat, loaded };
}

describe('the simulated box', () => {
  it('says nothing, not even a status, until the first token of a cold model, and hides the load from /api/ps', async () => {
    const { clock, chat, loaded } = createScene();
    const heard = chat('small');
    await clock.advance(4_999);
    expect(heard.status).toBeUndefined();
    expect(loaded()).toEqual([]);
    await clock.advance(100);
    expect(heard.headMs).toBe(5_024); // 5 s load, 4 prompt tokens, one token of 20 ms
    expect(loaded()).toEqual(['small:latest']);
    await clock.advance(1_000);
    expect(heard.endMs).toBe(5_204);
  });

  it('kills a load with the client that began it; whoever waited with it begins anew', async () => {
    const { clock, box, chat } = createScene();
    const first = chat('small');
    await clock.advance(1_000);
    const second = chat('small');
    await clock.advance(1_000);
    first.leave();
    await clock.advance(10_000);
    expect(box.scheduler.loads).toEqual({ started: 2, completed: 1, aborted: 1 });
    expect(second.headMs).toBe(7_024);
  });

  it('lets a load go on when only those leave who joined it', async () => {
    const { clock, box, chat } = createScene();
    chat('small');
    await clock.advance(1_000);
    chat('small').leave();
    await clock.advance(10_000);
    expect(box.scheduler.loads).toEqual({ started: 1, completed: 1, aborted: 0 });
  });

  it('leaks the socket of a client that leaves while it waits behind the load of another model', async () => {
    const { clock, box, chat } = createScene();
    chat('small');
    chat('other').leave();
    await clock.advance(10_000);
    expect(box.scheduler.leaked).toBe(1);
    expect(box.scheduler.loads.started).toBe(1);
  });

  it('loads one after the other, in the order in which they were asked for', async () => {
    const { clock, chat } = createScene();
    const heard = [chat('small'), chat('other'), chat('third')];
    await clock.advance(30_000);
    // The second and third read their prompt while the one before still speaks: the card is shared.
    expect(heard.map(({ headMs }) => Math.floor((headMs ?? 0) / 1_000))).toEqual([5, 10, 15]);
  });

  it('serves as many at once as it has slots, the rest in turn without limit', async () => {
    const { clock, chat } = createScene({ parallel: 1, sharedCost: 0, readingCost: 0 });
    chat('small');
    await clock.advance(10_000);
    const heard = [chat('small'), chat('small'), chat('small')];
    await clock.advance(10_000);
    // 4 ms of prompt once, then from the cache 1 ms; 200 ms of output each.
    expect(heard.map(({ endMs }) => endMs)).toEqual([10_201, 10_402, 10_603]);
    const twice = createScene({ parallel: 2, sharedCost: 0, readingCost: 0 });
    twice.chat('small');
    await twice.clock.advance(10_000);
    const both = [twice.chat('small'), twice.chat('small')];
    await twice.clock.advance(10_000);
    // The second prompt is read while the first is: at half the speed.
    expect(both.map(({ endMs }) => endMs)).toEqual([10_201, 10_208]);
  });

  it('pushes out an idle model by keep_alive and then by file, and waits for busy ones, everybody else behind it', async () => {
    const { clock, box, chat, loaded } = createScene({ maxLoaded: 2 });
    chat('small');
    chat('other');
    await clock.advance(20_000);
    chat('third');
    await clock.advance(20_000);
    // Equal keep_alive: `small` has the lesser file name and goes.
    expect(loaded().sort()).toEqual(['other:latest', 'third:latest']);
    const long = chat('other', { options: { num_predict: 60 } });
    const blocked = chat('third', { options: { num_predict: 60 } });
    const waits = chat('small');
    const stillServed = chat('third');
    await clock.advance(20_000);
    expect(long.endMs).toBeLessThan(42_500);
    expect(blocked.endMs).toBeLessThan(42_500);
    expect(stillServed.endMs).toBeLessThan(waits.headMs ?? 0);
    expect(box.scheduler.loads).toEqual({ started: 4, completed: 4, aborted: 0 });
  });

  it('answers 503 only where a load would have to wait in a full queue', async () => {
    const { clock, chat } = createScene({ maxQueue: 1 });
    chat('small');
    chat('other');
    const refused = chat('third');
    expect(refused.status).toBe(503);
    expect(refused.text).toBe('{"error":"server busy, please try again.  maximum pending requests exceeded"}');
    await clock.advance(20_000);
    const many = Array.from({ length: 20 }, () => chat('small'));
    await clock.advance(20_000);
    expect(many.every(({ status }) => status === 200)).toBe(true);
  });

  it('reloads for another num_ctx, and again for none', async () => {
    const { clock, box, chat } = createScene();
    chat('small', { options: { num_ctx: 8_192 } });
    await clock.advance(20_000);
    chat('small', { options: { num_ctx: 8_192 } });
    await clock.advance(20_000);
    expect(box.scheduler.loads.started).toBe(1);
    chat('small');
    await clock.advance(20_000);
    expect(box.scheduler.loads.started).toBe(2);
  });

  it('keeps a model for keep_alive after its last request, and the value sticks', async () => {
    const { clock, chat, loaded } = createScene({ keepAliveMs: 300_000 });
    chat('small');
    await clock.advance(5_204);
    await clock.advance(299_999);
    expect(loaded()).toEqual(['small:latest']);
    await clock.advance(2);
    expect(loaded()).toEqual([]);
    chat('small', { keep_alive: '10s' });
    await clock.advance(6_000);
    chat('small');
    await clock.advance(9_000);
    expect(loaded()).toEqual(['small:latest']);
    await clock.advance(2_000);
    expect(loaded()).toEqual([]);
  });

  it('loads for an empty prompt and unloads for keep_alive 0', async () => {
    const { clock, ask, loaded } = createScene();
    const load = ask('/api/generate', { model: 'small', stream: false });
    await clock.advance(5_000);
    expect(JSON.parse(load.text)).toMatchObject({ done: true, done_reason: 'load', response: '' });
    expect(loaded()).toEqual(['small:latest']);
    const unload = ask('/api/generate', { model: 'small', keep_alive: 0 });
    expect(JSON.parse(unload.text)).toMatchObject({ done: true, done_reason: 'unload' });
    expect(loaded()).toEqual([]);
  });

  it('reads only what is new of a prompt whose beginning a slot has in its cache', async () => {
    const { clock, ask } = createScene({ parallel: 2 });
    const system = 'x'.repeat(7_200); // 2000 tokens
    const turn = (messages: object[]) =>
      ask('/api/chat', {
        model: 'small',
        messages: [{ role: 'system', content: system }, ...messages],
        options: { num_predict: 1 },
      });
    turn([{ role: 'user', content: 'one' }]);
    await clock.advance(60_000);
    const again = turn([
      { role: 'user', content: 'one' },
      { role: 'assistant', content: 'was' },
      { role: 'user', content: 'two' },
    ]);
    const from = clock.now();
    await clock.advance(60_000);
    expect((again.headMs ?? 0) - from).toBeLessThan(50);
    const stranger = ask('/api/chat', { model: 'small', messages: [{ role: 'user', content: `y${system}` }] });
    const strangerFrom = clock.now();
    await clock.advance(60_000);
    expect((stranger.headMs ?? 0) - strangerFrom).toBeGreaterThan(2_000);
  });

  it('words a crash as recorded on each surface, keeps the dead runner listed, and loads anew', async () => {
    const { clock, box, ask, chat, loaded } = createScene();
    chat('small');
    await clock.advance(10_000);
    const crashed = (path: string, more: object) => {
      box.crashNext(3);
      return ask(path, { model: 'small', messages: [{ role: 'user', content: 'Hello' }], max_tokens: 10, ...more });
    };
    const native = crashed('/api/chat', {});
    await clock.advance(10_000);
    expect(native).toMatchObject({ status: 200, end: 'clean' });
    expect(native.text.trimEnd().split('\n').at(-1)).toBe(
      '{"error":"an error was encountered while running the model: unexpected EOF"}',
    );
    expect(loaded()).toEqual(['small:latest']);
    const openai = crashed('/v1/chat/completions', { stream: true });
    await clock.advance(10_000);
    expect(openai.end).toBe('clean');
    expect(openai.text).not.toContain('[DONE]');
    expect(openai.text.trimEnd().split('\n').at(-1)).toContain('"model":""');
    const anthropic = crashed('/v1/messages', { stream: true });
    await clock.advance(10_000);
    expect(anthropic.end).toBe('clean');
    expect(anthropic.text).not.toContain('message_stop');
    const whole = crashed('/v1/chat/completions', {});
    await clock.advance(10_000);
    expect(whole.status).toBe(500);
    expect(box.scheduler.loads.completed).toBe(4);
  });

  it('runs out of memory, and is slower on a slow disk', async () => {
    const { clock, box, chat } = createScene();
    box.scheduler.faults.outOfMemory = true;
    const refused = chat('small');
    expect(refused.status).toBe(500);
    expect(refused.text).toContain('model requires more system memory');
    box.scheduler.faults.outOfMemory = false;
    box.scheduler.faults.slowness = 3;
    const slow = chat('small');
    await clock.advance(20_000);
    expect(slow.headMs).toBe(13_024);
  });

  it('cuts everything when it goes, swallows everything in a black hole, and comes back empty', async () => {
    const { clock, box, chat, loaded } = createScene();
    const heard = chat('small', { options: { num_predict: 60 } });
    await clock.advance(5_500);
    box.die('refusing');
    expect(heard.end).toBe('cut');
    box.comeBack();
    expect(loaded()).toEqual([]);
    const silent = chat('small');
    box.die('silent');
    await clock.advance(60_000);
    expect(silent).toMatchObject({ status: undefined, end: undefined });
    expect(box.open).toBe(1);
    silent.leave();
    expect(box.open).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('is cut off by a tunnel after 100 s of silence, which kills its load', async () => {
    const { clock, box, chat } = createScene({ tunnelSilenceMs: 100_000, diskBytesPerSecond: gigabyte / 50 });
    const heard = chat('small');
    await clock.advance(100_000);
    expect(heard.status).toBe(524);
    expect(box.scheduler.loads).toEqual({ started: 1, completed: 0, aborted: 1 });
  });

  it('knows the models of its list only, and lets go of everything in the end', async () => {
    const { clock, box, ask, chat } = createScene();
    expect(ask('/api/version').text).toBe('{"version":"0.99.0-sim"}');
    expect((JSON.parse(ask('/api/tags').text) as { models: unknown[] }).models).toHaveLength(3);
    expect(chat('nobody').status).toBe(404);
    chat('small');
    await clock.advance(600_000);
    expect(box.open).toBe(0);
    expect(box.completed).toBe(1);
    expect(clock.pending).toBe(0);
  });
});
