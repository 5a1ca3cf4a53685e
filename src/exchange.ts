/**
 * The types that travel with a request. Policies, protocols, backends, the fleet and the log do not know each other; what
 * they must tell each other, they tell here.
 *
 * exchange: one request from its first byte to its answer's last · call: its decoded body · attempt: one try at one upstream.
 */
import type { Exchange } from './exchange/exchange.ts';

export type { AnswerEdit, Attempt, AttemptEdit, EvictionRule, HealthRule, Outgoing } from './exchange/attempt.ts';
export type { Call, Translation } from './exchange/call.ts';
export type { Claims, Identity, UserClaims } from './exchange/caller.ts';
export type {
  AnswerSeen,
  BodyReader,
  Exchange,
  RetryBudget,
  RetryRule,
  Telemetry,
  UpstreamCallKind,
} from './exchange/exchange.ts';
export { noTelemetry } from './exchange/exchange.ts';
export { addAnswerHeader, addWarning, atEnd, editHeaders, onGone, tellGone } from './exchange/moments.ts';
export type { CallAllowances, CallReading, Heartbeat, Protocol } from './exchange/protocol.ts';
export type { AttemptRecord, Outcome, Trace, Usage } from './exchange/record.ts';
export type { AnswerRewrite, RewrittenAnswer, StreamRewrite } from './exchange/rewrite.ts';
export type {
  AnswerText,
  EditableText,
  OpenedEvent,
  PlainMessage,
  ProtocolTexts,
  RequestText,
  StreamPiece,
  StreamWhole,
  TextScope,
} from './exchange/texts.ts';
export type { BoxOptions, Fleet, KnownModel, LegCaller, ModelFacts, Upstream } from './exchange/upstream.ts';
export type { Ask, Lease, LeaseSeen, Placing, Prediction, Wait, Waiter, Work } from './exchange/work.ts';
export type { EventFacts, StreamSeen, StreamShape, TokenCounts } from './streams/shape.ts';

/** Hono's environment in this house: `c.env` is the exchange itself. */
export interface GatewayEnv {
  Bindings: Exchange;
}
