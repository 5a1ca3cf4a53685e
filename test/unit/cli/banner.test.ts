import { describe, expect, it } from 'vitest';
import { boxLines, curlLine, urlOf } from '../../../src/cli/banner.ts';
import type { Trial } from '../../../src/cli/try-it.ts';
import type { BoxReport } from '../../../src/fleet/fleet.ts';

function box(more: Partial<BoxReport>): BoxReport {
  return {
    name: 'ollama',
    url: 'http://localhost:11434',
    isAlive: true,
    isBox: true,
    version: '0.12.3',
    models: [],
    why: undefined,
    mend: undefined,
    ...more,
  };
}

describe('urlOf', () => {
  it('puts an IPv6 address in brackets', () => {
    expect(urlOf('127.0.0.1', 3000)).toBe('http://127.0.0.1:3000');
    expect(urlOf('::1', 3000)).toBe('http://[::1]:3000');
  });
});

describe('boxLines', () => {
  it('tells version and models, the first five of them', () => {
    expect(
      boxLines([
        box({ models: ['llama3.2:latest'] }),
        box({ name: 'b', models: ['1', '2', '3', '4', '5', '6', '7'] }),
        box({ name: 'c' }),
      ]),
    ).toEqual([
      '  box ollama  http://localhost:11434  Ollama 0.12.3, 1 model: llama3.2:latest',
      '  box b       http://localhost:11434  Ollama 0.12.3, 7 models: 1, 2, 3, 4, 5 and 2 more',
      '  box c       http://localhost:11434  Ollama 0.12.3, no models yet (ollama pull llama3.2)',
    ]);
  });

  it('tells why one does not answer and what to do', () => {
    expect(
      boxLines([
        box({
          isAlive: false,
          version: undefined,
          models: undefined,
          why: 'Connection refused.',
          mend: 'Start it with `ollama serve`.',
        }),
      ]),
    ).toEqual(['  box ollama  http://localhost:11434  Connection refused. Start it with `ollama serve`.']);
    expect(boxLines([box({ isAlive: false, models: undefined })])).toEqual([
      '  box ollama  http://localhost:11434  does not answer',
    ]);
  });

  it('tells of one that takes its time, and of one that is no Ollama', () => {
    expect(boxLines([box({ isAlive: undefined })])).toEqual(['  box ollama  http://localhost:11434  has not answered yet']);
    expect(boxLines([box({ isBox: false, version: undefined, models: ['gpt'] })])).toEqual([
      '  box ollama  http://localhost:11434  OpenAI-compatible, 1 model: gpt',
    ]);
  });
});

describe('curlLine', () => {
  const trial = {
    port: 3000,
    path: '/v1/chat/completions',
    lock: 'none',
    upstreams: new Set(['ollama']),
    models: [],
    lists: () => true,
  } as const;
  const of = ({ place = {}, ...more }: Partial<Parameters<typeof curlLine>[0]> & { place?: Partial<Trial> }) =>
    curlLine({
      url: 'http://localhost:3000',
      trial: { ...trial, ...place },
      boxes: [],
      hasDemo: true,
      keyVariable: 'KEY',
      ...more,
    });

  it('asks a model that a box has, and none that only embeds', () => {
    expect(of({ boxes: [box({ models: ['nomic-embed-text:latest', 'qwen3:4b'] })] })).toBe(
      `  curl -N http://localhost:3000/v1/chat/completions -H 'content-type: application/json' -d '{"model":"qwen3:4b","stream":true,"messages":[{"role":"user","content":"Hello!"}]}'`,
    );
  });

  it('asks the model that the configuration names, where its box has it', () => {
    const boxes = [box({ models: ['other', 'llama3.2:latest'] })];
    expect(of({ boxes, place: { models: [{ name: 'llama3.2', box: 'ollama' }] } })).toContain('"model":"llama3.2"');
    expect(of({ boxes, place: { models: [{ name: 'absent', box: 'ollama' }] } })).toContain('"model":"other"');
  });

  it('asks no box of another place, and nothing that clients may not ask for', () => {
    const boxes = [box({ name: 'elsewhere', models: ['theirs'] }), box({ models: ['behind'] })];
    const models = [{ name: 'fast', box: undefined }];
    expect(of({ boxes, place: { models, lists: () => false } })).toContain('"model":"fast"');
    expect(of({ boxes })).toContain('"model":"behind"');
  });

  it('asks the demo while no box answers', () => {
    expect(of({ boxes: [box({ isAlive: false })] })).toContain('"model":"demo"');
    expect(of({ boxes: [box({ isAlive: false })], hasDemo: false })).toContain('"model":"llama3.2"');
    expect(of({ boxes: [box({})] })).toContain('"model":"llama3.2"');
  });

  it('shows where the key, the token or the name goes', () => {
    expect(of({ place: { lock: 'key' } })).toContain(` -H "authorization: Bearer $KEY" `);
    expect(of({ place: { lock: 'key' }, keyVariable: 'CORRAL_API_KEY' })).toContain(` "authorization: Bearer $CORRAL_API_KEY" `);
    expect(of({ place: { lock: 'token' } })).toContain(` -H "authorization: Bearer $TOKEN" `);
    expect(of({ place: { lock: 'password' } })).toContain(` --user NAME `);
  });

  it('takes a certificate that is for another name, or one of your own', () => {
    expect(of({ url: 'https://localhost:3000' })).toContain('curl -N -k https://localhost:3000/v1/');
  });

  it('stays one argument whatever a model is called', () => {
    expect(of({ boxes: [box({ models: ["it's"] })] })).toContain(`"model":"it'\\''s"`);
  });
});
