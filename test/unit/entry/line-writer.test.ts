import { describe, expect, it } from 'vitest';
import { createLineWriter } from '../../../src/entry/line-writer.ts';

const nextTurn = () => new Promise((resolve) => setTimeout(resolve, 2));

describe('createLineWriter', () => {
  it('writes the lines of one turn together, and those of the next later', async () => {
    const written: string[] = [];
    const lines = createLineWriter({ write: (text) => written.push(text) });
    lines.print('a');
    lines.print('b');
    expect(written).toEqual([]);
    await nextTurn();
    lines.print('c');
    await nextTurn();
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
    const lines = createLineWriter({ write: (text) => written.push(text), backlog: () => backlog });
    lines.print('lost');
    lines.print('lost');
    await nextTurn();
    expect(written).toEqual([]);
    backlog = 4 * 1024 * 1024;
    lines.print('kept');
    lines.flush();
    expect(written).toEqual(['2 lines were dropped: standard output was not read\nkept\n']);
  });

  it('writes nothing twice', async () => {
    const written: string[] = [];
    const lines = createLineWriter({ write: (text) => written.push(text) });
    lines.print('a');
    lines.flush();
    await nextTurn();
    expect(written).toEqual(['a\n']);
  });
});
