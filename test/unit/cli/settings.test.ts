import { describe, expect, it } from 'vitest';
import { flagsOf } from '../../../src/cli/flags.ts';
import { settingsOf } from '../../../src/cli/settings.ts';
import type { Surroundings } from '../../../src/cli/surroundings.ts';
import type { Settings } from '../../../src/entry/settings.ts';

interface Told {
  readonly args?: readonly string[];
  readonly env?: Record<string, string>;
  readonly files?: Record<string, string>;
  readonly stdin?: string;
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: words of the system`), { code });
}

function settled({ args = [], env = {}, files = {}, stdin = '' }: Told): Settings | string {
  const surroundings: Surroundings = {
    args,
    env: (name) => env[name],
    readFile(path) {
      const bundled = path.endsWith('/config/gateway.yaml') ? 'bundled' : undefined;
      const text = files[path] ?? bundled;
      if (text === undefined) throw systemError('ENOENT');
      if (text.startsWith('!')) throw systemError(text.slice(1));
      return text;
    },
    isTerminalGone: () => false,
    modeOf: () => undefined,
    readStdin: () => stdin,
    out: () => undefined,
    err: () => undefined,
  };
  const read = flagsOf(args);
  if (!read.ok) throw new Error(read.problem);
  const result = settingsOf(read.flags, surroundings);
  return result.ok ? result.settings : result.problem;
}

function configOf(told: Told): unknown {
  const settings = settled(told);
  return typeof settings === 'string' ? settings : settings.config;
}

describe('where the configuration comes from', () => {
  const files = { 'a.yaml': 'A', 'b.yaml': 'B', 'corral.yaml': 'C' };

  it('the flag, then the variable, then ./corral.yaml, then the one that comes with Corral', () => {
    const env = { CORRAL_CONFIG: 'b.yaml' };
    expect(configOf({ args: ['-f', 'a.yaml'], env, files })).toEqual({ text: 'A', name: 'a.yaml', path: 'a.yaml' });
    expect(configOf({ args: ['-c', 'inline'], env, files })).toEqual({ text: 'inline', name: '<-c>' });
    expect(configOf({ env, files })).toEqual({ text: 'B', name: 'b.yaml', path: 'b.yaml' });
    expect(configOf({ files })).toEqual({ text: 'C', name: 'corral.yaml', path: 'corral.yaml' });
    expect(configOf({})).toEqual({ text: 'bundled', name: 'config/gateway.yaml' });
  });

  it('the boxes of CORRAL_BOXES, where nothing else says what to do', () => {
    const env = { CORRAL_BOXES: 'desk=192.168.1.7,attic' };
    const boxes = [
      { name: 'desk', baseUrl: 'http://192.168.1.7:11434' },
      { name: undefined, baseUrl: 'http://attic:11434' },
    ];
    expect(settled({ env })).toMatchObject({ config: { text: '{}', name: 'CORRAL_BOXES' }, boxes, hasDemo: false });
    expect(settled({ env, files })).toMatchObject({ config: { text: 'C' }, boxes });
    expect(settled({ env: { CORRAL_BOXES: '' } })).toMatchObject({ config: { name: 'config/gateway.yaml' }, hasDemo: true });
    expect(settled({ env: { CORRAL_BOXES: 'x=' } })).toMatch(/^CORRAL_BOXES: entry 1 has no address/);
  });

  it('standard input for -f -', () => {
    expect(configOf({ args: ['-f', '-'], stdin: 'piped' })).toEqual({ text: 'piped', name: '<stdin>' });
  });

  it('the variable itself when it has a line end', () => {
    expect(configOf({ env: { CORRAL_CONFIG: 'binds:\n- port: 1' } })).toEqual({
      text: 'binds:\n- port: 1',
      name: 'CORRAL_CONFIG',
    });
  });

  it('says which file cannot be read, and why', () => {
    expect(configOf({ args: ['-f', 'x.yaml'] })).toBe('x.yaml (from -f) cannot be read: there is no such file');
    expect(configOf({ env: { CORRAL_CONFIG: 'd' }, files: { d: '!EISDIR' } })).toBe(
      'd (from CORRAL_CONFIG) cannot be read: it is a directory',
    );
  });

  it('does not pass over a ./corral.yaml that it may not read', () => {
    expect(configOf({ files: { 'corral.yaml': '!EACCES' } })).toBe('corral.yaml cannot be read: no permission');
  });

  it('refuses two at once', () => {
    expect(configOf({ args: ['-f', 'a.yaml', '-c', 'x'], files })).toMatch(/exclude each other/);
  });
});

describe('the other settings', () => {
  it('come from flags before variables', () => {
    const env = { CORRAL_HOST: '10.0.0.1', CORRAL_PORT: '81', CORRAL_API_KEY: 'k', CORRAL_ADMIN_TOKEN: 't' };
    expect(settled({ env })).toMatchObject({
      host: '10.0.0.1',
      port: 81,
      apiKey: 'k',
      adminToken: 't',
      hasDemo: true,
      allowAnonymous: false,
    });
    expect(
      settled({ env, args: ['--host', '[::1]', '--port', '0', '--no-demo', '--allow-anonymous', '--allow-host', 'a'] }),
    ).toMatchObject({
      host: '::1',
      port: 0,
      hasDemo: false,
      allowAnonymous: true,
      allowedHosts: ['a'],
    });
  });

  it('are not set when the variables are empty', () => {
    expect(settled({ env: { CORRAL_HOST: '', CORRAL_PORT: '', CORRAL_CONFIG: '' } })).toMatchObject({
      host: undefined,
      port: undefined,
    });
  });

  it.each([
    [['--port', '65536'], {}, '--port is a number from 0 (any free port) to 65535, not "65536"'],
    [['--port', 'http'], {}, '--port is a number from 0 (any free port) to 65535, not "http"'],
    [[], { CORRAL_PORT: '-1' }, 'CORRAL_PORT is a number from 0 (any free port) to 65535, not "-1"'],
    [['--host', 'localhost:3000'], {}, '--host takes an address without a port: --host localhost --port 3000'],
    [['--host', 'a b'], {}, '"a b" is no address to listen on: give --host 127.0.0.1, --host 0.0.0.0 or a name'],
    [[], { OLLAMA_HOST: 'ftp://x' }, 'OLLAMA_HOST: the scheme "ftp" is neither http nor https'],
  ])('%s %o', (args, env, problem) => {
    expect(settled({ args, env })).toBe(problem);
  });

  it('read files that the YAML names, with a reason in plain words', () => {
    const settings = settled({ files: { key: 'secret' } });
    if (typeof settings === 'string') throw new Error(settings);
    expect(settings.readFile?.('key')).toBe('secret');
    expect(() => settings.readFile?.('nothing')).toThrow('there is no such file');
  });
});

describe('the demo box (decision 17)', () => {
  it('is there only where nothing was said', () => {
    const hasDemo = (told: Told) => (settled(told) as Settings).hasDemo;
    expect(hasDemo({})).toBe(true);
    expect(hasDemo({ env: { OLLAMA_HOST: 'box:11434' } })).toBe(true);
    expect(hasDemo({ args: ['--no-demo'] })).toBe(false);
    expect(hasDemo({ args: ['-c', 'binds: []'] })).toBe(false);
    expect(hasDemo({ files: { 'corral.yaml': 'binds: []' } })).toBe(false);
    expect(hasDemo({ env: { CORRAL_CONFIG: 'binds: []\n' } })).toBe(false);
  });
});
