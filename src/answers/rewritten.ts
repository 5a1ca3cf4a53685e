/**
 * Answers that are changed on their way, by a translation or a guard, or read by a policy around the route. The tap watches the
 * upstream's own bytes; what comes out of it passes the rewrites in their order. Streams stay streams: nothing is read that the
 * client does not take, and each rewrite says itself how much it holds back.
 */
import { type Answered, ClientGone } from '../backends/send.ts';
import { GatewayError, gatewayErrorOf } from '../errors.ts';
import {
  type Attempt,
  type Call,
  type Exchange,
  type Outcome,
  onGone,
  type RewrittenAnswer,
  type StreamRewrite,
} from '../exchange.ts';
import type { TapReport } from '../streams/tap.ts';
import { completionReaderOf, readBehind } from './completion.ts';
import { heartbeatOf } from './heartbeats.ts';
import { plainBytes } from './plain-bytes.ts';
import { type Beats, rewrittenStream } from './rewritten-stream.ts';
import type { AnswerTools } from './tools.ts';
import { type Ended, headerText, noteTruncation, truncationAside } from './truncation.ts';
import { isEventStream, settle, tapFor, type Watch, watchAnswer } from './watch.ts';

interface Rewriting {
  readonly attempt: Attempt;
  readonly answered: Answered;
  readonly ended: Ended;
  /** As the box was asked for it. */
  readonly model?: string | undefined;
}

/** False: its bytes may pass as they come, by the shortest way. */
export function mustBeRewritten({ exchange, rewrites }: Attempt): boolean {
  return exchange.answerIsRead || (rewrites !== undefined && rewrites.length > 0);
}

export function relayRewritten(
  exchange: Exchange,
  call: Call | undefined,
  { attempt, answered, ended, model }: Rewriting,
  tools: AnswerTools,
): Response | Promise<Response> {
  const { headers } = answered.response;
  const rewrites = attempt.rewrites ?? [];
  const isStream = isEventStream(attempt.protocol, headers);
  const source = plainBytes(answered.response, attempt.upstream.name);
  const watch = watchAnswer(attempt.upstream, answered, tools, model);
  if (rewrites.length > 0 && !isStream) return relayWhole(exchange, call, { attempt, answered, ended }, source, watch, tools);
  const streams = rewrites.map((rewrite) => rewrite.stream()).filter((stream) => stream !== undefined);
  return relayStream(exchange, call, { attempt, answered, ended }, source, streams, watch, tools);
}

function relayStream(
  exchange: Exchange,
  call: Call | undefined,
  { attempt, answered, ended }: Rewriting,
  source: ReadableStream<Uint8Array>,
  rewrites: readonly StreamRewrite[],
  watch: Watch,
  tools: AnswerTools,
): Response {
  const { status, headers } = answered.response;
  exchange.isRelayed = true;
  let hasLeft = false;
  if (exchange.answerIsRead) {
    // A policy may read it to its end before the client gets any of it: nobody else would notice that the client has gone.
    onGone(exchange, () => {
      hasLeft = true;
      // What breaks off for that says nothing of the box.
      watch.lease?.end({ how: 'abandoned' });
      answered.abort(new ClientGone());
    });
  }
  const aside = truncationAside(exchange, ended, tools);
  let comment: Uint8Array | undefined;
  let verdict: { readonly outcome: Outcome; readonly error: GatewayError | undefined } | undefined;
  const onReport = (report: TapReport) => {
    watch.stop();
    if (report.how === 'abandoned') answered.abort(new GatewayError('upstream_closed', 'the answer was given up'));
    settle(exchange, report, watch.death);
    noteTruncation(exchange, ended, tools);
    if (hasLeft && report.how === 'broken') {
      exchange.outcome = 'abandoned';
      exchange.error = undefined;
    }
    if (verdict !== undefined) {
      exchange.outcome = verdict.outcome;
      exchange.error = verdict.error;
    }
    tools.exchanges.end(exchange);
  };
  // It is for the client and passes no rewrite: put in where the end of the answer comes out.
  const keepComment = (report: TapReport) => {
    comment = aside?.(report);
    return undefined;
  };
  const tap = tapFor(exchange, call, attempt.protocol, headers, watch, onReport, aside && keepComment);
  // Before a rewrite says what its own words are: these headers still tell what the upstream sends.
  const beats = beatsFor(exchange, isEventStream(attempt.protocol, headers), tools);
  if (rewrites.length > 0) headers.delete('content-length');
  const type = rewrites.findLast(({ contentType }) => contentType !== undefined)?.contentType;
  if (type !== undefined) headers.set('content-type', type);
  const reader = completionReaderOf(exchange, headers);
  const body = rewrittenStream({
    source,
    tap,
    rewrites: reader === undefined ? rewrites : [...rewrites, readBehind(reader)],
    runtime: tools.platform.runtime,
    clock: exchange.clock,
    beats,
    takeAside() {
      const taken = comment;
      comment = undefined;
      return taken;
    },
    onGivenUp() {
      // A rewrite that ended the stream has left the reason in the exchange, if it refused it.
      const { error } = exchange;
      verdict = { outcome: error === undefined ? 'completed' : error.status < 500 ? 'refused' : 'failed', error };
    },
    onFault(thrown) {
      const error = gatewayErrorOf(thrown);
      exchange.error = error;
      // A translation that gives up ends its stream itself: it knows what the client has seen of it.
      if (error.code === 'unreadable_answer' && error.verbatim !== undefined) return error.verbatim.text;
      return exchange.protocol?.errorInStream(error, exchange.id) ?? '';
    },
  });
  return new Response(body as ReadableStream<Uint8Array<ArrayBuffer>>, { status, headers });
}

/** Measured where the client sees it: a rewrite may hold back for long what the upstream sends all the time. */
function beatsFor(exchange: Exchange, isStream: boolean, { idle, limits }: AnswerTools): Beats | undefined {
  const { protocol } = exchange;
  if (!isStream || protocol?.stream === undefined || protocol.heartbeat === undefined) return undefined;
  return {
    framing: protocol.stream.framing,
    everyMs: limits.fleet.loads.heartbeat,
    watch: idle.watch(),
    beat: () => heartbeatOf(exchange),
  };
}

/** Read to its end, within the limit of bodies; a rewrite then gets the text, and what it refuses is still an ordinary error. */
async function relayWhole(
  exchange: Exchange,
  call: Call | undefined,
  { attempt, answered, ended }: Rewriting,
  source: ReadableStream<Uint8Array>,
  watch: Watch,
  tools: AnswerTools,
): Promise<Response> {
  const { status, headers } = answered.response;
  let report: TapReport | undefined;
  const tap = tapFor(exchange, call, attempt.protocol, headers, watch, (told) => {
    report = told;
  });
  let hasLeft = false;
  onGone(exchange, () => {
    hasLeft = true;
    watch.lease?.end({ how: 'abandoned' });
    answered.abort(new ClientGone());
  });
  const chunks: string[] = [];
  const decoder = new TextDecoder();
  const reader = source.getReader();
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      bytes += value.length;
      if (bytes > tools.limits.maxBodyBytes) throw tooLarge(attempt, tools.limits.maxBodyBytes);
      chunks.push(decoder.decode(tap.push(value), { stream: true }));
    }
    tap.end();
  } catch (thrown) {
    reader.cancel().catch(() => undefined);
    answered.abort(thrown);
    const isTooLarge = thrown instanceof GatewayError && thrown.code === 'answer_too_large';
    if (!isTooLarge) watch.lease?.end({ how: 'broken' });
    tap.gone();
    if (hasLeft || thrown instanceof ClientGone) throw new ClientGone();
    const { death = `${attempt.upstream.name} broke off in the middle of its answer` } = watch;
    throw thrown instanceof GatewayError && thrown.code === 'answer_too_large'
      ? thrown
      : new GatewayError('upstream_closed', death, { cause: thrown });
  } finally {
    watch.stop();
  }
  if (report !== undefined) settle(exchange, report, watch.death);
  const warning = noteTruncation(exchange, ended, tools);
  if (warning !== undefined) headers.append('x-corral-warning', headerText(warning));
  if (report?.how === 'broken') throw exchange.error ?? new GatewayError('broken_stream', 'the answer is not whole');
  chunks.push(decoder.decode());
  try {
    const answer = await rewriteWhole(chunks.join(''), status, attempt);
    noteWhole(exchange, answer.text, headers);
    return respond(answer, headers);
  } catch (thrown) {
    // What became of the exchange is decided by the error from here on.
    exchange.outcome = undefined;
    throw thrown;
  }
}

async function rewriteWhole(text: string, status: number, { rewrites = [] }: Attempt): Promise<Required<RewrittenAnswer>> {
  let answer = { text, status, contentType: '', headers: {} };
  for (const rewrite of rewrites) {
    const rewriting = rewrite.whole(answer.text, answer.status);
    const rewritten = rewriting instanceof Promise ? await rewriting : rewriting;
    answer = { ...answer, ...rewritten, headers: { ...answer.headers, ...rewritten.headers } };
  }
  return answer;
}

function noteWhole(exchange: Exchange, text: string, headers: Headers): void {
  const reader = completionReaderOf(exchange, headers);
  reader?.take(new TextEncoder().encode(text));
  reader?.end();
}

/** These speak of the bytes that the upstream sent. */
const ofTheBytes = ['etag', 'content-md5', 'content-digest', 'repr-digest', 'digest', 'accept-ranges', 'transfer-encoding'];

function respond({ text, status, contentType, headers: added }: Required<RewrittenAnswer>, headers: Headers): Response {
  const bytes = new TextEncoder().encode(text);
  for (const name of ofTheBytes) headers.delete(name);
  if (contentType !== '') headers.set('content-type', contentType);
  for (const name in added) headers.set(name, added[name] ?? '');
  headers.set('content-length', String(bytes.length));
  return new Response(bytes, { status, headers });
}

function tooLarge({ upstream }: Attempt, maxBytes: number): GatewayError {
  return new GatewayError(
    'answer_too_large',
    `the answer of ${upstream.name} is larger than ${maxBytes} bytes, more than can be looked through; fleet.maxBodyBytes sets this limit`,
  );
}
