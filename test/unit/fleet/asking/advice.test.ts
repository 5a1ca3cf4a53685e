import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type ErrorCode, errorTable, GatewayError } from '../../../../src/errors.ts';
import type { KnownModel } from '../../../../src/exchange.ts';
import {
  busyAdvice,
  isBusy,
  isForeignHostRefusal,
  isModelMissing,
  isOutOfMemory,
  messageOf,
  missingModelAdvice,
  outOfMemoryAdvice,
  slowWarning,
  troubleAdvice,
  wordsOf,
} from '../../../../src/fleet/asking/advice.ts';
import type { RunningModel } from '../../../../src/fleet/asking/answers.ts';
import { upstreamNamed } from '../scripted-boxes.ts';

const local = upstreamNamed('ollama-local', 'http://localhost:11434');
const remote = upstreamNamed('ollama-remote', 'http://192.168.1.100:8080');

function known(name: string, sizeBytes: number, family = 'llama', remoteHost?: string): KnownModel {
  return { name, digest: name, tag: JSON.stringify({ name, details: { family } }), sizeBytes, modifiedAt: '', remoteHost };
}

function runner(name: string, sizeBytes: number, vramBytes: number): RunningModel {
  return { name, digest: name, item: '{}', sizeBytes, vramBytes, contextLength: 4_096, expiresAt: '' };
}

const troubleOf = (upstream: typeof local, code: ErrorCode, message = 'said so') =>
  wordsOf(troubleAdvice(upstream, new GatewayError(code, message)));

describe('a box in trouble', () => {
  it('refused: says where Ollama should be, and how to start it', () => {
    expect(troubleOf(local, 'upstream_refused')).toBe(
      'ollama-local refused the connection: Ollama is not running there, or not bound to port 11434. Start it with `ollama serve` ' +
        '(in a container, localhost is the container itself). Check the port with `lsof -i :11434`.',
    );
  });

  it('refused on another port or machine: the command says so', () => {
    expect(troubleOf(upstreamNamed('x', 'http://127.0.0.1:8080'), 'upstream_refused')).toContain(
      '`OLLAMA_HOST=127.0.0.1:8080 ollama serve`',
    );
    expect(troubleOf(remote, 'upstream_refused')).toContain('`OLLAMA_HOST=0.0.0.0:8080 ollama serve`');
  });

  it.each([
    ['upstream_unresolved', 'does not resolve'],
    ['upstream_silent', 'firewall'],
    ['upstream_tls', 'plain HTTP'],
    ['upstream_foreign_host', '--http-host-header'],
    ['upstream_foreign_host', 'OLLAMA_ORIGINS'],
    ['upstream_foreign_host', 'OLLAMA_HOST=0.0.0.0:8080'],
    ['upstream_closed', 'broke off'],
    ['loop_detected', 'this gateway itself'],
    ['upstream_unavailable', 'said so.'],
    ['upstream_timeout', '`ollama ps`'],
  ] as const)('%s: mentions %s', (code, words) => {
    expect(troubleOf(remote, code)).toContain(words);
  });

  it('is named, and its address never shown', () => {
    const secret = upstreamNamed('attic', 'http://user:password@secret-host:9999');
    for (const code of Object.keys(errorTable) as ErrorCode[]) {
      expect(troubleOf(secret, code)).not.toMatch(/secret-host|password|https?:\/\/[a-z]/);
    }
  });
});

describe('a model that is not there', () => {
  it('is answered with those that are, the nearest, and how to get it', () => {
    expect(wordsOf(missingModelAdvice('llama3.2', "model 'llama3.2' not found", ['mistral:latest', 'llama3.2:3b']))).toBe(
      "model 'llama3.2' not found. There are: mistral:latest, llama3.2:3b. Did you mean llama3.2:3b? Otherwise pull it: `ollama pull llama3.2`.",
    );
  });

  it('shows ten names and counts the rest', () => {
    const names = Array.from({ length: 12 }, (_, index) => `m${index}:latest`);
    const { why } = missingModelAdvice('zzzzzz', undefined, names);
    expect(why).toContain('m9:latest and 2 more.');
    expect(why).not.toContain('m10');
  });

  it('says so when there is none, or one', () => {
    expect(missingModelAdvice('x', undefined, []).why).toBe("model 'x' not found. No model is there yet.");
    expect(missingModelAdvice('x', undefined, ['a:1b']).why).toBe("model 'x' not found. There is: a:1b.");
  });

  it('stays short whatever is asked for', () => {
    const long = 'x'.repeat(1_000_000);
    expect(
      wordsOf(
        missingModelAdvice(
          long,
          long,
          Array.from({ length: 50 }, () => long),
        ),
      ).length,
    ).toBeLessThan(5_000);
  });

  it.each([
    ['chat and generate', `{"error":"model 'nope:1b' not found"}`],
    ['embed', `{"error":"model \\"nope\\" not found, try pulling it first"}`],
    ['/v1', `{"error":{"message":"model 'gpt-4o' not found","type":"not_found_error","param":null,"code":null}}\n`],
    [
      '/v1/messages',
      `{"type":"error","error":{"type":"not_found_error","message":"model 'claude-x' not found"},"request_id":"req_1"}\n`,
    ],
  ])('is known by the words of %s', (_name, body) => {
    expect(isModelMissing(404, body)).toBe(true);
    expect(isModelMissing(400, body)).toBe(false);
  });

  it.each(['404 page not found', '', `{"error":"model '' not found"}`, '{"error":"not found"}', '{"error":null}', 'null'])(
    'is not meant by %s',
    (body) => {
      expect(isModelMissing(404, body)).toBe(false);
    },
  );
});

describe('memory that does not suffice', () => {
  it.each([
    '{"error":"model requires more system memory (7.5 GiB) than is available (5.2 GiB)"}',
    '{"error":{"message":"llama runner process has terminated: cudaMalloc failed: out of memory","type":"api_error"}}',
    '{"error":"llama runner process has terminated: CUDA error: out of memory"}',
    '{"error":"llama runner process has terminated: signal: killed"}',
    '{"error":"unable to allocate CUDA0 buffer"}',
    'ggml_vulkan: ErrorOutOfDeviceMemory',
  ])('is known by %s', (body) => {
    expect(isOutOfMemory(body)).toBe(true);
  });

  it.each([
    '{"error":"unexpected EOF"}',
    `{"error":"model 'memory' not found"}`,
    '',
    '{"error":"llama runner process has terminated: exit status 2"}',
  ])('is not meant by %s', (body) => {
    expect(isOutOfMemory(body)).toBe(false);
  });

  it('is answered with Ollama’s words and smaller variants that the box has, the largest first', () => {
    const models = [
      known('llama3.2:70b', 40e9),
      known('llama3.2:3b', 2e9),
      known('llama3.1:8b', 5e9),
      known('llama3.1:405b', 200e9),
      known('qwen3:4b', 3e9, 'qwen3'),
      known('llama3.2:huge-cloud', 300, 'llama', 'https://ollama.com'),
    ];
    const words = wordsOf(outOfMemoryAdvice('attic', 'llama3.2:70b', 'model requires more system memory (42 GiB)', models));
    expect(words).toContain(
      'attic has not enough memory for llama3.2:70b. Ollama says: model requires more system memory (42 GiB)',
    );
    expect(words).toContain('that attic has: llama3.1:8b, llama3.2:3b.');
  });

  it('is answered without names when the box has nothing smaller', () => {
    const { mend } = outOfMemoryAdvice('attic', 'qwen3:4b', 'x', [known('qwen3:4b', 3e9, 'qwen3'), known('llama3.2:1b', 1e9)]);
    expect(mend).toMatch(/^Use a smaller variant of the model\. /);
  });
});

describe('a model that is partly on the CPU', () => {
  const models = [known('llama3.2:70b', 40e9), known('llama3.2:3b', 2e9)];

  it('is warned of, with the smaller variant', () => {
    expect(slowWarning('attic', runner('llama3.2:70b', 40e9, 30e9), models)).toBe(
      'slow: llama3.2:70b runs 25% on the CPU of attic; llama3.2:3b is smaller and on the same box',
    );
    expect(slowWarning('attic', runner('x:1b', 10, 0), [])).toBe(
      'slow: x:1b runs wholly on the CPU of attic; a smaller model would be faster',
    );
  });

  it('is not, when it is wholly in GPU memory or its size unknown', () => {
    expect(slowWarning('attic', runner('llama3.2:70b', 40e9, 40e9), models)).toBeUndefined();
    expect(slowWarning('attic', runner('llama3.2:70b', 0, 0), models)).toBeUndefined();
  });
});

describe('other refusals', () => {
  it('busy: Ollama’s queue is full', () => {
    const body = '{"error":"server busy, please try again.  maximum pending requests exceeded"}';
    expect(isBusy(503, body)).toBe(true);
    expect(isBusy(500, body)).toBe(false);
    expect(isBusy(503, '{"error":"other"}')).toBe(false);
    expect(wordsOf(busyAdvice('attic', messageOf(body) ?? ''))).toContain('attic is busy: server busy, please try again.');
  });

  it('foreign Host or Origin: 403 without a word', () => {
    expect(isForeignHostRefusal(403, '')).toBe(true);
    expect(isForeignHostRefusal(403, '{"error":"ollama cloud is disabled: remote model is unavailable"}')).toBe(false);
    expect(isForeignHostRefusal(401, '')).toBe(false);
  });

  it('clips messages', () => {
    expect(messageOf(`{"error":"${'x'.repeat(10_000)}"}`)).toHaveLength(500);
  });
});

describe.skipIf(!existsSync('../shared/recordings/ollama'))(
  'what Ollama was recorded to say (skipped where ../shared/recordings is not there)',
  () => {
    const recorded = (name: string) => {
      const { status, body } = JSON.parse(readFileSync(`../shared/recordings/ollama/${name}.json`, 'utf8')) as {
        status: number;
        body: { text: string }[];
      };
      return [status, body.map(({ text }) => text).join('')] as const;
    };

    it.each([
      'chat',
      'generate',
      'embed',
      'embeddings',
      'v1-chat',
      'v1-chat-unknown-model-stream',
      'v1-completions',
      'v1-embeddings',
      'v1-responses',
      'anthropic',
    ])('is understood as a missing model: %s', (name) => {
      expect(isModelMissing(...recorded(name.includes('unknown') ? name : `${name}-unknown-model`))).toBe(true);
    });

    it.each(['http-404', 'http-404-v1', 'generate-missing-model', 'v1-model-slash'])('is not: %s', (name) => {
      expect(isModelMissing(...recorded(name))).toBe(false);
    });

    it('is understood as busy, and as a foreign Host or Origin', () => {
      expect(isBusy(...recorded('queue-full-native-chat'))).toBe(true);
      expect(isBusy(...recorded('queue-full-v1-chat'))).toBe(true);
      expect(isBusy(...recorded('queue-full-anthropic'))).toBe(true);
      expect(isForeignHostRefusal(...recorded('host-public'))).toBe(true);
      expect(isForeignHostRefusal(...recorded('cors-post-evil'))).toBe(true);
    });
  },
);
