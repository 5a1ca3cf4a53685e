import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatDiagnostic, loadConfig } from '../../src/config/load.ts';

const folder = new URL('../../config/', import.meta.url);
const files = ['gateway.yaml', ...readdirSync(new URL('examples/', folder)).map((name) => `examples/${name}`)];

/** The sections of the Ollama page, each with its file. */
const sections = {
  'Basic configuration': 'basic.yaml',
  'If you omit the model': 'no-default-model.yaml',
  'Multiple Ollama instances': 'multiple-instances.yaml',
  'Custom port': 'custom-port.yaml',
  'Model parameters': 'model-parameters.yaml',
  'Embeddings with Ollama': 'embeddings.yaml',
  'Next steps: fallback': 'fallback.yaml',
  'Next steps: API keys': 'api-keys.yaml',
  'Next steps: observability': 'observability.yaml',
  'The current page: llm mode': 'llm.yaml',
};

describe.each(files)('config/%s', (name) => {
  const text = readFileSync(new URL(name, folder), 'utf8');

  it('loads without errors and warnings', () => {
    // Secrets come from the environment; the addresses' own defaults are used.
    const env = (variable: string) => (variable.endsWith('_KEY') ? `sk-${variable}` : undefined);
    const result = loadConfig(text, { name, env });
    expect(result.ok ? [] : result.errors.map(formatDiagnostic)).toEqual([]);
    expect(result.warnings.map(formatDiagnostic)).toEqual([]);
  });

  it('says what it does, and the request to try', () => {
    const header = text.slice(0, text.search(/^[^#]/m));
    expect(header).toMatch(/^# \S.*\.$/m);
    expect(header).toMatch(/^# +curl http:\/\/localhost:\d+\//m);
    expect(header).toMatch(/^# yaml-language-server: \$schema=\.{1,2}\/schema\.json$/m);
  });

  it("keeps to agentgateway's grammar", () => {
    expect(text).not.toMatch(/^fleet:/m);
  });

  it('holds no secret', () => {
    expect(text.match(/^\s*(?:- )?(?:key|apiKey): (?!\$\{)/gm)).toBeNull();
  });
});

describe('the sections of the Ollama page', () => {
  it.each(Object.entries(sections))('%s: %s', (_, name) => {
    expect(files).toContain(`examples/${name}`);
  });
});
