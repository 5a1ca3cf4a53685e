/// <reference types="node" />
/**
 * Every `test/conformance/config/*.case`: a configuration, and below a line of `---8<---` the plan that it must become. The
 * expectations are written by hand and read by people; there is no switch that rewrites them.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { PlanError } from '../../../src/compile/upstreams.ts';
import { planText } from '../../support/plan-text.ts';
import { planOf } from '../answers/stage.ts';

const folder = new URL('../../conformance/config/', import.meta.url);
const seeds = new URL('../../../../shared/configs/seed/', import.meta.url);
const names = readdirSync(folder).filter((name) => name.endsWith('.case'));
const usual = planOf('binds: []').settings;

/** What stands in the environment of every case. */
const env = { KEY: 'sk-from-the-environment', HOST: 'box.lan:11434' };

function resultOf(yaml: string): string {
  try {
    return planText(planOf(yaml, { env }), usual);
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
    expect(names.length).toBeGreaterThanOrEqual(30);
  });

  test.skipIf(!existsSync(seeds)).each(['001', '002', '003', '004'])('seed/%s.yaml is what its case says it is', (number) => {
    const yaml = readFileSync(new URL(`${number}.yaml`, seeds), 'utf8');
    const name = names.find((one) => one.startsWith(`seed-${number}`)) ?? '';
    expect(readFileSync(new URL(name, folder), 'utf8').split('---8<---\n')[0]).toBe(yaml);
  });
});
