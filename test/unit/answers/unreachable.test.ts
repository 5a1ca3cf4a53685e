import { describe, expect, test } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import { createStage } from './stage.ts';
import { boxes, chat, stageOf } from './words.ts';

describe('nobody answers', () => {
  test('each box once, by name, with the mend', async () => {
    const stage = stageOf(boxes(['a', 'b'], { route: '{ retry: { attempts: 3, codes: [503] } }' }), {
      a: new GatewayError('upstream_refused', 'refused'),
    });
    const { status, text } = await stage.read('/v1/chat/completions', chat('m'));
    expect(status).toBe(503);
    const { message } = JSON.parse(text).error;
    expect(message.match(/a refused the connection/g)).toHaveLength(1);
    expect(message.match(/b was not found/g)).toHaveLength(1);
    expect(message).not.toContain('http://');
  });

  test('of several failures of one box the first is told', async () => {
    const failures = [new GatewayError('upstream_refused', 'refused'), new GatewayError('upstream_closed', 'closed')];
    const stage = createStage(boxes(['a'], { route: '{ retry: { codes: [503] } }' }), {
      script: () => failures.shift() ?? 'never',
    });
    const { text } = await stage.read('/v1/chat/completions', chat('m'));
    expect(JSON.parse(text).error.message).toMatch(/^a refused the connection/);
  });

  test('another host is told in fewer words', async () => {
    const { text } = await stageOf(boxes(['{ host: "a:1" }']), {
      a: new GatewayError('upstream_refused', 'connection refused'),
    }).read('/x');
    expect(text).toBe('a:1: connection refused');
  });

  test('at most four are told of', async () => {
    const stage = stageOf(boxes(['a', 'b', 'c', 'd', 'e']));
    const { text } = await stage.read('/v1/chat/completions', chat('m'));
    expect(JSON.parse(text).error.message.match(/was not found/g)).toHaveLength(4);
  });
});
