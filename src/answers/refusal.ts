/** A box said no. Its words pass as they came; where Corral knows the mend, it is added to them. */
import type { Refusal } from '../backends/attempts.ts';
import type { Candidate } from '../backends/target.ts';
import { type ErrorCode, GatewayError } from '../errors.ts';
import type { Exchange, KnownModel, Upstream } from '../exchange.ts';
import {
  type Advice,
  busyAdvice,
  foreignHostAdvice,
  isBusy,
  isForeignHostRefusal,
  isModelMissing,
  isOutOfMemory,
  messageOf,
  missingModelAdvice,
  outOfMemoryAdvice,
  wordsOf,
} from '../fleet/asking/advice.ts';
import { isRelayRefusal, relayRefusalAdvice } from '../fleet/asking/leg-trouble.ts';
import { tunnelFault } from '../fleet/asking/tunnels.ts';
import type { LoadFailed } from '../fleet/loads/load-answer.ts';
import { tellBox } from './placed.ts';
import { addWarnings } from './relay.ts';
import type { AnswerTools } from './tools.ts';
import { contextRefusal } from './truncation.ts';
import { failuresOf } from './unreachable.ts';
import { visibilityOf } from './visible-models.ts';

/** `asked`: everybody who might have served it; what they have is named when the model is missing. */
export function respondWithRefusal(
  exchange: Exchange,
  candidate: Candidate,
  refusal: Refusal,
  asked: readonly Candidate[],
  tools: AnswerTools,
): Response {
  const { upstream } = candidate.target;
  const tooLong = contextRefusal(exchange, refusal, tools.fleet.factsOf(upstream, candidate.model ?? '')?.contextLength);
  if (tooLong !== undefined) throw tooLong;
  const mended = mendOf(exchange, upstream, candidate.model, refusal, asked, tools);
  if (mended !== undefined) {
    const words = [wordsOf(mended.advice), ...failuresOf(exchange)].join(' ');
    throw new GatewayError(mended.code, words, { status: mended.status ?? refusal.status });
  }
  const headers = new Headers(refusal.headers);
  headers.delete('content-length');
  for (const edit of candidate.target.answerEdits) edit(exchange, { status: refusal.status, headers });
  addWarnings(exchange, headers);
  tellBox(headers, candidate.target.upstream, tools.fleet);
  exchange.answerBytes = refusal.bytes.length;
  return new Response(refusal.bytes as Uint8Array<ArrayBuffer>, { status: refusal.status, headers });
}

/** The box could not load the model, and that is what the client hears: with the mend where Corral knows it. */
export function loadRefusal(exchange: Exchange, error: LoadFailed, tools: AnswerTools): GatewayError {
  const { upstream, model, status, text } = error;
  const mended = mendOf(exchange, upstream, model, { status, text }, [], tools);
  const words = [mended === undefined ? `${error.message}.` : wordsOf(mended.advice), ...failuresOf(exchange, error)].join(' ');
  return new GatewayError(mended?.code ?? error.code, words, { status: mended?.status ?? status, cause: error.cause });
}

interface Mended {
  readonly code: ErrorCode;
  readonly advice: Advice;
  /** Instead of the box's, where that one would mislead. */
  readonly status?: number;
}

function mendOf(
  exchange: Exchange,
  upstream: Upstream,
  model = '',
  { status, text }: Pick<Refusal, 'status' | 'text'>,
  asked: readonly Candidate[],
  tools: AnswerTools,
): Mended | undefined {
  const said = messageOf(text) ?? '';
  const visible = () => modelsSeen(exchange, [upstream], tools);
  if (isModelMissing(status, text)) {
    const boxes = new Set(asked.map(({ target }) => target.upstream));
    const names = [...new Set(modelsSeen(exchange, [...boxes], tools).map(({ name }) => name))];
    return { code: 'model_not_found', advice: missingModelAdvice(model, said, names) };
  }
  const tunnel = tunnelFault(status, text, upstream.name);
  if (tunnel !== undefined) return { code: 'upstream_unavailable', advice: tunnel.advice, status: tunnel.status };
  if (isRelayRefusal(status, text)) {
    return { code: 'upstream_unavailable', advice: relayRefusalAdvice(upstream.name, said), status: 502 };
  }
  if (isForeignHostRefusal(status, text)) {
    return { code: 'upstream_foreign_host', advice: foreignHostAdvice(upstream), status: 502 };
  }
  if (status >= 500 && isOutOfMemory(text)) {
    return { code: 'upstream_unavailable', advice: outOfMemoryAdvice(upstream.name, model, said, visible()) };
  }
  if (isBusy(status, text)) return { code: 'upstream_unavailable', advice: busyAdvice(upstream.name, said) };
  return undefined;
}

function modelsSeen(exchange: Exchange, upstreams: readonly Upstream[], tools: AnswerTools): readonly KnownModel[] {
  const maySee = visibilityOf(exchange, tools);
  return upstreams.flatMap((upstream) => tools.fleet.modelsOn(upstream)).filter((model) => maySee(model.name));
}
