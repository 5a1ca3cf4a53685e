import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../../src/errors.ts';
import { ask, createStop, joinable, within } from '../../../../src/fleet/asking/ask.ts';
import { attic, createWorld, healthyBox, Raw } from '../scripted-boxes.ts';

const question = { upstream: attic, path: '/api/version', headers: {}, limitMs: 2_000, maxBytes: 100, stop: createStop() };

describe('a question', () => {
  it('ends at its limit even where the platform does not mind the signal', async () => {
    const world = createWorld();
    const platform = { ...world.platform, send: () => new Promise<never>(() => undefined) };
    const answer = ask(platform, question);
    await world.clock.advance(2_000);
    expect(await answer).toMatchObject({ code: 'upstream_silent' });
    expect(world.clock.pending).toBe(0);
  });

  it('ends at its limit in the middle of a body, and closes the connection', async () => {
    const world = createWorld();
    let signal: AbortSignal | undefined;
    const platform = {
      ...world.platform,
      send: async (request: { signal: AbortSignal }) => {
        signal = request.signal;
        return {
          status: 200,
          headers: new Headers(),
          body: { read: () => new Promise<never>(() => undefined), stream: () => new ReadableStream(), cancel() {} },
        };
      },
    };
    const answer = ask(platform, question);
    await world.clock.advance(2_000);
    expect(await answer).toBeInstanceOf(GatewayError);
    expect(signal?.aborted).toBe(true);
  });

  it.each([
    [100, 'x'.repeat(100)],
    [101, undefined],
  ])('of %i bytes in answer, with a limit of 100', async (length, text) => {
    const world = createWorld();
    world.scripts.set(attic.baseUrl, { answers: { '/api/version': new Raw(200, 'x'.repeat(length)) } });
    const answer = ask(world.platform, question);
    await world.clock.advance(1);
    expect(await answer).toMatchObject({ status: 200, text });
  });

  it('never throws, whatever the platform does', async () => {
    const world = createWorld();
    const platform = {
      ...world.platform,
      send: () => {
        throw new TypeError('planted');
      },
    };
    expect(await ask(platform, question)).toMatchObject({ code: 'upstream_closed' });
  });

  it('leaves nothing behind that waits for the end', async () => {
    const world = createWorld();
    world.scripts.set(attic.baseUrl, healthyBox([]));
    let waiting = 0;
    const onStop = () => {
      waiting++;
      return () => {
        waiting--;
      };
    };
    const answer = ask(world.platform, { ...question, stop: { isStopped: false, onStop } });
    expect(waiting).toBe(1);
    await world.clock.advance(1);
    await answer;
    expect(waiting).toBe(0);
  });

  it('is not asked any more after the end', async () => {
    const world = createWorld();
    world.scripts.set(attic.baseUrl, healthyBox([]));
    const stop = createStop();
    stop.stop();
    expect(await ask(world.platform, { ...question, stop })).toBeInstanceOf(GatewayError);
    expect(world.asked).toEqual([]);
  });
});

it('work that failed can be begun anew', async () => {
  let count = 0;
  const work = joinable(createWorld().platform, async () => {
    count++;
    if (count === 1) throw new Error('planted');
    return count;
  });
  const both = await Promise.allSettled([work(), work()]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await work()).toBe(2);
});

it('a wait leaves no timer behind', async () => {
  const { clock } = createWorld();
  await within(clock, 1_000, Promise.resolve());
  expect(clock.pending).toBe(0);
});
