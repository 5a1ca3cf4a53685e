/// <reference types="node" />
/** `npm run ci:counts -- FILE`: how many tests passed and failed, out of vitest's JSON report. Two numbers, one line. */
import { readFileSync } from 'node:fs';

interface Report {
  readonly numPassedTests?: number;
  readonly numFailedTests?: number;
  readonly testResults?: readonly { readonly status?: string; readonly assertionResults?: readonly unknown[] }[];
}

/** A file that could not be loaded has no tests in the report, but is a failure all the same. */
export function countsOf(text: string): { passed: number; failed: number } {
  if (text.trim() === '') return { passed: 0, failed: 1 };
  const report = JSON.parse(text) as Report;
  const unloaded = (report.testResults ?? []).filter(
    (file) => file.status === 'failed' && (file.assertionResults ?? []).length === 0,
  ).length;
  return { passed: report.numPassedTests ?? 0, failed: (report.numFailedTests ?? 0) + unloaded };
}

if (import.meta.main) {
  const { passed, failed } = countsOf(readFileSync(process.argv[2] ?? '', 'utf8'));
  process.stdout.write(`${passed} ${failed}\n`);
}
