/** Errors of upstreams, understood in whatever shape they come, and told in the client's. */
import { parseValue } from '../../json/parse.ts';
import { type JsonRecord, recordOf, textOf } from '../answer-text.ts';
import { anthropicErrorType } from '../anthropic.ts';
import { openaiErrorType } from '../openai.ts';
import type { UpstreamError } from './answer-parts.ts';

/** What is no JSON is cut: a proxy's page of HTML helps nobody. */
const maxTextLength = 1000;

/**
 * An error answer's body: OpenAI's `{"error": {…}}`, a bare text there, FastAPI's `detail`, Google's list of one, Anthropic's. What
 * has none of these shapes is its own message.
 */
export function readError(text: string, status: number): UpstreamError {
  const found = errorIn(parsed(text));
  if (found !== undefined) return found;
  const words = text.replace(/\s+/g, ' ').trim().slice(0, maxTextLength);
  const isPage = /^<(?:!doctype|html)/i.test(words);
  const message = words === '' || isPage ? `the upstream answered ${status}` : words;
  return { message, type: undefined, code: undefined, param: undefined };
}

/** The error in this JSON value; undefined when there is none. */
export function errorIn(value: unknown): UpstreamError | undefined {
  const outer = recordOf(Array.isArray(value) ? value[0] : value);
  if (outer === undefined) return undefined;
  if (typeof outer.error === 'string') return plainError(outer.error);
  const error = recordOf(outer.error) ?? (outer.object === 'error' || outer.type === 'error' ? outer : undefined);
  if (error !== undefined) return described(error);
  const detail = textOf(outer.detail) ?? textOf(outer.message);
  if (detail !== undefined && outer.choices === undefined && outer.content === undefined) return plainError(detail);
  return undefined;
}

function described(error: JsonRecord): UpstreamError {
  const { code } = error;
  const given = typeof code === 'string' || typeof code === 'number' ? code : textOf(recordOf(error.details)?.error_code);
  return {
    message: textOf(error.message) ?? 'unknown error',
    type: textOf(error.type) ?? textOf(error.status),
    code: given,
    param: textOf(error.param),
  };
}

function plainError(message: string): UpstreamError {
  return { message, type: undefined, code: undefined, param: undefined };
}

function parsed(text: string): unknown {
  try {
    return parseValue(text);
  } catch {
    return undefined;
  }
}

/** Statuses by the words that servers use in streams, where there is no status any more. */
const statusByWord: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  context_length_exceeded: 400,
  authentication_error: 401,
  invalid_api_key: 401,
  insufficient_quota: 429,
  permission_error: 403,
  not_found_error: 404,
  model_not_found: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  rate_limit_exceeded: 429,
  overloaded_error: 529,
  server_error: 500,
  api_error: 500,
};

/** The status that an error without one stands for. */
export function statusOf({ type, code }: UpstreamError): number {
  const number = typeof code === 'number' ? code : undefined;
  if (number !== undefined && number >= 400 && number < 600) return number;
  return statusByWord[type ?? ''] ?? statusByWord[code ?? ''] ?? 500;
}

/** `{"type":"error",…}`. Without a status it is the one that the error stands for. */
export function messagesErrorText(error: UpstreamError, status: number | undefined): string {
  const details = error.code === undefined ? {} : { details: { error_code: String(error.code) } };
  const body = { type: anthropicErrorType(status ?? statusOf(error)), message: error.message, ...details };
  return JSON.stringify({ type: 'error', error: body });
}

/** `{"error":{…}}`. */
export function openaiErrorText(error: UpstreamError, status: number | undefined): string {
  const { message, param = null, code = null } = error;
  return JSON.stringify({ error: { message, type: openaiErrorType(status ?? statusOf(error)), param, code } });
}

/** What Corral itself finds wrong with a stream. */
export function ownError(message: string): UpstreamError {
  return { message, type: 'api_error', code: 'broken_stream', param: undefined };
}
