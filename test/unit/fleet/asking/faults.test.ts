import { describe, expect, test } from 'vitest';
import { faultOf } from '../../../../src/fleet/asking/faults.ts';

const native = (message: string) => JSON.stringify({ error: message });
const openai = (message: string) => JSON.stringify({ error: { message, type: 'api_error', param: null, code: null } });

/** Whether another box may be asked, and whether the box is to blame. */
const verdict = (status: number, text: string) => {
  const { mayMoveOn, isOfBox } = faultOf(status, text);
  return [mayMoveOn, isOfBox];
};

describe('what a refusal means', () => {
  test.each([
    ['a crash', 500, native('an error was encountered while running the model: unexpected EOF'), [true, true]],
    ['a crash on /v1', 500, openai('an error was encountered while running the model: unexpected EOF'), [true, true]],
    ['a runner that ended', 500, native('llama runner process has terminated: exit status 2'), [true, true]],
    ['a load that took too long', 500, native('timed out waiting for llama runner to start'), [true, true]],
    ['no memory', 500, native('model requires more system memory (5.3 GiB) than is available (3.9 GiB)'), [true, true]],
    ['a full queue', 503, native('server busy, please try again.  maximum pending requests exceeded'), [true, false]],
    ['a full queue on /v1', 503, openai('server busy, please try again.  maximum pending requests exceeded'), [true, false]],
    ['a tunnel without its box', 502, '<html>bad gateway</html>', [true, true]],
    ['a proxy', 504, '', [true, true]],
    ['500 without a word', 500, '', [true, true]],
    ['500 for another reason', 500, native('something new'), [true, false]],
    ['an option of the wrong type', 500, native('option "temperature" must be of type float32'), [false, false]],
    ['a format', 500, native('invalid format: "yaml"; expected "json" or a valid JSON Schema object'), [false, false]],
    ['no embedding model', 501, native('This server does not support embeddings. Start it with `--embeddings`'), [false, false]],
    ['a missing model', 404, native("model 'x' not found"), [true, false]],
    ['another 404', 404, '404 page not found', [false, false]],
    ['a bad request', 400, native('missing request body'), [false, false]],
    ['a foreign Host', 403, '', [true, true]],
    ['403 for another reason', 403, native('no'), [false, false]],
    ['a tunnel that gave up', 524, 'error code: 524', [true, true]],
    ['a tunnel that is not connected', 530, 'error code: 1033', [true, true]],
    ["a page of ngrok's", 404, '<html>ERR_NGROK_3200</html>', [true, true]],
    [
      'the queue of a relay',
      503,
      native('desk had no slot for x within 300 s (fleet.queue.maxWait): try again later'),
      [true, false],
    ],
    [
      'a relay with another secret',
      401,
      native('this Corral relay refuses the request of the Corral in front: it was signed'),
      [true, true],
    ],
    ['401 for another reason', 401, native('no'), [false, false]],
  ] as const)('%s', (_, status, text, expected) => {
    expect(verdict(status, text)).toEqual(expected);
  });
});
