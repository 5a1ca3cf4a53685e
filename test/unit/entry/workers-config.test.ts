import { describe, expect, it } from 'vitest';
import { storedConfig, workersSettings } from '../../../src/entry/workers-config.ts';

const bundled = 'binds: []\n';

function configOf(env: Record<string, unknown>, stored?: string) {
  const told = workersSettings(env, stored, bundled);
  return told.ok ? told.settings.config : told.problems;
}

describe('workersSettings', () => {
  it('prefers KV to the variable, and the variable to what was bundled', () => {
    expect(configOf({})).toEqual({ text: bundled, name: 'config/gateway.yaml' });
    expect(configOf({ CORRAL_CONFIG: 'a: 1\n' })).toEqual({ text: 'a: 1\n', name: 'CORRAL_CONFIG' });
    expect(configOf({ CORRAL_CONFIG: 'a: 1\n' }, 'b: 2')).toEqual({ text: 'b: 2', name: 'CORRAL_KV/config' });
  });

  it('takes named boxes in place of what was bundled, and of nothing else', () => {
    const env = { CORRAL_BOXES: 'desk=https://box.example.com' };
    expect(configOf(env)).toEqual({ text: '{}', name: 'CORRAL_BOXES' });
    expect(configOf({ ...env, CORRAL_CONFIG: 'a: 1\n' })).toEqual({ text: 'a: 1\n', name: 'CORRAL_CONFIG' });
    expect(configOf({ CORRAL_BOXES: 'my box=x' })).toEqual([expect.stringMatching(/^CORRAL_BOXES: entry 1:/)]);
  });

  it('takes JSON on one line for what it is', () => {
    expect(configOf({ CORRAL_CONFIG: '{"binds":[]}' })).toEqual({ text: '{"binds":[]}', name: 'CORRAL_CONFIG' });
  });

  it('says that there are no files, no host and no port, all at once', () => {
    const told = workersSettings(
      { CORRAL_CONFIG: './corral.yaml', CORRAL_HOST: '0.0.0.0', CORRAL_PORT: '80' },
      undefined,
      bundled,
    );
    expect(told.ok ? [] : told.problems).toEqual([
      expect.stringMatching(/^CORRAL_HOST: a Worker has no host/),
      expect.stringMatching(/^CORRAL_PORT: a Worker has no host/),
      expect.stringMatching(/^CORRAL_CONFIG names a file \("\.\/corral\.yaml"\), and a Worker has none/),
    ]);
  });

  it('reads variables, and nothing that is no text', () => {
    const told = workersSettings(
      { CORRAL_API_KEY: 'k', CORRAL_ALLOW_HOST: 'a.example, b.example', OBJECT: {} },
      undefined,
      bundled,
    );
    if (!told.ok) throw new Error(told.problems.join());
    expect(told.settings).toMatchObject({ apiKey: 'k', allowedHosts: ['a.example', 'b.example'], readFile: undefined });
    expect(told.settings.env('OBJECT')).toBeUndefined();
  });
});

describe('storedConfig', () => {
  it('reads the entry where there is a namespace', async () => {
    const asked: string[] = [];
    const store = (value: string | null) => ({
      get: async (key: string) => {
        asked.push(key);
        return value;
      },
    });
    expect(await storedConfig({ CORRAL_KV: store('a: 1') })).toBe('a: 1');
    expect(await storedConfig({ CORRAL_KV: store(null) })).toBeUndefined();
    expect(await storedConfig({ CORRAL_KV: store('') })).toBeUndefined();
    expect(await storedConfig({})).toBeUndefined();
    expect(asked).toEqual(['config', 'config', 'config']);
  });
});
