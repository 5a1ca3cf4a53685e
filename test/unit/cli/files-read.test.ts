import { describe, expect, it } from 'vitest';
import { createFilesRead } from '../../../src/cli/files-read.ts';

describe('createFilesRead', () => {
  it('remembers what it read, and what it could not read, without the contents', () => {
    const files = createFilesRead((path) => {
      if (path === 'gone') throw new Error('no');
      return 'secret';
    });
    expect(files.readFile('a')).toBe('secret');
    expect(() => files.readFile('gone')).toThrow('no');
    // SHA-256 of "secret".
    expect([...files.seen]).toEqual([
      ['a', 'K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols='],
      ['gone', 'missing'],
    ]);
    files.forget('gone');
    expect([...files.seen.keys()]).toEqual(['a']);
  });
});
