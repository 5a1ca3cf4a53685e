import { describe, expect, it } from 'vitest';
import { baseUrlOf } from '../../../src/fields/base-url.ts';
import { hostPortOf } from '../../../src/fields/host-port.ts';
import { pathField, pathPrefixField } from '../../../src/fields/path.ts';

describe('hostPortOf', () => {
  it.each([
    ['localhost:11434', { host: 'localhost', port: 11_434, authority: 'localhost:11434' }],
    ['192.168.1.100:11434', { host: '192.168.1.100', port: 11_434, authority: '192.168.1.100:11434' }],
    ['[::1]:8080', { host: '::1', port: 8_080, authority: '[::1]:8080' }],
    ['Box.LAN:80', { host: 'box.lan', port: 80, authority: 'box.lan:80' }],
    ['my_box:65535', { host: 'my_box', port: 65_535, authority: 'my_box:65535' }],
  ])('%s', (text, expected) => {
    expect(hostPortOf(text)).toEqual(expected);
  });

  it.each([
    ['localhost', 'the port is missing'],
    ['localhost:', 'the port is missing'],
    ['http://localhost:11434', 'leave out the "http://"'],
    ['https://box:443', 'for TLS add the policy backendTLS'],
    ['unix:/run/ollama.sock', 'not supported: not every runtime has them; listen on a port of localhost'],
    ['localhost:0', 'from 1 to 65535'],
    ['localhost:65536', 'from 1 to 65535'],
    ['localhost:11434/v1', 'expected "host:port"'],
    ['user@localhost:11434', 'expected "host:port"'],
    ['::1:11434', 'expected "host:port"'],
    ['', 'expected "host:port"'],
    [':11434', 'expected "host:port"'],
    ['a b:1', 'expected "host:port"'],
    ['[zz]:1', 'expected "host:port"'],
    ['[1:2]:1', 'no host name and no IP address'],
  ])('refuses "%s"', (text, message) => {
    expect(() => hostPortOf(text)).toThrow(message);
  });
});

describe('baseUrlOf', () => {
  it.each([
    ['http://localhost:11434/v1', { scheme: 'http', authority: 'localhost:11434', path: '/v1' }],
    ['https://api.groq.com/openai/v1/', { scheme: 'https', authority: 'api.groq.com:443', path: '/openai/v1' }],
    ['http://box', { scheme: 'http', authority: 'box:80', path: '' }],
    ['HTTPS://[::1]/', { scheme: 'https', authority: '[::1]:443', path: '' }],
  ])('%s', (text, expected) => {
    expect(baseUrlOf(text)).toEqual(expected);
  });

  it.each(['localhost:11434', 'ftp://x', 'http://', 'http://x?y=1', 'http://x#y', ''])('refuses "%s"', (text) => {
    expect(() => baseUrlOf(text)).toThrow();
  });

  it('never repeats a password', () => {
    expect(() => baseUrlOf('http://u:hunter2@x')).toThrow(/^(?!.*hunter2).*no password/);
  });
});

describe('pathField', () => {
  it('takes absolute paths', () => {
    expect(pathField.parse('/v1/x?a=1')).toBe('/v1/x?a=1');
    expect(pathPrefixField.parse('/base/v1/')).toBe('/base/v1');
    expect(pathPrefixField.parse('/')).toBe('');
  });

  it.each(['v1', '', '/a b', '/a#b', '/a\r\nx: y', '/ä'])('refuses %j', (text) => {
    expect(pathField.safeParse(text).success).toBe(false);
  });

  it('a prefix has no query', () => {
    expect(pathPrefixField.safeParse('/v1?x').success).toBe(false);
  });
});
