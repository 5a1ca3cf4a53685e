/** What is wrong with a configuration, and where. */

export interface Diagnostic {
  /** As the loader was told: a path, or `<stdin>` and the like. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units, as editors count. */
  readonly column: number;
  /** `binds[0].listeners[0].routes[0].policies.cors`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
  /** The line of the file, for people; values of keys that sound like secrets are left out. */
  readonly excerpt?: string;
}

export interface Position {
  readonly line: number;
  readonly column: number;
}

export type YamlPath = readonly (string | number)[];

/** `gateway.yaml:7:5 binds[0].listeners[0].routs: unknown key; did you mean "routes"?`, then the line and a caret below it. */
export function formatDiagnostic({ file, line, column, path, message, excerpt }: Diagnostic): string {
  const head = `${file}:${line}:${column} ${path === '' ? '' : `${path}: `}${message}`;
  if (excerpt === undefined) return head;
  const gutter = `${line} | `;
  // Tabs keep their width only when the caret's line has the same ones.
  const indent = excerpt.slice(0, column - 1).replace(/[^\t]/g, ' ');
  return `${head}\n  ${gutter}${excerpt}\n  ${' '.repeat(gutter.length)}${indent}^`;
}

const maxExcerpt = 160;
const secretValue = /^(.*?(?:key|secret|password|passwd|token|htpasswd|authorization)["']?\s*:\s*)(\S.*)$/i;
/** A variable, the path of a file, or a value that only begins on this line. */
const harmless = /^(?:["']?\$[\w{}:-]+["']?[\s\]},]*(?:#.*)?|\{\s*["']?file\b[^,]*|[|>[{][-+]?\s*)$/;

/** One line of the file as it may be shown: not too long, and without what sounds like a secret. */
export function excerptOf(line: string): string {
  // Cut first, since the pattern is applied to whatever stands in the file.
  const start = line.slice(0, 1_000).replace(/\r$/, '');
  const shown = start.replace(secretValue, (whole, head: string, value: string) => (harmless.test(value) ? whole : `${head}…`));
  return shown.length > maxExcerpt ? `${shown.slice(0, maxExcerpt)}…` : shown;
}

/** `binds[0].policies["x y"]`: the one way in which paths are written, here and in warnings of later stages. */
export function yamlPathOf(path: YamlPath): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}

/** The steps of a written path; what cannot be read ends it. */
export function stepsOf(yamlPath: string): (string | number)[] {
  const steps: (string | number)[] = [];
  for (const [, index, quoted, key] of yamlPath.matchAll(/\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]|\.?([^.[\]]+)/g)) {
    if (index !== undefined) steps.push(Number(index));
    else if (quoted !== undefined) steps.push(String(JSON.parse(quoted)));
    else if (key !== undefined) steps.push(key);
  }
  return steps;
}

export { nearestOf } from '../fields/nearest.ts';
