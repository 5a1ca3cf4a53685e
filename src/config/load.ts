/** Text → Config, or everything that is wrong with it, each with its place. */
import type { ListedBox } from '../fields/box-list.ts';
import { readingWith } from '../fields/files.ts';
import { addBoxes } from './added-boxes.ts';
import { checkWhole } from './checks.ts';
import { type Diagnostic, excerptOf, type Position, stepsOf, type YamlPath, yamlPathOf } from './diagnostic.ts';
import { type ConfigDocument, openDocument } from './document.ts';
import { type LeftOut, leaveOut, markLeftOut, maxRounds } from './ignore-unsupported.ts';
import { type Finding, findingsOf, wordsOf } from './messages.ts';
import { type Config, configSchema } from './schema.ts';

export type { Diagnostic, Position } from './diagnostic.ts';
export { formatDiagnostic } from './diagnostic.ts';

/** Where a configuration comes from. */
export interface LoadSource {
  /** For messages: the file's path, `<stdin>`, `CORRAL_CONFIG`. */
  readonly name: string;
  env(name: string): string | undefined;
  /** Reads files that the configuration names. Left out where there are none (Workers): naming one is an error then. */
  readFile?(path: string): string;
  /** What Corral has not got is left out with a warning instead of refused; its place answers 503 where it may have been a lock. */
  readonly ignoreUnsupported?: boolean;
  /** Of CORRAL_BOXES: they join `fleet.boxes` of a file that has no backends of its own. */
  readonly boxes?: readonly ListedBox[];
}

export type LoadResult =
  | {
      readonly ok: true;
      readonly config: Config;
      /** What was judged: the values as written, variables put in, files by their paths. */
      readonly written: unknown;
      readonly warnings: readonly Diagnostic[];
      /** Where a path of the YAML stands, or the deepest part of it that is written there; undefined when nothing of it is. */
      positionOf(yamlPath: string): Position | undefined;
      /** A diagnostic at a path, for what is found out later. */
      diagnosticAt(yamlPath: string, message: string): Diagnostic;
    }
  | { readonly ok: false; readonly errors: readonly Diagnostic[]; readonly warnings: readonly Diagnostic[] };

/** More errors than anyone reads at once. */
const maxErrors = 100;

/** Reads a configuration. Never throws for what is in the text: all errors come together, in the order of the file. */
export function loadConfig(text: string, source: LoadSource): LoadResult {
  // A byte order mark is no part of the text, but editors count columns without it too.
  const body = text.startsWith('\uFEFF') ? text.slice(1) : text;
  const sheet = new Sheet(body, source.name);
  const document = openDocument(body, (name) => source.env(name));
  for (const { offset, path, message } of document.problems)
    sheet.add('error', document.positionAt(offset), offset, path, message);
  const { config, checked } = readSheet(document, sheet, source);
  const errors = sheet.first('error');
  const warnings = sheet.first('warning');
  if (config === undefined || errors.length > 0) return { ok: false, errors, warnings };
  return {
    ok: true,
    config,
    written: checked,
    warnings,
    positionOf(yamlPath) {
      const path = stepsOf(yamlPath);
      const first = path.slice(0, 1);
      return path.length > 0 && !document.exists(first) ? undefined : document.positionAt(document.offsetOf(path, 'key'));
    },
    diagnosticAt: (yamlPath, message) =>
      sheet.diagnostic(document.positionAt(document.offsetOf(stepsOf(yamlPath), 'key')), yamlPath, message),
  };
}

/** Checks the values. `config` is undefined when there are none to check, or they are wrong. */
function readSheet(document: ConfigDocument, sheet: Sheet, source: LoadSource): Pick<Parsed, 'config' | 'checked'> {
  const { value } = document;
  const nothing = { config: undefined, checked: undefined };
  if (value === undefined) return nothing;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const what =
      value === null || value === undefined
        ? 'the file is empty'
        : Array.isArray(value)
          ? 'the file is a list'
          : 'the file is a single value';
    sheet.add('error', { line: 1, column: 1 }, 0, '', `${what}; expected keys such as "binds", "gateways" or "llm"`);
    return nothing;
  }
  const report = (severity: Severity, path: YamlPath, message: string, about: 'key' | 'value') => {
    const offset = document.offsetOf(path, about);
    sheet.add(severity, document.positionAt(offset), offset, yamlPathOf(path), message);
  };
  const added = addBoxes(value, source.boxes ?? []);
  if (added.warning !== undefined) report('warning', [], added.warning, 'key');
  const { config, findings, checked, leftOut } = readingWith(fileReaderOf(source), () => parse(document, added.value, source));
  for (const { path, message } of leftOut) report('warning', path, message, 'key');
  // What a missing variable left empty is no second mistake.
  const reported = new Set(document.problems.map(({ path }) => path));
  for (const { path, message, about } of findings) if (!reported.has(yamlPathOf(path))) report('error', path, message, about);
  // About a whole section its key says more than the first thing in it.
  const aboutOf = (path: YamlPath) => (typeof valueAt(checked, path) === 'object' ? 'key' : 'value');
  checkWhole(checked, {
    error: (path, message) => report('error', path, message, aboutOf(path)),
    warn: (path, message) => report('warning', path, message, aboutOf(path)),
  });
  return { config, checked };
}

interface Parsed {
  readonly config: Config | undefined;
  readonly findings: readonly Finding[];
  /** The values that were judged in the end. */
  readonly checked: unknown;
  readonly leftOut: readonly LeftOut[];
}

function parse(document: ConfigDocument, value: unknown, { ignoreUnsupported = false, boxes = [] }: LoadSource): Parsed {
  const leftOut: LeftOut[] = [];
  let checked = value;
  for (let round = 0; ; round++) {
    const result = configSchema.safeParse(checked, { error: wordsOf });
    if (result.success) {
      markLeftOut(result.data, leftOut);
      return { config: result.data, findings: [], checked, leftOut };
    }
    const findings = findingsOf(configSchema, result.error.issues, (path) => valueAt(checked, path));
    // `key: $KEY` is a number to YAML when the key happens to have digits only; where a text is wanted it is that text.
    const changed = findings.filter(({ wantsText, path }) => wantsText === true && document.asText(path));
    if (changed.length > 0) {
      checked = addBoxes(document.reread(), boxes).value;
      // What was left out is there again, and is found again.
      leftOut.length = 0;
      continue;
    }
    const more = ignoreUnsupported && round < maxRounds ? leaveOut(checked, findings) : [];
    if (more.length === 0) return { config: undefined, findings, checked, leftOut };
    leftOut.push(...more);
  }
}

function valueAt(value: unknown, path: YamlPath): unknown {
  let at = value;
  for (const step of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined;
    at = (at as Record<string | number, unknown>)[step];
  }
  return at;
}

/** agentgateway's `~` is the home directory; here it is understood where it can mean nothing else, in paths of files. */
function fileReaderOf(source: LoadSource): ((path: string) => string) | undefined {
  const { readFile } = source;
  if (readFile === undefined) return undefined;
  return (path) => {
    const home = path.startsWith('~/') ? (source.env('HOME') ?? source.env('USERPROFILE')) : undefined;
    return readFile.call(source, home === undefined ? path : `${home}${path.slice(1)}`);
  };
}

type Severity = 'error' | 'warning';

/** Collects what is found, and puts it in the order of the file. */
class Sheet {
  readonly #lines: readonly string[];
  readonly #name: string;
  readonly #found: { severity: Severity; position: Position; offset: number; path: string; message: string }[] = [];

  constructor(text: string, name: string) {
    this.#lines = text.split('\n');
    this.#name = name;
  }

  add(severity: Severity, position: Position, offset: number, path: string, message: string): void {
    this.#found.push({ severity, position, offset, path, message });
  }

  diagnostic({ line, column }: Position, path: string, message: string): Diagnostic {
    const excerpt = this.#lines[line - 1];
    return {
      file: this.#name,
      line,
      column,
      path,
      message,
      ...(excerpt === undefined || excerpt === '' ? {} : { excerpt: excerptOf(excerpt) }),
    };
  }

  /** In the order of the file, no more than anyone reads. */
  first(severity: Severity): Diagnostic[] {
    const found = this.#found.filter((entry) => entry.severity === severity).sort((a, b) => a.offset - b.offset);
    return found.slice(0, maxErrors).map(({ position, path, message }) => this.diagnostic(position, path, message));
  }
}
