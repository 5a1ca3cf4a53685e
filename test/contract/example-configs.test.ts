import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { summaryOf } from '../../src/compile/summary.ts';
import { formatDiagnostic, loadConfig } from '../../src/config/load.ts';
import { portabilityOf } from '../../src/config/portable.ts';
import { compileLoaded } from '../unit/answers/stage.ts';

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

/** Beyond the page: what people look for, each with its file. */
const uses = {
  'Limits for each key': 'rate-limits.yaml',
  'Guards, on streams too': 'guards.yaml',
  'From the house to the cloud, new models, choice by request': 'virtual-models.yaml',
  'Claude Code on a server of another protocol': 'claude-code.yaml',
  'One context for each model': 'contexts.yaml',
  'Keys, passwords, tokens, networks': 'authentication.yaml',
  'A login server': 'tokens-of-a-login-server.yaml',
  'Ports by name': 'gateways.yaml',
  'Routes that hand over to others': 'route-groups.yaml',
  'Several boxes in the short form': 'llm-providers.yaml',
  'Metrics, log, traces': 'telemetry.yaml',
  'Boxes as one herd, models kept warm': 'herd.yaml',
  'A relay beside the box': 'relay.yaml',
  'A Worker in front of relays': 'worker-in-front.yaml',
  Rules: 'rules.yaml',
  HTTPS: 'https.yaml',
};

/** What the files would hold. */
function readFile(path: string): string {
  const kind = path.includes('key') ? 'PRIVATE KEY' : 'CERTIFICATE';
  return `-----BEGIN ${kind}-----\nMA==\n-----END ${kind}-----\n`;
}

describe.each(files)('config/%s', (name) => {
  const text = readFileSync(new URL(name, folder), 'utf8');

  // Secrets come from the environment; the addresses' own defaults are used.
  const env = (variable: string) => (variable.endsWith('_KEY') ? `sk-${variable}` : undefined);
  const result = loadConfig(text, { name, env, readFile });

  it('loads without errors and warnings', () => {
    expect(result.ok ? [] : result.errors.map(formatDiagnostic)).toEqual([]);
    expect(result.warnings.map(formatDiagnostic)).toEqual([]);
  });

  it('becomes a plan that serves something, without warnings', () => {
    if (!result.ok) throw new Error('it does not load');
    const plan = compileLoaded(result.config);
    expect(plan.warnings).toEqual([]);
    const routes = summaryOf(plan).ports.flatMap(({ listeners }) => listeners.flatMap((listener) => listener.routes));
    expect(routes.length).toBeGreaterThan(0);
  });

  it('says what it does, and the request to try', () => {
    const header = text.slice(0, text.search(/^[^#]/m));
    expect(header).toMatch(/^# \S.*\.$/m);
    expect(header).toMatch(/^# +curl https?:\/\/localhost:\d+\//m);
    expect(header).toMatch(/^# yaml-language-server: \$schema=\.{1,2}\/schema\.json$/m);
  });

  it("keeps to agentgateway's grammar, or says where it does not", () => {
    // Their only purpose is that section.
    if (!/\/(?:herd|relay|worker-in-front)\.yaml$/.test(name)) expect(text).not.toMatch(/^fleet:/m);
    const refused = result.ok ? portabilityOf(result.written).refused : [];
    if (refused.length > 0) expect(text).toMatch(/^ *# .*Corral's own/m);
  });

  it('holds no secret', () => {
    expect(text.match(/^\s*(?:- )?(?:key|apiKey): (?!\$\{|\.\/|apiKey\.|jwt\.)/gm)).toBeNull();
  });
});

describe('there is a file for', () => {
  it.each([...Object.entries(sections), ...Object.entries(uses)])('%s: %s', (_, name) => {
    expect(files).toContain(`examples/${name}`);
  });
});
