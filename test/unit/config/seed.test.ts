import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatDiagnostic, loadConfig } from '../../../src/config/load.ts';

const folder = new URL('../../../../shared/configs/seed/', import.meta.url);

describe.skipIf(!existsSync(folder))("the Ollama page's own files (skipped where ../shared/configs/seed is not there)", () => {
  it.each([
    ['001.yaml', [['ollama', 'localhost:11434', 'llama3.2']]],
    [
      '002.yaml',
      [
        ['ollama-local', 'localhost:11434', 'llama3.2'],
        ['ollama-remote', '192.168.1.100:11434', 'mistral'],
      ],
    ],
    ['003.yaml', [['ollama', 'localhost:8080', 'llama3.2']]],
    ['004.yaml', [['ollama-embeddings', 'localhost:11434', 'nomic-embed-text']]],
  ])('%s runs as it is', (file, expected) => {
    const result = loadConfig(readFileSync(new URL(file, folder), 'utf8'), { name: file, env: () => undefined });
    if (!result.ok) throw new Error(result.errors.map(formatDiagnostic).join('\n'));
    expect(result.warnings).toEqual([]);
    expect(result.config.binds.map(({ port }) => port)).toEqual([3_000]);
    const found = result.config.binds[0]?.listeners[0]?.routes.flatMap(({ backends }) =>
      backends.flatMap(({ target }) =>
        target.kind === 'ai'
          ? target.ai.groups.flatMap(({ providers }) =>
              providers.map(({ name, hostOverride, provider }) => [
                name,
                hostOverride?.authority,
                provider.kind === 'openAI' ? provider.model : undefined,
              ]),
            )
          : [],
      ),
    );
    expect(found).toEqual(expected);
  });
});
