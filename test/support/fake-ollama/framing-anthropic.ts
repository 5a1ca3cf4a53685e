import { responsesStreamHeaders } from './framing-responses.ts';
import { type Framing, type Generation, namedEvent, type StreamFraming, textOf } from './generation.ts';
import { goJson } from './go-json.ts';

function hexId(prefix: string, serial: number): string {
  return `${prefix}_${serial.toString(16).padStart(24, '0')}`;
}

function stopReason(generation: Generation): string {
  return generation.finish === 'length' ? 'max_tokens' : 'end_turn';
}

/** POST /v1/messages. */
export const messagesFraming: Framing = {
  wholeHeaders: { 'Content-Type': 'application/json' },
  whole(generation) {
    const text = textOf(generation);
    return `${goJson({
      id: hexId('msg', generation.serial),
      type: 'message',
      role: 'assistant',
      model: generation.model,
      content: text === '' ? null : [{ type: 'text', text }],
      stop_reason: stopReason(generation),
      usage: { input_tokens: generation.promptTokens, output_tokens: generation.tokens.length },
    })}\n`;
  },
  stream(generation): StreamFraming {
    const event = (type: string, members: Record<string, unknown>) => namedEvent(type, { type, ...members });
    const said = generation.tokens.length > 0;
    const start = event('message_start', {
      message: {
        id: hexId('msg', generation.serial),
        type: 'message',
        role: 'assistant',
        model: generation.model,
        content: [],
        // An estimate: the true figure comes with message_delta.
        usage: { input_tokens: said ? 11 : generation.promptTokens, output_tokens: 0 },
      },
    });
    const usage = { input_tokens: generation.promptTokens, output_tokens: generation.tokens.length };
    return {
      headers: responsesStreamHeaders,
      open: said ? [start, event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } })] : [start],
      tokens: generation.tokens.map((text) => event('content_block_delta', { index: 0, delta: { type: 'text_delta', text } })),
      close: [
        ...(said ? [event('content_block_stop', { index: 0 })] : []),
        event('message_delta', { delta: { stop_reason: stopReason(generation) }, usage }),
        event('message_stop', {}),
      ],
      crash: [],
    };
  },
};

const types: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  529: 'overloaded_error',
};

/** Anthropic's error shape as Ollama fills it. */
export function anthropicError(status: number, message: string, serial: number): string {
  return goJson({ type: 'error', error: { type: types[status] ?? 'api_error', message }, request_id: hexId('req', serial) });
}
