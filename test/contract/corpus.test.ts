/// <reference types="node" />
/**
 * The YAML files of agentgateway's documentation: each file about HTTP or LLM traffic loads and compiles, or is refused for a
 * reason that holds for everybody: a key that is refused by name, or a mistake that agentgateway refuses as well. Nothing
 * here knows a single file; the files stay where they are.
 */
import { existsSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { describe, expect, test } from 'vitest';
import { PlanError } from '../../src/compile/upstreams.ts';
import { loadConfig } from '../../src/config/load.ts';
import { compileLoaded } from '../unit/answers/stage.ts';

const folder = new URL('../../../shared/configs/', import.meta.url);
const hasCorpus = existsSync(new URL('index.tsv', folder));

interface CorpusFile {
  readonly path: string;
  readonly where: string;
  /** What agentgateway's own schema says of it: `ok`, or `invalid@path`. */
  readonly schema: string;
}

function corpusFiles(): readonly CorpusFile[] {
  const rows = readFileSync(new URL('index.tsv', folder), 'utf8').trimEnd().split('\n').slice(1);
  return rows.flatMap((row) => {
    const [path = '', where = '', , , scope = '', schema = ''] = row.split('\t');
    return scope === 'llm' || scope === 'http' ? [{ path, where, schema }] : [];
  });
}

const keySet = JSON.stringify({
  keys: [
    {
      kty: 'EC',
      crv: 'P-256',
      kid: 'a',
      x: 'SVqB4JcUD6lsfvqMr-OKUNUphdNn64Eay60978ZlL74',
      y: 'lf0u0pMj4lGAzZix5u4Cm5CMQIgMNpkwy163wtKYVKI',
    },
  ],
});
const certificate = '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n';
const privateKey = '-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n';

/** What a file that the documentation names would hold. */
function contentOf(path: string): string {
  if (/jwks|\.json$|pub-key/.test(path)) return keySet;
  if (/htpasswd/.test(path)) return 'user:$2y$05$H5iJbsJPn0dJD0CZbUoqZe1VqHkCqLDRzyWOtxMCTBV0TJ4vHVLHy\n';
  if (/key/.test(path)) return privateKey;
  if (/\.(pem|crt|cert)$|cert/.test(path)) return certificate;
  return 'text-of-a-file';
}

/** `accepted`, `refused by name: …`, `invalid for agentgateway, too: …`, or what is wrong. */
function fateOf({ path, schema }: CorpusFile): string {
  const text = readFileSync(new URL(path, folder), 'utf8');
  const loaded = loadConfig(text, { name: path, env: () => 'value', readFile: contentOf });
  if (!loaded.ok) {
    const foreign = loaded.errors.filter(({ message }) => isRefusal(message));
    const messages = loaded.errors.map((error) => `${error.path}: ${error.message}`);
    if (foreign.length === loaded.errors.length) return `refused by name: ${messages[0]}`;
    if (schema.startsWith('invalid')) return `invalid for agentgateway, too: ${messages[0]}`;
    return `wrong: ${messages.find((_, index) => !isRefusal(loaded.errors[index]?.message ?? '')) ?? ''}`;
  }
  try {
    compileLoaded(loaded.config);
    return 'accepted';
  } catch (thrown) {
    if (!(thrown instanceof PlanError)) return `wrong: ${String(thrown)}`;
    return isRefusal(thrown.message) ? `refused by name: ${thrown.message}` : `wrong: ${thrown.message}`;
  }
}

function isRefusal(message: string): boolean {
  return message.includes('known to agentgateway, not supported: ') || message.includes('outside Kubernetes');
}

describe.skipIf(!hasCorpus)("agentgateway's documented configurations", () => {
  const files = hasCorpus ? corpusFiles() : [];
  const fates = files.map((file) => ({ file, fate: fateOf(file) }));
  const those = (start: string) => fates.filter(({ fate }) => fate.startsWith(start));

  test('load and compile, or are refused by name', () => {
    const refused = [...those('refused'), ...those('invalid')];
    const wrong = those('wrong');
    process.stdout.write(
      `configurations: ${those('accepted').length} accepted / ${refused.length} refused by name / ${wrong.length} wrong, of ${files.length}\n`,
    );
    expect(wrong.map(({ file, fate }) => `${file.path} (${file.where}) ${fate}`)).toEqual([]);
  });

  test('most of them are accepted', () => {
    expect(files.length).toBeGreaterThan(200);
    expect(those('accepted').length / files.length).toBeGreaterThan(0.7);
  });
});

if (!hasCorpus)
  test.skip("SKIPPED: ../shared/configs is not here, so nothing was compared with agentgateway's documented configurations", () =>
    undefined);
