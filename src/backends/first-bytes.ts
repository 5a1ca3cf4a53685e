/**
 * A stream that fails before it has said anything: headers, and then an error, an empty event, or nothing. As long as somebody else
 * can be asked, the first bytes are looked at before they go on. Good streams are not delayed: their first bytes decide.
 */
import { GatewayError } from '../errors.ts';
import { type Exchange, onGone, type StreamShape } from '../exchange.ts';
import { ndjson } from '../streams/ndjson.ts';
import { sse } from '../streams/sse.ts';
import type { AttemptsResult, AttemptTools } from './attempt-tools.ts';
import { ClientGone } from './send.ts';

type AnsweredTry = Extract<AttemptsResult, { kind: 'answered' }>;

/** Headers without a byte behind them are taken for a good beginning after so long: whoever relays the answer watches it from then on. */
const maxSilentMs = 15_000;

/** Undefined: it has begun well, or nobody can tell. Throws ClientGone. What it has failed with is noted everywhere when this returns. */
export async function failureAtOnce(
  result: AnsweredTry,
  exchange: Exchange,
  tools: AttemptTools,
): Promise<GatewayError | undefined> {
  const { answered, attempt } = result;
  const { body, headers, status } = answered.response;
  const shape = attempt.protocol?.stream;
  if (!attempt.isBox || status !== 200 || shape === undefined || body.first === undefined || !isStreamOf(shape, headers))
    return undefined;
  let hasLeft = false;
  onGone(exchange, () => {
    hasLeft = true;
    if (!isOver) answered.abort(new ClientGone());
  });
  let isOver = false;
  let cancel: () => void = () => undefined;
  const silent = new Promise<'silent'>((resolve) => {
    cancel = exchange.clock.after(maxSilentMs, () => resolve('silent'));
  });
  const told = await Promise.race([
    body.first().then(
      (bytes) => ({ bytes }),
      () => ({ bytes: undefined }),
    ),
    silent,
  ]);
  cancel();
  isOver = true;
  if (hasLeft) {
    body.cancel();
    answered.lease?.end({ how: 'abandoned' });
    throw new ClientGone();
  }
  const failure = told === 'silent' ? undefined : failureIn(told.bytes, shape, tools);
  return failure === undefined ? undefined : giveUp(result, failure, exchange);
}

function isStreamOf({ framing }: StreamShape, headers: Headers): boolean {
  if (headers.has('content-encoding')) return false;
  return (headers.get('content-type') ?? '').startsWith(framing === 'sse' ? 'text/event-stream' : 'application/x-ndjson');
}

const endedAtOnce = 'it ended before it had said anything';

/** In a few words; undefined where it begins as it should, or with half an event. */
function failureIn(bytes: Uint8Array | undefined, shape: StreamShape, { faultOf }: AttemptTools): string | undefined {
  if (bytes === undefined) return endedAtOnce;
  const framing = shape.framing === 'sse' ? sse : ndjson;
  const end = framing.createSplitter().endOf(bytes, 0);
  if (end < 0) return undefined;
  const { data, event } = framing.read(bytes.subarray(0, end));
  if (data === undefined) return undefined;
  // A runner that crashed looks so on /v1 (Ollama middleware/openai.go; recorded); in a text the quotes would be escaped.
  if (data.startsWith('{') && data.includes('"model":""')) return endedAtOnce;
  const { failed } = shape.factsOf(data, event);
  return failed !== undefined && faultOf(500, JSON.stringify({ error: failed })).mayMoveOn ? failed.slice(0, 200) : undefined;
}

function giveUp({ answered, attempt: { upstream } }: AnsweredTry, why: string, { attempts }: Exchange): GatewayError {
  const error = new GatewayError('upstream_closed', `${upstream.name} broke off: ${why}`);
  answered.response.body.cancel();
  answered.lease?.end({ how: 'broken' });
  const record = attempts.at(-1);
  if (record !== undefined) record.error = error;
  return error;
}
