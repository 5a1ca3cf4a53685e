import OpenAI, { APIError } from 'openai';
import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import { openaiErrorBody, openaiErrorInStream, openaiStream } from '../../../src/protocols/openai.ts';
import { openaiChat } from '../../../src/protocols/openai-chat.ts';
import { openaiResponses } from '../../../src/protocols/openai-responses.ts';
import { bodyTextOf, recordingOf } from '../../support/recordings.ts';

/** The official client, talking to this answer. */
function clientOf(text: string, status: number, contentType: string): OpenAI {
  const fetch = () => Promise.resolve(new Response(text, { status, headers: { 'content-type': contentType } }));
  return new OpenAI({ apiKey: 'k', baseURL: 'http://corral.test/v1', maxRetries: 0, fetch });
}

const messages = [{ role: 'user' as const, content: 'hi' }];

async function failureOf(work: () => Promise<unknown>): Promise<APIError> {
  try {
    await work();
  } catch (thrown) {
    if (thrown instanceof APIError) return thrown;
    throw thrown;
  }
  throw new Error('nothing was thrown');
}

describe('errors', () => {
  it.each([
    ['missing_model', 400, 'invalid_request_error'],
    ['api_key_invalid', 401, 'authentication_error'],
    ['model_not_allowed', 403, 'permission_error'],
    ['model_not_found', 404, 'not_found_error'],
    ['method_not_allowed', 405, 'invalid_request_error'],
    ['body_too_large', 413, 'invalid_request_error'],
    ['internal', 500, 'api_error'],
    ['upstream_refused', 503, 'api_error'],
  ] as const)('%s reaches the client with its message, status %i and type %s', async (code, status, type) => {
    const { text, contentType } = openaiErrorBody(new GatewayError(code, 'what happened, "and" the mend'));
    const error = await failureOf(() => clientOf(text, status, contentType).chat.completions.create({ model: 'm', messages }));
    expect(error.message).toContain('what happened, "and" the mend');
    expect({ status: error.status, type: error.type, code: error.code, param: error.param }).toEqual({
      status,
      type,
      code,
      param: null,
    });
  });

  it('has the shape of Ollama, member by member', () => {
    const { text, contentType } = openaiErrorBody(new GatewayError('model_not_found', "model 'nope' not found"));
    const ollama = recordingOf('v1-chat-unknown-model');
    expect(JSON.parse(text)).toEqual({
      error: { message: "model 'nope' not found", type: 'not_found_error', param: null, code: 'model_not_found' },
    });
    expect(Object.keys(JSON.parse(text).error)).toEqual(Object.keys(JSON.parse(bodyTextOf(ollama)).error));
    expect(contentType).toBe('application/json');
  });
});

describe('errors in streams', () => {
  it('make the client throw after the chunks that came', async () => {
    const begun = bodyTextOf(recordingOf('crash-v1-chat-stream'));
    const end = openaiErrorInStream(new GatewayError('broken_stream', 'box-a broke off'));
    const stream = await clientOf(begun + end, 200, 'text/event-stream').chat.completions.create({
      model: 'm',
      messages,
      stream: true,
    });
    const pieces: string[] = [];
    const error = await failureOf(async () => {
      for await (const chunk of stream) pieces.push(chunk.choices[0]?.delta.content ?? '');
    });
    expect(pieces.slice(0, 3)).toEqual(['was', ' traveling', ' around']);
    expect(error.message).toBe('box-a broke off');
    expect(error.code).toBe('broken_stream');
  });

  it('are read back as a failure', () => {
    const end = openaiErrorInStream(new GatewayError('broken_stream', 'box-a broke off'));
    expect(openaiStream.factsOf(end.slice('data: '.length).trim(), undefined)).toEqual({ failed: 'box-a broke off' });
  });
});

describe('response.failed', () => {
  const error = new GatewayError('broken_stream', 'box-a broke off');
  const begun = bodyTextOf(recordingOf('crash-responses-stream'));
  const seen = { answerId: 'resp_420305', model: 'gemma3:270m', events: 10 };

  it('is taken by the plain stream', async () => {
    const end = openaiResponses.errorInStream(error, 'x1', seen);
    const stream = await clientOf(begun + end, 200, 'text/event-stream').responses.create({
      model: 'm',
      input: 'hi',
      stream: true,
    });
    let last: OpenAI.Responses.ResponseStreamEvent | undefined;
    let events = 0;
    for await (const event of stream) {
      if (events > 0) expect(event.sequence_number).toBe((last?.sequence_number ?? -1) + 1);
      last = event;
      events++;
    }
    expect(last).toMatchObject({
      type: 'response.failed',
      sequence_number: 10,
      response: {
        id: 'resp_420305',
        object: 'response',
        status: 'failed',
        model: 'gemma3:270m',
        output: [],
        error: { code: 'broken_stream', message: 'box-a broke off' },
      },
    });
  });

  it('is taken by the collecting stream, which refuses a foreign id', async () => {
    const collect = async (answerId: string) => {
      const end = openaiResponses.errorInStream(error, 'x1', { ...seen, answerId });
      const stream = clientOf(begun + end, 200, 'text/event-stream').responses.stream({ model: 'm', input: 'hi' });
      return await stream.finalResponse();
    };
    const response = await collect('resp_420305');
    expect(response.status).toBe('failed');
    expect(response.error?.message).toBe('box-a broke off');
    await expect(collect('resp_other')).rejects.toThrow(/identity/);
  });

  it('stands alone when nothing was seen', () => {
    const text = openaiResponses.errorInStream(error, 'x1');
    const data = JSON.parse(text.split('\n')[1]?.slice('data: '.length) ?? '');
    expect(data).toMatchObject({ sequence_number: 0, response: { id: 'resp_x1', model: '' } });
  });

  it('is told from its own stream', () => {
    const text = openaiResponses.errorInStream(error, 'x1', seen);
    const [event, data] = text.split('\n').map((line) => line.slice(line.indexOf(': ') + 2));
    expect(openaiResponses.stream?.factsOf(data ?? '', event)).toMatchObject({
      failed: 'box-a broke off',
      answerId: 'resp_420305',
    });
    expect(openaiResponses.stream?.isTerminator(data ?? '', event)).toBe(true);
  });
});

describe('facts of chunks', () => {
  it.each([
    ['{"model":"m","choices":[{"delta":{"content":"x"}}]}', { model: 'm' }],
    ['{"model":"m","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":12,"total_tokens":31}}', 'usage only'],
    ['{"choices":[{"text":"x"}],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}}', {}],
    [
      '{"choices":[{"delta":{}}],"usage":{"prompt_tokens":5,"completion_tokens":2}}',
      { usage: { inputTokens: 5, outputTokens: 2 } },
    ],
    ['{"choices":[],"usage":null}', {}],
    ['{"choices":[],"usage":{"prompt_tokens":"19"}}', {}],
    ['{"error":"plain text"}', { failed: 'plain text' }],
    ['{"error":{"code":1}}', { failed: 'unknown error' }],
    ['{"error":null}', {}],
    ['[DONE]', {}],
    ['[]', {}],
    ['{"model":', {}],
    ['', {}],
  ])('%s', (data, expected) => {
    const whole = { model: 'm', usage: { inputTokens: 19, outputTokens: 12 }, isUsageOnly: true };
    expect(openaiStream.factsOf(data, undefined)).toEqual(expected === 'usage only' ? whole : expected);
  });

  it('only [DONE] itself ends the stream, not text that says it', () => {
    expect(openaiStream.isTerminator('[DONE]', undefined)).toBe(true);
    expect(openaiStream.isTerminator('{"choices":[{"delta":{"content":"[DONE]"}}]}', undefined)).toBe(false);
    expect(openaiChat.stream).toBe(openaiStream);
  });
});
