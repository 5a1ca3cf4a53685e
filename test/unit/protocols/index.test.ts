import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { protocolOfRouteType, verdictOf } from '../../../src/protocols/index.ts';

/** `served completions`, `management /api/pull`, `405 GET`, `unknown`: one word for each verdict. */
function judged(method: string, path: string): string {
  const verdict = verdictOf(method, path);
  switch (verdict.kind) {
    case 'served':
      return `served ${verdict.protocol.name}${verdict.modelId === undefined ? '' : ` ${verdict.modelId}`}`;
    case 'management':
      return `management ${verdict.path}`;
    case 'method_not_allowed':
      return `405 ${verdict.allow}`;
    case 'unknown':
      return 'unknown';
  }
}

describe('plain paths', () => {
  it.each([
    ['POST', '/v1/chat/completions', 'served completions'],
    ['POST', '/v1/completions', 'served textCompletions'],
    ['POST', '/v1/embeddings', 'served embeddings'],
    ['POST', '/v1/responses', 'served responses'],
    ['POST', '/v1/responses/compact', 'served responsesCompact'],
    ['POST', '/v1/audio/transcriptions', 'served transcriptions'],
    ['GET', '/v1/models', 'served models'],
    ['POST', '/v1/messages', 'served messages'],
    ['POST', '/v1/messages/count_tokens', 'served anthropicTokenCount'],
    ['POST', '/api/chat', 'served ollamaChat'],
    ['POST', '/api/generate', 'served ollamaGenerate'],
    ['POST', '/api/embed', 'served ollamaEmbed'],
    ['POST', '/api/embeddings', 'served ollamaEmbeddings'],
    ['GET', '/api/tags', 'served ollamaTags'],
    ['HEAD', '/api/tags', 'served ollamaTags'],
    ['GET', '/api/ps', 'served ollamaPs'],
    ['POST', '/api/show', 'served ollamaShow'],
    ['GET', '/api/version', 'served ollamaVersion'],
    ['HEAD', '/api/version', 'served ollamaVersion'],
    ['GET', '/', 'served ollamaRoot'],
    ['HEAD', '/', 'served ollamaRoot'],
  ])('%s %s is %s', (method, path, expected) => {
    expect(judged(method, path)).toBe(expected);
  });

  it('judges a plain spelling without making anything', () => {
    expect(verdictOf('POST', '/api/chat')).toBe(verdictOf('POST', '/api/chat'));
  });

  it.each([
    ['GET', '/v1/chat/completions', '405 POST'],
    ['PUT', '/api/chat', '405 POST'],
    ['POST', '/api/tags', '405 GET, HEAD'],
    ['HEAD', '/v1/models', '405 GET'],
    ['POST', '/v1/models/gemma3:270m', '405 GET'],
    ['OPTIONS', '/', '405 GET, HEAD'],
  ])('%s %s is %s, as at Ollama', (method, path, expected) => {
    expect(judged(method, path)).toBe(expected);
  });

  it.each(['/v1/nope', '/api/nope', '/v1/responses/resp_1', '/v1/chat', '/metrics', '/v1', '/api', '/api/pulls', '/x/v2/chat'])(
    'does not know %s',
    (path) => {
      expect(judged('POST', path)).toBe('unknown');
    },
  );
});

describe('other spellings of served paths', () => {
  it.each([
    ['GET', '//api/tags', 'served ollamaTags'],
    ['GET', '/api/tags/', 'served ollamaTags'],
    ['GET', '/API/Tags', 'served ollamaTags'],
    ['GET', '/api/%74ags', 'served ollamaTags'],
    ['GET', '/api%2Ftags', 'served ollamaTags'],
    ['GET', '/api%252ftags', 'served ollamaTags'],
    ['GET', '/./api/x/../tags', 'served ollamaTags'],
    ['GET', '/%2e/', 'served ollamaRoot'],
    ['POST', '/ollama/v1/chat/completions', 'served completions'],
    ['POST', '/a/b/c/v1/messages/count_tokens', 'served anthropicTokenCount'],
    ['POST', '/ollama/api/chat', 'served ollamaChat'],
    ['GET', '/models', 'served models'],
    ['GET', '/ollama/v1/models', 'served models'],
    ['GET', '/ollama/v1/models/acme/x:1b', 'served model acme/x:1b'],
  ])('%s %s is %s', (method, path, expected) => {
    expect(judged(method, path)).toBe(expected);
  });

  it('matches whole segments only', () => {
    expect(judged('POST', '/xv1/chat/completions')).toBe('unknown');
    expect(judged('GET', '/xapi/tags')).toBe('unknown');
  });
});

describe('names in /v1/models/:id', () => {
  it.each([
    ['/v1/models/gemma3:270m', 'gemma3:270m'],
    ['/v1/models/acme/Gemma3:270m', 'acme/Gemma3:270m'],
    ['/v1/models/acme%2Fgemma3:270m', 'acme/gemma3:270m'],
    ['/v1/models/hf.co/acme/x-GGUF:Q4_K_M', 'hf.co/acme/x-GGUF:Q4_K_M'],
    ['/v1/models/gemma3%3A270m/', 'gemma3:270m'],
    ['/v1/models/gr%C3%B6%C3%9Fe', 'größe'],
    ['/v1/models/api/pull', 'api/pull'],
    ['/models/x', 'x'],
  ])('%s names %s', (path, model) => {
    expect(judged('GET', path)).toBe(`served model ${model}`);
  });
});

describe('management paths', () => {
  const stems = [
    '/api/pull',
    '/api/push',
    '/api/create',
    '/api/copy',
    '/api/delete',
    '/api/blobs/sha256:00ff',
    '/api/me',
    '/api/signout',
    '/api/user/keys/k1',
    '/api/experimental/web_search',
    '/api/experimental/web_fetch',
    '/api/experimental/model-recommendations',
    '/api/status',
  ];

  it.each(stems)('%s is one, whatever the method', (path) => {
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])
      expect(judged(method, path)).toBe(`management ${path}`);
  });

  it.each([
    ['//api/pull', '/api/pull'],
    ['/api/pull/', '/api/pull'],
    ['/API/PULL', '/api/pull'],
    ['/api/%70ull', '/api/pull'],
    ['/api%2fpull', '/api/pull'],
    ['/%61pi%252Fpull', '/api/pull'],
    ['/api/%2570ull', '/api/pull'],
    ['/api/%%370ull', '/api/pull'],
    ['/v1/../api/pull', '/api/pull'],
    ['/v1/%2e%2e/api/pull', '/api/pull'],
    ['/v1/..;/api/pull', '/api/pull'],
    ['/v1/models/../../api/pull', '/api/pull'],
    ['/v1/models/%2e%2e/%2e%2e/api/delete', '/api/delete'],
    ['/api\\pull', '/api/pull'],
    ['/api/pull;x=1', '/api/pull'],
    ['/api/pull%00', '/api/pull'],
    ['/api/pull%20', '/api/pull'],
    ['/api/%0apull', '/api/pull'],
    ['/api/pu%09ll', '/api/pull'],
    ['/api/pull.', '/api/pull'],
    ['/api/pull%3Fx', '/api/pull'],
    ['/api/pull%23x', '/api/pull'],
    ['/ollama/api/pull', '/api/pull'],
    ['/api/pull/v1/chat/completions', '/api/pull/v1/chat/completions'],
    ['/api/pull/..', '/api/pull'],
    ['/api/blobs/sha256:00FF', '/api/blobs/sha256:00FF'],
    ['/api/experimental/new_thing', '/api/experimental/new_thing'],
  ])('%s is judged as %s', (path, expected) => {
    expect(judged('POST', path)).toBe(`management ${expected}`);
  });

  /** One letter, perhaps encoded, perhaps encoded again, perhaps in the other case. */
  const spelledLetter = (letter: string) =>
    fc.record({ form: fc.integer({ min: 0, max: 5 }), lowerHex: fc.boolean() }).map(({ form, lowerHex }) => {
      const hex = letter.charCodeAt(0).toString(16).padStart(2, '0');
      const code = lowerHex ? hex : hex.toUpperCase();
      const forms = [letter, letter, letter.toUpperCase(), `%${code}`, `%25${code}`, `%2525${code}`];
      return forms[form] ?? letter;
    });
  const slash = fc.constantFrom('/', '/', '//', '/./', '/%2e/', '%2f', '%2F', '%252F', '\\', '/x/../', '/x/%2e%2e/', '/;a/');
  const lead = fc.constantFrom('', '', '/v1/models/..', '/ollama', '/v1/..', '/a/b/../..', '/v1/chat/completions/../../..');
  const tail = fc.constantFrom(
    '',
    '',
    '/',
    '//',
    '/.',
    '%2f',
    ';x',
    '%00',
    '%20',
    '%09',
    '?',
    '%3f',
    '%23',
    '.',
    '/x',
    '/../pull',
  );

  it('no mutation slips past', () => {
    const mutated = fc.constantFrom(...stems).chain((stem) => {
      const words = stem.split('/').slice(1);
      const spelledWords = words.map((word) => fc.tuple(...Array.from(word, spelledLetter)).map((letters) => letters.join('')));
      const joined = fc.tuple(...spelledWords.map((word) => fc.tuple(slash, word)));
      return fc.tuple(lead, joined, tail).map(([start, parts, end]) => start + parts.flat().join('') + end);
    });
    fc.assert(
      fc.property(mutated, fc.constantFrom('GET', 'HEAD', 'POST', 'DELETE'), (path, method) => {
        expect(verdictOf(method, path).kind).toBe('management');
      }),
      { numRuns: 2000 },
    );
  });

  it('no path at all makes it throw, and it is quick on hostile ones', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (path) => {
        verdictOf('GET', `/${path}`);
      }),
    );
    // Decoding layer by layer would take some 15 s here; one pass takes a quarter of a second.
    const started = performance.now();
    verdictOf('GET', `/${'%25'.repeat(100_000)}`);
    verdictOf('GET', `/${'25'.repeat(100_000)}`.replace('25', '%25'));
    verdictOf('GET', '/..'.repeat(20_000));
    verdictOf('GET', '/api'.repeat(20_000));
    expect(performance.now() - started).toBeLessThan(4000);
  });
});

describe('route types of agentgateway', () => {
  it.each([
    ['completions', '/v1/chat/completions'],
    ['messages', '/v1/messages'],
    ['responses', '/v1/responses'],
    ['embeddings', '/v1/embeddings'],
    ['models', '/v1/models'],
    ['anthropicTokenCount', '/v1/messages/count_tokens'],
  ])('%s means %s', (type, path) => {
    expect(protocolOfRouteType(type)?.path).toBe(path);
  });

  it.each(['passthrough', 'detect', 'realtime', 'generateContent', 'geminiCountTokens', 'rerank', 'ollamaChat', ''])(
    'has no protocol for %s',
    (type) => {
      expect(protocolOfRouteType(type)).toBeUndefined();
    },
  );
});
