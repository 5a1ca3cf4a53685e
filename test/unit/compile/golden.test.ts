/// <reference types="node" />
/**
 * Every `test/conformance/config/*.case`: a configuration, and below a line of `---8<---` the plan that it must become. The
 * expectations are written by hand and read by people; there is no switch that rewrites them.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test, vi } from 'vitest';
import { innermost } from '../../../src/compile/policy-stack.ts';
import { PlanError } from '../../../src/compile/upstreams.ts';
import { planText } from '../../support/plan-text.ts';
import { watchingOptions } from '../../support/policy-options.ts';
import { planOf } from '../answers/stage.ts';

const folder = new URL('../../conformance/config/', import.meta.url);
const seeds = new URL('../../../../shared/configs/seed/', import.meta.url);
const names = readdirSync(folder).filter((name) => name.endsWith('.case'));
const usual = planOf('binds: []').settings;

/** What stands in the environment of every case. */
const env = { KEY: 'sk-from-the-environment', HOST: 'box.lan:11434' };

/** The files that cases name. */
const files: Readonly<Record<string, string>> = {
  'key.txt': 'sk-from-a-file\n',
  'relay.txt': 'sixteen letters or more\n',
  'users.htpasswd': 'bob:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/\n',
  'keys.json': JSON.stringify({
    keys: [
      {
        kty: 'EC',
        crv: 'P-256',
        kid: 'k1',
        x: 'wX77I6dQDPpfIQcthwumMhSWNhMt7VgXzoNBjQGt2vU',
        y: '1Ek9v8vpBzUslOpGKr5MSL6GjYexyXtgh6KPE9CVpM8',
      },
    ],
  }),
  'cert.pem': '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n',
  'key.pem': '-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n',
};

function readFile(path: string): string {
  const text = files[path];
  if (text === undefined) throw new Error('there is no such file');
  return text;
}

/** A target's health has no factory to watch. */
const healthOptions = new WeakMap<object, unknown>();
vi.mock('../../../src/compile/target-health.ts', async (original) => {
  const { targetHealthOf } = await original<typeof import('../../../src/compile/target-health.ts')>();
  return {
    targetHealthOf: (...given: Parameters<typeof targetHealthOf>) => {
      const made = targetHealthOf(...given);
      if (made !== undefined) healthOptions.set(made, innermost(given[2].layers, 'health'));
      return made;
    },
  };
});

/** In a case that begins so, policies are shown with all their options. */
const withOptions = /^# .*With all options\.$/m;

function resultOf(yaml: string): string {
  try {
    const { made: plan, optionsOf } = watchingOptions(() => planOf(yaml, { env, readFile }));
    if (!withOptions.test(yaml)) return planText(plan, usual);
    return planText({ ...plan, optionsOf: (made) => optionsOf(made) ?? healthOptions.get(made) }, usual);
  } catch (thrown) {
    if (thrown instanceof PlanError) return `refused ${thrown.message}\n`;
    throw thrown;
  }
}

describe('configurations and their plans', () => {
  test.each(names)('%s', (name) => {
    const text = readFileSync(new URL(name, folder), 'utf8');
    const [yaml = '', expected] = text.split('---8<---\n');
    expect(resultOf(yaml)).toBe(expected);
  });

  test('there are as many cases as there were', () => {
    expect(names.length).toBeGreaterThanOrEqual(60);
  });

  test.skipIf(!existsSync(seeds)).each(['001', '002', '003', '004'])(
    'seed/%s.yaml is what its case says it is (skipped where ../shared/configs is not there)',
    (number) => {
      const yaml = readFileSync(new URL(`${number}.yaml`, seeds), 'utf8');
      const name = names.find((one) => one.startsWith(`seed-${number}`)) ?? '';
      expect(readFileSync(new URL(name, folder), 'utf8').split('---8<---\n')[0]).toBe(yaml);
    },
  );
});
