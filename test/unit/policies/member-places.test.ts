import { describe, expect, it } from 'vitest';
import type { Protocol } from '../../../src/exchange.ts';
import { compileDefaults, compileOverrides } from '../../../src/policies/member-places.ts';
import { anthropicMessages } from '../../../src/protocols/anthropic-messages.ts';
import { ollamaChat } from '../../../src/protocols/ollama-chat.ts';
import { ollamaEmbed, ollamaEmbeddings } from '../../../src/protocols/ollama-embed.ts';
import { ollamaGenerate } from '../../../src/protocols/ollama-generate.ts';
import { ollamaShow } from '../../../src/protocols/ollama-lists.ts';
import { openaiChat } from '../../../src/protocols/openai-chat.ts';
import { openaiCompletions } from '../../../src/protocols/openai-completions.ts';
import { openaiEmbeddings } from '../../../src/protocols/openai-embeddings.ts';
import { openaiResponses, openaiResponsesCompact } from '../../../src/protocols/openai-responses.ts';
import { bodyTextOf, fakeAttempt } from './fake-exchange.ts';

type Members = Readonly<Record<string, unknown>>;

function textWith(compile: typeof compileOverrides, members: Members, protocol: Protocol, body: string, isBox = true): string {
  const attempt = fakeAttempt({ body, protocol, isBox });
  compile(members)(attempt);
  return bodyTextOf(attempt);
}

const overridden = (members: Members, protocol: Protocol, body: object = {}, isBox = true) =>
  JSON.parse(textWith(compileOverrides, members, protocol, JSON.stringify(body), isBox));
const filled = (members: Members, protocol: Protocol, body: object = {}, isBox = true) =>
  JSON.parse(textWith(compileDefaults, members, protocol, JSON.stringify(body), isBox));

const limits = ['max_tokens', 'max_completion_tokens', 'max_output_tokens', 'num_predict'];

describe("overrides on Ollama's own paths", () => {
  it.each(limits)('a ceiling by the name of %s binds chat and generate', (name) => {
    for (const protocol of [ollamaChat, ollamaGenerate]) {
      expect(overridden({ [name]: 100 }, protocol, { options: { num_predict: -1, top_k: 3 } })).toEqual({
        options: { num_predict: 100, top_k: 3 },
      });
      expect(overridden({ [name]: 100 }, protocol, { model: 'm' })).toEqual({ model: 'm', options: { num_predict: 100 } });
    }
  });

  it('however the client spells options and what is in it', () => {
    const sent =
      '{"OPTIONS":{"num_predict":9000},"options":{"Num_Predict":-1,"num_predict":-1,"num_predict":5000},"Max_Tokens":7}';
    expect(textWith(compileOverrides, { max_tokens: 100 }, ollamaChat, sent)).toBe('{"options":{"num_predict":100}}');
    expect(textWith(compileOverrides, { MAX_TOKENS: 100 }, ollamaChat, '{"options":{}}')).toBe('{"options":{"num_predict":100}}');
  });

  it('where options is no object there is one then', () => {
    for (const options of [null, 5, 'x', []])
      expect(overridden({ temperature: 0 }, ollamaChat, { options })).toEqual({ options: { temperature: 0 } });
  });

  it('parameters go to options, the rest stays beside it', () => {
    const options = {
      temperature: 0.2,
      top_p: 0.9,
      top_k: 40,
      min_p: 0.1,
      seed: 7,
      presence_penalty: 1,
      frequency_penalty: 2,
      repeat_penalty: 1.1,
      repeat_last_n: 64,
      num_ctx: 4096,
    };
    const beside = { keep_alive: '5m', think: false, format: 'json', truncate: true, newcomer: 1 };
    expect(overridden({ ...options, ...beside }, ollamaChat, { temperature: 1, think: true })).toEqual({ ...beside, options });
  });

  it('a single stop becomes a list', () => {
    expect(overridden({ stop: 'END' }, ollamaChat)).toEqual({ options: { stop: ['END'] } });
    expect(overridden({ stop: ['a', 'b'] }, ollamaChat)).toEqual({ options: { stop: ['a', 'b'] } });
  });

  it('options are merged member by member; no object replaces them', () => {
    const sent = { options: { num_predict: 9, seed: 1 } };
    expect(overridden({ options: { num_predict: 5, num_ctx: 2048 } }, ollamaChat, sent)).toEqual({
      options: { num_predict: 5, seed: 1, num_ctx: 2048 },
    });
    expect(overridden({ options: null }, ollamaChat, sent)).toEqual({ options: null });
  });

  it('of several names for one thing the last counts', () => {
    expect(overridden({ max_tokens: 1, options: { num_predict: 2 } }, ollamaChat)).toEqual({ options: { num_predict: 2 } });
    expect(overridden({ options: { num_predict: 2 }, max_tokens: 1 }, ollamaChat)).toEqual({ options: { num_predict: 1 } });
  });

  it('the rest stays letter by letter', () => {
    const sent = '{ "model" : "m", "options" : { "seed" : 12345678901234567890,  "x":1.0 } }';
    expect(textWith(compileOverrides, { max_tokens: 5 }, ollamaChat, sent)).toBe(
      '{ "model" : "m", "options" : { "seed" : 12345678901234567890,  "x":1.0,"num_predict":5 } }',
    );
  });

  it('they are the same in front of a server that is not known to be a box: its path says what it is', () => {
    expect(overridden({ max_tokens: 5 }, ollamaChat, {}, false)).toEqual({ options: { num_predict: 5 } });
  });
});

describe("defaults on Ollama's own paths", () => {
  it('fill in what is missing, and only that', () => {
    const members = { temperature: 0.5, max_tokens: 100, options: { num_ctx: 4096 }, keep_alive: '1h' };
    expect(filled(members, ollamaChat, { options: { temperature: 1 } })).toEqual({
      keep_alive: '1h',
      options: { temperature: 1, num_predict: 100, num_ctx: 4096 },
    });
    expect(filled(members, ollamaGenerate)).toEqual({
      keep_alive: '1h',
      options: { temperature: 0.5, num_predict: 100, num_ctx: 4096 },
    });
  });

  it('count what was sent by any of its names, and null', () => {
    for (const body of [
      { options: { num_predict: 1 } },
      { options: { NUM_PREDICT: null } },
      { max_tokens: 1 },
      { Max_Completion_Tokens: 1 },
    ])
      expect(filled({ max_output_tokens: 100 }, ollamaChat, body)).toEqual(body);
    expect(filled({ temperature: 0.5 }, ollamaChat, { temperature: 1 })).toEqual({ temperature: 1 });
  });
});

describe('on the other paths of a box', () => {
  it.each([
    [openaiChat, 'max_tokens'],
    [openaiCompletions, 'max_tokens'],
    [anthropicMessages, 'max_tokens'],
    [openaiResponses, 'max_output_tokens'],
    [openaiResponsesCompact, 'max_output_tokens'],
  ])('a ceiling has the name that %o knows: %s', (protocol, own) => {
    for (const name of limits) {
      const sent = { max_tokens: 9, max_completion_tokens: 9, max_output_tokens: 9 };
      expect(overridden({ [name]: 5 }, protocol, sent)).toEqual({ [own]: 5 });
      expect(filled({ [name]: 5 }, protocol)).toEqual({ [own]: 5 });
      expect(filled({ [name]: 5 }, protocol, { max_completion_tokens: 7 })).toEqual({ max_completion_tokens: 7 });
    }
  });

  it('everything else is set as it is written', () => {
    const members = { temperature: 0, num_ctx: 4096, keep_alive: 0, think: false, options: { num_ctx: 1 } };
    expect(overridden(members, openaiChat, { options: { seed: 1 } })).toEqual(members);
    expect(filled(members, openaiResponses, { options: {} })).toEqual({ ...members, options: {} });
  });

  it('embeddings get nothing that steers the writing of text', () => {
    const members = {
      max_tokens: 5,
      temperature: 0,
      num_ctx: 4096,
      think: false,
      format: 'json',
      keep_alive: '1h',
      dimensions: 8,
    };
    for (const protocol of [ollamaEmbed, ollamaEmbeddings, openaiEmbeddings]) {
      expect(overridden({ ...members, truncate: false, options: { num_ctx: 1 } }, protocol, { input: 'x' })).toEqual({
        input: 'x',
        keep_alive: '1h',
        dimensions: 8,
        truncate: false,
        options: { num_ctx: 1 },
      });
    }
    expect(overridden({ max_tokens: 5 }, ollamaShow, { model: 'm' })).toEqual({ model: 'm' });
  });
});

describe('on servers that are no Ollama', () => {
  it.each([openaiChat, openaiResponses, anthropicMessages, openaiEmbeddings])(
    '%o: by the name in the configuration',
    (protocol) => {
      const sent = { max_completion_tokens: 9, max_output_tokens: 9, options: { x: 1 } };
      const members = { max_tokens: 5, num_predict: 6, temperature: 0, stop: 'x', options: { y: 1 } };
      expect(overridden(members, protocol, sent, false)).toEqual({ ...sent, ...members });
      expect(filled(members, protocol, sent, false)).toEqual({ ...members, ...sent });
    },
  );
});
