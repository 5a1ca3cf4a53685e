import { describe, expect, it } from 'vitest';
import { createLineWriter } from '../../../src/entry/line-writer.ts';

import { createFakeClock } from '../../support/fake-clock.ts';

describe('createLineWriter', () => {
  it('writes the lines of 10 ms together, and those of the next later', async () => {
    const written: string[] = [];
    const clock = createFakeClock();
    const lines = createLineWriter({ write: (text) => written.push(text) }, clock);
    lines.print('a');
    await clock.advance(9);
    lines.print('b');
    expect(written).toEqual([]);
    await clock.advance(1);
    expect(written).toEqual(['a\nb\n']);
    lines.print('c');
    await clock.advance(10);
    expect(written).toEqual(['a\nb\n', 'c\n']);
  });

  it('does not let a busy turn pile up more than 64 Ki characters', () => {
    const written: string[] = [];
    const lines = createLineWriter({ write: (text) => written.push(text) });
    const line = 'x'.repeat(1_023);
    for (let count = 0; count < 64; count++) lines.print(line);
    expect(written).toEqual([]);
    lines.print(line);
    expect(written).toEqual([`${line}\n`.repeat(65)]);
  });

  it('drops lines when nobody reads them, and says how many', async () => {
    const written: string[] = [];
    let backlog = 4 * 1024 * 1024 + 1;
    const clock = createFakeClock();
    const lines = createLineWriter({ write: (text) => written.push(text), backlog: () => backlog }, clock);
    lines.print('lost');
    lines.print('lost');
    await clock.advance(10);
    expect(written).toEqual([]);
    backlog = 4 * 1024 * 1024;
    lines.print('kept');
    lines.flush();
    expect(written).toEqual(['2 lines were dropped: standard output was not read\nkept\n']);
  });

  it('writes nothing twice', async () => {
    const written: string[] = [];
    const clock = createFakeClock();
    const lines = createLineWriter({ write: (text) => written.push(text) }, clock);
    lines.print('a');
    lines.flush();
    await clock.advance(10);
    expect(written).toEqual(['a\n']);
  });
});
