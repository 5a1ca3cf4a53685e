import { describe, expect, it } from 'vitest';
import { announce } from '../../../src/cli/announce.ts';
import type { BoxReport } from '../../../src/fleet/fleet.ts';
import { createFakeClock } from '../../support/fake-clock.ts';

function box(name: string, isAlive: boolean | undefined): BoxReport {
  return {
    name,
    url: 'http://b',
    isAlive,
    isBox: true,
    version: '1',
    models: isAlive === true ? ['m'] : undefined,
    why: undefined,
    mend: undefined,
  };
}

function announced(boxes: () => BoxReport[], more: Partial<Parameters<typeof announce>[0]> = {}) {
  const clock = createFakeClock({ nowMs: 143 });
  const lines: string[] = [];
  const done = announce({
    version: '9.9.9',
    runtime: 'Bun 1.4.5',
    listening: ['http://0.0.0.0:3000', 'http://0.0.0.0:4000'],
    admin: 'http://localhost:15000',
    configName: 'corral.yaml',
    startedMs: 100,
    describe: boxes,
    hasDemo: true,
    trial: { port: 4000, path: '/v1/chat/completions', lock: 'none', upstreams: new Set(['b']), models: [], lists: () => true },
    hasCommonKey: false,
    clock,
    print: (line) => lines.push(line),
    ...more,
  });
  return { clock, lines, done };
}

describe('announce', () => {
  it('says at once where it listens, and how long the start took', () => {
    const { lines } = announced(() => [box('b', undefined)]);
    expect(lines).toEqual([
      'Corral 9.9.9 on Bun 1.4.5, configuration corral.yaml, ready in 43 ms',
      'listening on http://0.0.0.0:3000',
      'listening on http://0.0.0.0:4000',
      'admin on http://localhost:15000',
    ]);
  });

  it('tells the boxes and a command as soon as all are known, with an address that a client can use', async () => {
    let isKnown = false;
    const { lines, clock, done } = announced(() => [box('b', isKnown ? true : undefined)]);
    await clock.advance(100);
    expect(lines).toHaveLength(4);
    isKnown = true;
    await clock.advance(20);
    await done;
    expect(lines[4]).toBe('  box b  http://b  Ollama 1, 1 model: m');
    expect(lines[5]).toMatch(/^try it:\n {2}curl -N http:\/\/localhost:4000\/v1\/chat\/completions .*"model":"m"/);
  });

  it('offers no command where there is nothing to try', async () => {
    const { lines, done } = announced(() => [box('b', true)], { trial: undefined });
    await done;
    expect(lines.at(-1)).toBe('  box b  http://b  Ollama 1, 1 model: m');
  });

  it('does not wait longer than a second for a box that sleeps, and tells of it later', async () => {
    let isAwake: boolean | undefined;
    const { lines, clock, done } = announced(() => [box('a', true), box('b', isAwake)]);
    await clock.advance(980);
    expect(lines).toHaveLength(4);
    await clock.advance(40);
    expect(lines.slice(4, 6)).toEqual(['  box a  http://b  Ollama 1, 1 model: m', '  box b  http://b  has not answered yet']);
    expect(lines).toHaveLength(7);
    isAwake = false;
    await clock.advance(40);
    await done;
    expect(lines.slice(7)).toEqual(['  box b  http://b  does not answer']);
    expect(clock.pending).toBe(0);
  });

  it('gives up on a box that is never known', async () => {
    const { lines, clock, done } = announced(() => [box('b', undefined)]);
    await clock.advance(12_000);
    await done;
    expect(lines.at(-1)).toBe('  box b  http://b  has not answered yet');
    expect(clock.pending).toBe(0);
  });
});
