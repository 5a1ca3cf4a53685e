import { describe, expect, it } from 'vitest';
import { countsOf } from '../../../scripts/ci-counts.ts';
import { hasKeySecret } from '../../../scripts/deploy.ts';

describe('hasKeySecret', () => {
  it.each([
    ['[{"name":"CORRAL_API_KEY","type":"secret_text"}]', true],
    ['▲ a warning\n[\n {"name":"CORRAL_API_KEY"}\n]', true],
    ['[{"name":"CORRAL_ADMIN_TOKEN"}]', false],
    ['[]', false],
    ['', false],
    ['CORRAL_API_KEY', false],
    ['[null]', false],
  ])('%s', (listed, expected) => {
    expect(hasKeySecret(listed)).toBe(expected);
  });
});

describe('countsOf', () => {
  it('counts tests, and files that could not be loaded as one failure each', () => {
    const report = {
      numPassedTests: 7,
      numFailedTests: 1,
      testResults: [
        { status: 'passed', assertionResults: [{}] },
        { status: 'failed', assertionResults: [{}] },
        { status: 'failed', assertionResults: [] },
      ],
    };
    expect(countsOf(JSON.stringify(report))).toEqual({ passed: 7, failed: 2 });
  });

  it('takes a missing report for a failure', () => {
    expect(countsOf('')).toEqual({ passed: 0, failed: 1 });
  });
});
