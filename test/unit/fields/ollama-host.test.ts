import { describe, expect, it } from 'vitest';
import { ollamaHostOf } from '../../../src/fields/ollama-host.ts';

// The forms of Ollama's own test (envconfig/config_test.go), and what a client makes of "every interface".
describe('ollamaHostOf', () => {
  it.each([
    [undefined, 'http://127.0.0.1:11434'],
    ['', 'http://127.0.0.1:11434'],
    ['1.2.3.4', 'http://1.2.3.4:11434'],
    [':1234', 'http://127.0.0.1:1234'],
    ['1.2.3.4:1234', 'http://1.2.3.4:1234'],
    ['http://1.2.3.4', 'http://1.2.3.4:80'],
    ['http://1.2.3.4:1234', 'http://1.2.3.4:1234'],
    ['https://1.2.3.4', 'https://1.2.3.4:443'],
    ['https://1.2.3.4:1234', 'https://1.2.3.4:1234'],
    ['example.com', 'http://example.com:11434'],
    ['example.com:1234', 'http://example.com:1234'],
    ['https://example.com', 'https://example.com:443'],
    ['https://example.com/ollama', 'https://example.com:443'],
    ['example.com/ollama', 'http://example.com:11434'],
    ['1.2.3.4:66000', 'http://1.2.3.4:11434'],
    ['1.2.3.4:-1', 'http://1.2.3.4:11434'],
    ['1.2.3.4:abc', 'http://1.2.3.4:11434'],
    ['[::1]', 'http://[::1]:11434'],
    ['[::1]:1337', 'http://[::1]:1337'],
    ['::1', 'http://[::1]:11434'],
    ['[0001:002:003:0004::1]:8080', 'http://[0001:002:003:0004::1]:8080'],
    [' 1.2.3.4 ', 'http://1.2.3.4:11434'],
    ['"1.2.3.4"', 'http://1.2.3.4:11434'],
    ["'1.2.3.4'", 'http://1.2.3.4:11434'],
    ['" 1.2.3.4 "', 'http://1.2.3.4:11434'],
    ['0.0.0.0', 'http://127.0.0.1:11434'],
    ['0.0.0.0:8080', 'http://127.0.0.1:8080'],
    ['::', 'http://[::1]:11434'],
    ['[::]:8080', 'http://[::1]:8080'],
    ['http://0.0.0.0:11500', 'http://127.0.0.1:11500'],
    ['ollama.com', 'https://ollama.com:443'],
  ])('%s', (text, baseUrl) => {
    expect(ollamaHostOf(text).baseUrl).toBe(baseUrl);
  });

  it('gives the authority for hostOverride', () => {
    expect(ollamaHostOf('[::]:8080')).toMatchObject({ scheme: 'http', host: '::1', port: 8_080, authority: '[::1]:8080' });
  });

  it.each(['ftp://x', 'a b', 'http://a@b'])('refuses "%s"', (text) => {
    expect(() => ollamaHostOf(text)).toThrow('OLLAMA_HOST');
  });
});
