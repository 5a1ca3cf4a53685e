import { describe, expect, test } from 'vitest';
import { FrameBoundary } from '../../../src/streams/heartbeat.ts';

const encoder = new TextEncoder();

describe('where frames end', () => {
  const between = (framing: 'sse' | 'ndjson', chunks: readonly string[]) => {
    const boundary = new FrameBoundary(framing);
    const pushed = chunks.map((chunk) => {
      boundary.push(encoder.encode(chunk));
      return boundary.isBetweenFrames;
    });
    return [true, ...pushed];
  };

  test('events end with a blank line, in any pieces', () => {
    expect(between('sse', ['data: 1\n\n', 'data: 2', '\n', '\n', 'event: x\ndata: 3\n\ndata: 4\n\n', 'da'])).toEqual([
      true,
      true,
      false,
      false,
      true,
      true,
      false,
    ]);
    expect(between('sse', ['data: 1\r\n\r\n', 'data: 2\r\n', '\r\n'])).toEqual([true, true, false, true]);
  });

  test('lines end with their line end', () => {
    expect(between('ndjson', ['{"a":1}\n', '{"a"', ':2}\n{"a":3}\n', '{'])).toEqual([true, true, false, true, false]);
  });

  test('no bytes change nothing', () => {
    expect(between('ndjson', ['{', '', '}\n', ''])).toEqual([true, false, false, true, true]);
  });
});
