/** What the doctor says. */

export type Severity = 'ok' | 'info' | 'warn' | 'error';

/** Members may be added, never removed; codes keep their meaning (docs/doctor.md). */
export interface Finding {
  readonly severity: Severity;
  readonly code: string;
  /** Null: it is about the configuration, or about several boxes. */
  readonly box: string | null;
  readonly model: string | null;
  /** What is, one sentence or two. */
  readonly why: string;
  /** What to do; empty where nothing is to be done. */
  readonly mend: string;
}

export function finding(
  severity: Severity,
  code: string,
  why: string,
  mend = '',
  { box = null, model = null }: { readonly box?: string | null; readonly model?: string | null } = {},
): Finding {
  return { severity, code, box, model, why, mend };
}

/** 1: an error; 3: warnings and nothing worse; 0: fine, or infos only. */
export function exitCodeOf(findings: readonly Finding[]): 0 | 1 | 3 {
  if (findings.some(({ severity }) => severity === 'error')) return 1;
  return findings.some(({ severity }) => severity === 'warn') ? 3 : 0;
}
