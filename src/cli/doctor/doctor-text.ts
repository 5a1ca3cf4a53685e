/** The doctor's findings for people. Pure. */
import type { BoxState } from '../../fleet/report.ts';
import { countText } from '../table.ts';
import type { Finding, Severity } from './finding.ts';

const colours: Readonly<Record<Severity, string>> = { ok: '32', info: '36', warn: '33', error: '31' };
const severityWidth = 5;

/** One line for what is, and one below it for what to do. */
export function doctorLines(
  file: string,
  boxes: readonly Pick<BoxState, 'name' | 'url' | 'isAlive'>[],
  findings: readonly Finding[],
  hasColour: boolean,
): string[] {
  const subjectOf = ({ box }: Finding) => box ?? '';
  const width = Math.max(0, ...findings.map((one) => subjectOf(one).length));
  const indent = ' '.repeat(severityWidth + width + 3);
  const alive = boxes.filter(({ isAlive }) => isAlive === true).length;
  const answering =
    boxes.length === 0
      ? ''
      : `, ${alive} of ${countText(boxes.length, 'box', 'boxes')} ${alive === 1 || boxes.length === 1 ? 'serves' : 'serve'}`;
  const lines = findings.flatMap((one) => {
    const severity = one.severity.padEnd(severityWidth);
    const shown = hasColour ? `\u001b[${colours[one.severity]}m${severity}\u001b[0m` : severity;
    // A message of the configuration has lines of its own.
    const [first = '', ...more] = one.why.split('\n');
    const head = `${shown} ${subjectOf(one).padEnd(width)}  ${first}`.trimEnd();
    const mend = one.mend === '' ? [] : [`${indent}→ ${one.mend}`];
    return [head, ...more.map((text) => `${indent}${text}`), ...mend];
  });
  return [`${file}${answering}`, ...lines, sumOf(findings)];
}

function sumOf(findings: readonly Finding[]): string {
  const count = (severity: Severity) => findings.filter((one) => one.severity === severity).length;
  const parts = [countText(count('error'), 'error'), countText(count('warn'), 'warning'), countText(count('info'), 'info')];
  return count('error') + count('warn') === 0 ? `nothing is wrong (${parts[2]})` : parts.join(', ');
}
