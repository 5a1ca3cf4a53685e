/** An error becomes a response: in the client's protocol where the path belongs to one, in plain text elsewhere (decision 4). */
import { ClientGone } from '../backends/send.ts';
import { gatewayErrorOf } from '../errors.ts';
import type { Exchange, Protocol } from '../exchange.ts';
import { untypedStream } from '../http/untyped-body.ts';
import { anthropicMessages } from '../protocols/anthropic-messages.ts';
import { verdictOf } from '../protocols/index.ts';

export function respondToError(exchange: Exchange, thrown: unknown): Response {
  if (thrown instanceof ClientGone) {
    exchange.outcome = 'abandoned';
    // Nobody reads this; 499 is what the log shows for a client that left.
    return new Response(null, { status: 499 });
  }
  const error = gatewayErrorOf(thrown);
  exchange.error = error;
  const protocol = clientProtocolOf(exchange);
  const { contentType, text } = error.verbatim ?? protocol?.errorBody(error, exchange.id) ?? plainErrorBody(error.message);
  const bytes = new TextEncoder().encode(text);
  if (exchange.method !== 'HEAD') exchange.answerBytes = bytes.length;
  const isTyped = contentType !== undefined || error.headers?.['content-type'] !== undefined;
  return new Response(exchange.method === 'HEAD' ? null : isTyped ? bytes : untypedStream(bytes), {
    status: error.status,
    headers: {
      ...(contentType === undefined ? {} : { 'content-type': contentType }),
      ...exchange.answerHeaders,
      ...error.headers,
    },
  });
}

/** `/v1/models` is OpenAI's and Anthropic's at once; the client's header tells which. */
function clientProtocolOf(exchange: Exchange): Protocol | undefined {
  const protocol = exchange.protocol ?? protocolOfPath(exchange);
  const isShared = protocol?.family === 'openai' && (protocol.kind === 'list' || protocol.kind === 'show');
  return isShared && exchange.headers.has('anthropic-version') ? anthropicMessages : protocol;
}

/** The protocol that a path belongs to by itself: also for requests that never came as far as a route. */
function protocolOfPath({ method, path }: Exchange): Protocol | undefined {
  const verdict = verdictOf(method, path);
  return 'protocol' in verdict ? verdict.protocol : undefined;
}

function plainErrorBody(message: string): { contentType: string; text: string } {
  return { contentType: 'text/plain; charset=utf-8', text: message };
}
