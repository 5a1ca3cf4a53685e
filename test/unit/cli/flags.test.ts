import { describe, expect, it } from 'vitest';
import { flagsOf, helpText } from '../../../src/cli/flags.ts';

function problemOf(...args: string[]): string {
  const read = flagsOf(args);
  return read.ok ? 'none' : read.problem;
}

describe('flagsOf', () => {
  it('reads every flag', () => {
    expect(
      flagsOf([
        '-f',
        'a.yaml',
        '--host',
        '::1',
        '--port=0',
        '--allow-host',
        'a',
        '--allow-host',
        'b',
        '--allow-anonymous',
        '--no-demo',
        '--validate-only',
        '--json',
        '--portable',
        '--probe',
        '--ignore-unsupported',
        '-V',
        '--help',
      ]),
    ).toEqual({
      ok: true,
      flags: {
        file: 'a.yaml',
        inline: undefined,
        host: '::1',
        port: '0',
        allowHosts: ['a', 'b'],
        relay: false,
        allowAnonymous: true,
        noDemo: true,
        validateOnly: true,
        json: true,
        portable: true,
        probe: true,
        ignoreUnsupported: true,
        version: true,
        help: true,
      },
    });
  });

  it('takes YAML on the command line, also when it begins with a dash', () => {
    const read = flagsOf(['-c', 'binds:\n- port: 1']);
    expect(read.ok && read.flags.inline).toBe('binds:\n- port: 1');
    const dashed = flagsOf(['--config=- a']);
    expect(dashed.ok && dashed.flags.inline).toBe('- a');
  });

  it('takes - for standard input', () => {
    const read = flagsOf(['-f', '-']);
    expect(read.ok && read.flags.file).toBe('-');
  });

  it.each([
    [['--prot', '1'], 'unknown flag --prot; did you mean --port?'],
    [['--allow-anonymus'], 'unknown flag --allow-anonymus; did you mean --allow-anonymous?'],
    [['--completely-else'], 'unknown flag --completely-else'],
    [['-x'], 'unknown flag -x'],
    [['corral.yaml'], '"corral.yaml" stands alone: a configuration file is named with -f corral.yaml'],
    [['--port'], '--port needs a value: --port PORT'],
    [['--port', '--host'], '--port needs a value: --port PORT'],
    [['-f'], '-f needs a value: -f FILE'],
    [['--no-demo=yes'], '--no-demo takes no value'],
  ])('%s', (args, problem) => {
    expect(problemOf(...args)).toBe(problem);
  });

  it('is told in full by --help', () => {
    for (const flag of [
      '-f, --file FILE',
      "-c, --config 'YAML'",
      '--validate-only',
      '--host ADDRESS',
      '--port PORT',
      '--allow-anonymous',
      '--allow-host NAME',
      '--no-demo',
      '-V, --version',
      '-h, --help',
    ]) {
      expect(helpText()).toContain(flag);
    }
  });
});
