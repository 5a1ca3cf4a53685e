/** Puts a call's boxes in order by what is known of them now, and explains it to people. */
import type { Ask, Placing, Prediction, Upstream } from '../../exchange.ts';
import { canonicalModel } from '../../fields/model-name.ts';
import type { Box } from '../box.ts';
import { conversationHash } from '../rates/model-rates.ts';
import { type BoxView, type CallView, furtherHomeFor, type Placed, placeCall, predictOne } from './predict.ts';
import { viewOf } from './views.ts';

/** What one box would need by itself; undefined when nothing is known of it. */
export function predictFor(box: Box, ask: Ask, nowMs: number): Prediction | undefined {
  const view = viewOf(box, canonicalModel(ask.model), ask, [box], nowMs);
  return view === undefined ? undefined : predictOne(view, callOf(ask), false);
}

/** See `Fleet.place`. `herd`: all boxes of the plan. */
export function placeAmong(
  asked: readonly { readonly upstream: Upstream; readonly ask: Ask }[],
  boxOf: (upstream: Upstream) => Box | undefined,
  herd: readonly Box[],
  nowMs: number,
  mayLoadBeside = false,
): readonly Placing[] | undefined {
  const [first] = asked;
  const tuning = first === undefined ? undefined : boxOf(first.upstream)?.tuning;
  if (first === undefined || tuning?.byPrediction !== true) return undefined;
  const { conversation, sharer } = first.ask.work;
  const hash = conversation === undefined ? undefined : conversationHash(sharer, conversation);
  const views: BoxView[] = [];
  for (const { upstream, ask } of asked) {
    const box = boxOf(upstream);
    const view = box?.isBox === true ? viewOf(box, canonicalModel(ask.model), ask, herd, nowMs, hash) : undefined;
    if (view === undefined) return undefined;
    views.push(view);
  }
  const call = callOf(first.ask);
  const placed = placeCall(views, call, tuning);
  const further = mayLoadBeside ? asked[furtherHomeFor(views, placed, call, tuning) ?? -1] : undefined;
  if (further !== undefined) loadBeside(boxOf(further.upstream), further.ask);
  return placed;
}

/** Nobody waits for this load: what comes of it is told to those who join it. */
function loadBeside(box: Box | undefined, ask: Ask): void {
  try {
    box?.loads.ready(ask, nobody)?.catch(() => undefined);
  } catch {
    // It was tried a moment ago and has failed.
  }
}

const nobody = { deadlineMs: undefined, onGone: () => undefined, waitUntil: () => undefined };

function callOf({ work }: Ask): CallView {
  const { promptTokens, earlierTokens = 0, conversation, sharer } = work;
  return { promptTokens, earlierTokens, key: conversation === undefined ? undefined : `${sharer}\n${conversation}` };
}

/** One box's line for people who ask why a call goes where it goes. */
export interface PlacementLine {
  readonly box: string;
  readonly isAlive: boolean | undefined;
  readonly hasModel: boolean | undefined;
  /** Undefined: nothing is known of the box. */
  readonly view: BoxView | undefined;
  readonly placed: Placed | undefined;
}

/** What a call with so many tokens would meet now. Nothing is changed by asking. */
export function explainPlacement(
  boxes: readonly Box[],
  asked: { readonly model: string; readonly promptTokens: number; readonly conversation: string | undefined },
  nowMs: number,
): readonly PlacementLine[] {
  const model = canonicalModel(asked.model);
  const views = boxes.map((box) => (box.isBox ? viewOf(box, model, { numCtx: undefined }, boxes, nowMs) : undefined));
  const mayServe = boxes.map((box, index) => views[index] !== undefined && !box.isDown && box.hasModel(model) !== false);
  const serving = views.filter((view, index): view is BoxView => mayServe[index] === true && view !== undefined);
  const [first] = boxes;
  const key = asked.conversation === undefined ? undefined : `\n${asked.conversation}`;
  const placed =
    first === undefined ? [] : placeCall(serving, { promptTokens: asked.promptTokens, earlierTokens: 0, key }, first.tuning);
  return boxes.map((box, index) => {
    const view = views[index];
    const at = mayServe[index] === true && view !== undefined ? serving.indexOf(view) : -1;
    return {
      box: box.upstream.name,
      isAlive: box.isAlive,
      hasModel: box.hasModel(model),
      view,
      placed: placed[at],
    };
  });
}
