import { describe, expect, it } from 'vitest';
import { environmentSettings } from '../../../src/entry/settings.ts';

const of = (variables: Record<string, string>) => environmentSettings((name) => variables[name]);

describe('environmentSettings', () => {
  it('is closed when told nothing', () => {
    expect(of({})).toMatchObject({
      allowAnonymous: false,
      allowedHosts: [],
      apiKey: undefined,
      adminToken: undefined,
      originPatterns: [],
    });
  });

  it('reads keys, tokens and origins', () => {
    expect(of({ CORRAL_API_KEY: 'k', CORRAL_ADMIN_TOKEN: 't', OLLAMA_ORIGINS: 'https://a.example, ,app://b' })).toMatchObject({
      apiKey: 'k',
      adminToken: 't',
      originPatterns: ['https://a.example', 'app://b'],
    });
  });

  it('takes an empty variable for one that is not set: an empty key would be everybody’s', () => {
    expect(of({ CORRAL_API_KEY: '', CORRAL_ADMIN_TOKEN: ' ' })).toMatchObject({ apiKey: undefined, adminToken: undefined });
  });

  it.each([
    ['1', true],
    ['true', true],
    ['YES', true],
    ['0', false],
    ['false', false],
    ['', false],
    ['maybe', false],
  ])('CORRAL_ALLOW_ANONYMOUS=%s', (value, expected) => {
    expect(of({ CORRAL_ALLOW_ANONYMOUS: value }).allowAnonymous).toBe(expected);
  });

  it('reads the role of a relay and its secret, which is long', () => {
    expect(of({})).toMatchObject({ isRelay: false, relaySecret: undefined });
    expect(of({ CORRAL_RELAY: '1', CORRAL_RELAY_SECRET: ' sixteen letters! ' })).toMatchObject({
      isRelay: true,
      relaySecret: 'sixteen letters!',
    });
    expect(() => of({ CORRAL_RELAY_SECRET: 'fifteen letters' })).toThrow(/CORRAL_RELAY_SECRET: expected 16 letters or more/);
  });

  it('gives the YAML OLLAMA_HOST in its normal form', () => {
    expect(of({}).env('CORRAL_OLLAMA_HOST')).toBe('127.0.0.1:11434');
    const { env } = of({ OLLAMA_HOST: '0.0.0.0:8080', OTHER: 'x' });
    expect(env('CORRAL_OLLAMA_HOST')).toBe('127.0.0.1:8080');
    expect(env('CORRAL_OLLAMA_URL')).toBe('http://127.0.0.1:8080');
    expect(env('OTHER')).toBe('x');
    expect(env('MISSING')).toBeUndefined();
  });

  it('throws for an OLLAMA_HOST that cannot be meant', () => {
    expect(() => of({ OLLAMA_HOST: 'ftp://box' })).toThrow('OLLAMA_HOST');
  });
});
