import { describe, expect, it } from 'vitest';
import { boxListOf } from '../../../src/fields/box-list.ts';

describe('CORRAL_BOXES', () => {
  it('takes every form of OLLAMA_HOST for each box, with a name or without', () => {
    expect(
      boxListOf('desk=192.168.1.7, http://box.lan , attic=https://box.example.com:8443,\n[::1]:8080, 0.0.0.0,LAPTOP'),
    ).toEqual([
      { name: 'desk', baseUrl: 'http://192.168.1.7:11434' },
      { name: undefined, baseUrl: 'http://box.lan:80' },
      { name: 'attic', baseUrl: 'https://box.example.com:8443' },
      { name: undefined, baseUrl: 'http://[::1]:8080' },
      { name: undefined, baseUrl: 'http://127.0.0.1:11434' },
      { name: undefined, baseUrl: 'http://laptop:11434' },
    ]);
  });

  it.each([undefined, '', ' , \n'])('is nothing where nothing is said: %j', (text) => {
    expect(boxListOf(text)).toEqual([]);
  });

  it.each([
    ['ok=a,my box=b', /entry 2: before "=" stands the box's name/],
    ['a,desk=', /entry 2 has no address/],
    ['ftp://box', /entry 1: expected an address as OLLAMA_HOST has it/],
    ['desk=a,desk=b', /entries 1 and 2 have the same name/],
    ['a,b,http://a:11434', /entries 1 and 3 have the same address/],
    [Array.from({ length: 257 }, (_, index) => `box${index}`).join(','), /at most 256 boxes/],
  ])('says which entry cannot be meant: %.30s', (text, message) => {
    expect(() => boxListOf(text)).toThrow(message);
  });

  it('does not repeat what may hold a password', () => {
    expect(() => boxListOf('http://user:hunter22@box')).toThrow(
      /^CORRAL_BOXES: entry 1 holds a user or a password((?!hunter22).)*$/,
    );
  });

  it('takes 256 boxes', () => {
    expect(boxListOf(Array.from({ length: 256 }, (_, index) => `box${index}`).join(','))).toHaveLength(256);
  });
});
