/** Puts a plan's parts together: what knows the boxes, what counts exchanges, what watches streams, and the gateway over them. */

import { judgeEdited } from '../answers/edited.ts';
import { judgeImages } from '../answers/images.ts';
import { createLeg, type Leg } from '../answers/leg.ts';
import { createNamedContexts } from '../answers/named-contexts.ts';
import { createOllamaOptions } from '../answers/ollama-options.ts';
import { createExchanges, type ExchangeScope } from '../answers/open-exchange.ts';
import type { AnswerTools } from '../answers/tools.ts';
import { judgePrompt } from '../answers/truncation.ts';
import { viaHeader } from '../backends/outgoing.ts';
import type { CompiledPlan } from '../compile/compile.ts';
import type { PlanSettings } from '../compile/plan.ts';
import type { Upstream } from '../exchange.ts';
import { isModelMissing } from '../fleet/asking/advice.ts';
import { faultOf } from '../fleet/asking/faults.ts';
import type { Boxes } from '../fleet/boxes.ts';
import { createFleet, type TendedHerd } from '../fleet/fleet.ts';
import type { HeldLoads } from '../fleet/loads/held-loads.ts';
import { TokenRatios } from '../fleet/rates/token-ratio.ts';
import { warmContexts } from '../fleet/warm.ts';
import { createGateway, type Gateway } from '../gateway.ts';
import type { SideCalls } from '../http/side-calls.ts';
import { ReplayMemory } from '../http/signed-caller.ts';
import type { Platform } from '../platform.ts';
import { createBodyReader } from '../protocols/body-reader.ts';
import { createBodyBudget } from '../protocols/decode.ts';
import type { State } from '../state/state.ts';
import { createIdleWatch } from '../streams/idle.ts';
import { createObservation, type Observation } from './observation.ts';
import type { Settings } from './settings.ts';

/** What plans have in common: it lives as long as the process. */
export interface LastingParts {
  /** Tells Corral's own answers from a box's, and is no secret. */
  readonly instanceId: string;
  readonly state: State;
  readonly sideCalls: SideCalls;
  readonly boxes: Boxes;
  readonly heldLoads: HeldLoads;
}

/** What one plan answers with. */
export interface Assembled {
  readonly gateway: Gateway;
  readonly herd: TendedHerd;
  readonly observation: Observation;
}

/** `generation`: how many plans came before this one. */
export function assembleGateway(
  plan: CompiledPlan,
  settings: Settings,
  platform: Platform,
  { instanceId, state, sideCalls, boxes, heldLoads }: LastingParts,
  generation: number,
): Assembled {
  const { clock } = platform;
  const { loadTimeoutMs, idleTimeoutMs, probeIntervalMs, maxBufferedBytes } = plan.settings;
  // A probe that comes back here is known by its mark: then the box is this Corral itself.
  const headersFor = (upstream: Upstream) => ({ ...plan.headersFor(upstream), [viaHeader]: instanceId });
  const herd = createFleet({
    upstreams: plan.upstreams,
    platform,
    instanceId,
    headersFor,
    probeIntervalMs,
    tuning: plan.settings.tuning,
    boxes,
    leg: plan.leg,
    warm: plan.warm,
  });
  // Exchanges are numbered from 0 under each plan.
  const exchangePrefix = generation === 0 ? instanceId : `${instanceId}.${generation.toString(36)}`;
  // What may be held in memory is the process's limit, and not one for each plan.
  const budget = state.kept(`bufferedBytes/${maxBufferedBytes}`, () => createBodyBudget(maxBufferedBytes));
  const observation = createObservation(plan.telemetry, { platform, state, sideCalls });
  const tools: AnswerTools & ExchangeScope = {
    platform,
    clock,
    fleet: herd,
    instanceId,
    loadTimeoutMs,
    isModelMissing,
    faultOf,
    ollamaOptions: createOllamaOptions(herd, state.kept('ollamaContexts', createNamedContexts), warmContexts(plan.warm, clock)),
    judgeEdited: (attempt, decided, isBox) => judgeEdited(attempt, decided, isBox, tools),
    judgePrompt(attempt, call, asked) {
      judgeImages(attempt, call, asked.model, tools);
      judgePrompt(attempt, call, asked, tools);
    },
    tokenRatios: state.kept('tokenRatios', () => new TokenRatios()),
    exchanges: createExchanges(exchangePrefix, clock, observation.observe),
    idle: createIdleWatch({
      clock,
      sweepMs: sweepMsOf(plan.settings),
      maxSilentMs: idleTimeoutMs,
      isEachAlone: !platform.hasBackground,
    }),
    bodies: createBodyReader(plan.settings, budget),
    telemetry: observation.telemetry,
    startTrace: observation.startTrace,
    limits: plan.settings,
    random: Math.random,
    hasDemo: settings.hasDemo,
    leg: settings.isRelay === true ? legOf(plan, platform, state, instanceId, herd) : undefined,
    onClientGone: ({ attempt, model, startedMs, abort, settled }) => {
      // Its own Corral keeps the load.
      if (herd.isRelay(attempt.upstream)) return abort();
      return heldLoads.onClientGone({
        upstream: attempt.upstream,
        model,
        startedMs,
        abort,
        settled,
        waitUntil: (work) => attempt.exchange.peer.waitUntil(work),
      });
    },
  };
  return { gateway: createGateway(plan, tools), herd, observation };
}

/** What has been here once stays known across reloads. */
function legOf(
  { leg: { secret }, settings: { fleet } }: CompiledPlan,
  { clock, runtime }: Platform,
  state: State,
  instanceId: string,
  { load }: Pick<TendedHerd, 'load'>,
): Leg | undefined {
  if (secret === undefined) return undefined;
  const memory = state.kept('relayedRequests', () => new ReplayMemory());
  return createLeg({ secret, instanceId, clock, runtime, heartbeatMs: fleet.loads.heartbeat, memory, load });
}

/** How often silent streams are looked at: as seldom as what is configured allows. */
function sweepMsOf({ idleTimeoutMs, fleet: { loads } }: PlanSettings): number {
  return Math.min(1_000, idleTimeoutMs, loads.headersAfter / 5, loads.heartbeat / 5);
}
