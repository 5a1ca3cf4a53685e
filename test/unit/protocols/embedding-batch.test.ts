/** Batches taken apart and put together, by what real boxes have answered. */
import { describe, expect, it } from 'vitest';
import type { Call, Protocol } from '../../../src/exchange.ts';
import { readObject } from '../../../src/json/read-object.ts';
import { createJoinedAnswers, inputsOf } from '../../../src/protocols/embedding-batch.ts';
import { ollamaEmbed, ollamaEmbeddings } from '../../../src/protocols/ollama-embed.ts';
import { openaiEmbeddings } from '../../../src/protocols/openai-embeddings.ts';
import { bodyTextOf, recordingOf } from '../../support/recordings.ts';

function callOf(protocol: Protocol, json: string): Call {
  const bytes = new TextEncoder().encode(json);
  const body = readObject(bytes);
  return { protocol, body, bytes, model: 'm', ...protocol.readCall(body) };
}
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** The answers that two calls with one of the recorded inputs each would have had. */
function halvesOf(
  name: string,
  list: string,
  counts: Readonly<Record<string, readonly [number, number]>>,
): readonly [string, string] {
  const whole = bodyTextOf(recordingOf(name));
  const [, before = '', first = '', second = '', after = ''] =
    new RegExp(`^(.*"${list}":\\[)(\\{.*?\\}|\\[[^\\]]*\\]),(\\{.*?\\}|\\[[^\\]]*\\])(\\].*)$`, 's').exec(whole) ?? [];
  const half = (item: string, at: 0 | 1) => {
    let rest = after;
    for (const [count, both] of Object.entries(counts))
      rest = rest.replace(new RegExp(`"${count}":\\d+`), `"${count}":${both[at]}`);
    return before + item.replace('"index":1', '"index":0') + rest;
  };
  return [half(first, 0), half(second, 1)];
}

describe('answers put together', () => {
  it('/v1/embeddings: byte by byte what the box itself has answered to the whole', () => {
    const whole = bodyTextOf(recordingOf('v1-embeddings-array'));
    const tokens = JSON.parse(whole).usage.prompt_tokens;
    const [first, second] = halvesOf('v1-embeddings-array', 'data', {
      prompt_tokens: [3, tokens - 3],
      total_tokens: [3, tokens - 3],
    });
    expect(JSON.parse(second).data).toHaveLength(1);
    const joined = createJoinedAnswers(openaiEmbeddings);
    // The second one comes first.
    joined.add(1, second, 1, 1);
    joined.add(0, first, 0, 1);
    expect(textOf(joined.bytes(5))).toBe(whole);
  });

  it('/api/embed: the same, but for the times', () => {
    const whole = bodyTextOf(recordingOf('embed-array'));
    const { prompt_eval_count: tokens, load_duration: loadNs } = JSON.parse(whole);
    const [first, second] = halvesOf('embed-array', 'embeddings', {
      prompt_eval_count: [1, tokens - 1],
      load_duration: [loadNs - 1, loadNs],
    });
    const joined = createJoinedAnswers(ollamaEmbed);
    joined.add(0, first, 0, 1);
    joined.add(1, second, 1, 1);
    expect(textOf(joined.bytes(7))).toBe(whole.replace(/"total_duration":\d+/, '"total_duration":7000000'));
  });

  it('counts that the first part leaves out, because they are 0 there', () => {
    const joined = createJoinedAnswers(ollamaEmbed);
    joined.add(0, '{"model":"m","embeddings":[[1]]}', 0, 1);
    joined.add(1, '{"model":"m","embeddings":[[2]],"prompt_eval_count":4}', 1, 1);
    expect(textOf(joined.bytes(7))).toBe('{"model":"m","embeddings":[[1],[2]],"prompt_eval_count":4}');
  });

  it.each(['', 'null', '[]', '{"data":[{"embedding":[1],"index":0}', '{"data":{}}', '{"data":[7]}', '{"data":[]}'])(
    'what is none is refused: %s',
    (text) => {
      expect(() => createJoinedAnswers(openaiEmbeddings).add(0, text, 0, 1)).toThrow('cannot be read');
    },
  );
});

describe('calls taken apart', () => {
  it('the member that counts is split, and the ones that lose are gone', () => {
    const call = callOf(openaiEmbeddings, '{"input":"loses","model":"m","INPUT":["a",\n "b"],"x":1.0}');
    const inputs = inputsOf(call, 1);
    expect(inputs?.count).toBe(2);
    expect(textOf(inputs?.callOf(1, 2).bytes ?? new Uint8Array())).toBe('{"model":"m","input":["b"],"x":1.0}');
  });

  it.each([
    ['exactly as many as fit', openaiEmbeddings, '{"input":["a","b"]}', 2],
    ['no list', openaiEmbeddings, '{"input":"[1,2,3]"}', 1],
    ['tokens', ollamaEmbed, '{"input":[[1],[2],[3]]}', 1],
    ['nothing', ollamaEmbed, '{}', 1],
    ['the older path', ollamaEmbeddings, '{"input":["a","b"],"prompt":"x"}', 1],
  ])('%s: not split', (_, protocol, json, maxBatch) => {
    expect(inputsOf(callOf(protocol, json), maxBatch)).toBeUndefined();
  });
});
