/** A box as the scoring function sees it: what is known and learnt of it, in numbers. Model names are canonical. */
import type { Ask } from '../../exchange.ts';
import type { Box } from '../box.ts';
import { usualRates } from '../rates/model-rates.ts';
import { crowdOf, leftMsOf } from '../rates/under-way.ts';
import { withOthers } from './behind-relay.ts';
import { beliefsOf } from './beliefs.ts';
import { isLeaving, loadViewOf, noLoad } from './load-views.ts';
import type { BoxView } from './predict.ts';

/** Undefined: nothing is known of the box that would tell it apart from others. */
export function viewOf(
  box: Box,
  model: string,
  { numCtx }: Pick<Ask, 'numCtx'>,
  others: readonly Box[],
  nowMs: number,
  conversation?: number,
): BoxView | undefined {
  const { rates, slots, upstream } = box;
  const known = rates.of(model);
  const held = isInMemory(box, model, numCtx);
  if (held === undefined && known === undefined) return undefined;
  const busy = slots.busy(model);
  const beliefs = beliefsOf(box, model, others, nowMs);
  const { underWay } = rates;
  const calls = withOthers(
    box,
    model,
    {
      busy,
      waiting: slots.waiting(model),
      slots: slots.limitOf(model) ?? Math.max(1, known?.mostSaying ?? 1),
      othersBusy: Math.max(0, slots.busy() - busy),
      crowd: underWay.length === 0 ? alone : crowdOf(underWay, model, nowMs, (name) => rates.of(name) ?? usualRates),
    },
    nowMs,
  );
  const isResident = held === true && (calls.busy > 0 || !isLeaving(box, model, nowMs));
  return {
    place: `${upstream.baseUrl}\n${model}`,
    weight: upstream.box?.weight ?? 1,
    isResident,
    ...calls,
    leftMs: busy === 0 ? none : leftMsOf(underWay, model, nowMs, beliefs),
    conversationsSince: sinceOf(known?.recent, conversation),
    ...beliefs,
    ...(isResident ? noLoad : loadViewOf(box, model, others, nowMs)),
    callsPerSecond: rates.demandFor(model),
  };
}

const none: readonly number[] = [];
const alone = { reading: 0, saying: 0, sayingOthers: 0 };

/** How many other conversations were served since; undefined: this one never was. */
function sinceOf(recent: readonly number[] | undefined, conversation: number | undefined): number | undefined {
  if (recent === undefined || conversation === undefined) return undefined;
  const at = recent.lastIndexOf(conversation);
  return at < 0 ? undefined : recent.length - 1 - at;
}

/** As the last look saw it, however long ago, or because the model has answered since. Undefined: nobody has looked. */
export function isInMemory(box: Box, model: string, numCtx: number | undefined): boolean | undefined {
  if (box.isLost(model)) return false;
  const { seenMs } = box.memory.capacity;
  const runner = box.runnerOf(model);
  if (runner !== undefined && seenMs > Number.NEGATIVE_INFINITY) {
    const { contextLength } = runner;
    // Older boxes do not tell how much context it has.
    return (
      numCtx === undefined || contextLength === undefined || contextLength >= numCtx || hasAllItCan(box, model, contextLength)
    );
  }
  if ((box.rates.of(model)?.shownMs ?? Number.NEGATIVE_INFINITY) > seenMs) return true;
  return seenMs > Number.NEGATIVE_INFINITY ? false : undefined;
}

/** More than it was made for no model gets, whoever asks. */
function hasAllItCan(box: Box, model: string, context: number): boolean {
  const most = /"context_length"\s*:\s*(\d+)/.exec(box.catalogue?.get(model)?.tag ?? '')?.[1];
  return most !== undefined && context >= Number(most);
}
