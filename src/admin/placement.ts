/** `GET /placement?model=…`: what a call would meet at each box now, what is known of it for that, and the order. For people. */
import type { Hono } from 'hono';
import type { PlacementLine } from '../fleet/placement/place.ts';
import type { AdminEnv } from './access.ts';

/** Of a call with so many tokens in its prompt; `conversation`: what tells it apart, as `x-session-id` or the like would. */
export type ExplainPlacement = (model: string, promptTokens: number, conversation?: string) => readonly PlacementLine[];

const usualPromptTokens = 1_000;
const maxPromptTokens = 100_000_000;

export function servePlacement(app: Hono<AdminEnv>, explain: ExplainPlacement): void {
  app.get('/placement', (c) => {
    const { model, promptTokens = String(usualPromptTokens), conversation } = c.req.query();
    if (model === undefined || model === '')
      return c.text('name the model: GET /placement?model=llama3.2, and &promptTokens=… if it is not about 1000\n', 400);
    if (!/^\d{1,9}$/.test(promptTokens) || Number(promptTokens) > maxPromptTokens)
      return c.text(`promptTokens is a number of tokens, ${maxPromptTokens} at most\n`, 400);
    const boxes = [...explain(model, Number(promptTokens), conversation)].sort((first, second) => rankOf(first) - rankOf(second));
    return c.body(`${JSON.stringify({ model, promptTokens: Number(promptTokens), boxes: boxes.map(told) }, rounded, 2)}\n`, 200, {
      'content-type': 'application/json',
    });
  });
}

/** What nothing is known of, or does not serve the model, comes last. */
function rankOf({ placed }: PlacementLine): number {
  return placed?.rank ?? Number.MAX_SAFE_INTEGER;
}

function told({ box, isAlive, hasModel, view, placed }: PlacementLine): object {
  return {
    box,
    isAlive,
    hasModel,
    ...(placed && { rank: placed.rank, isHome: placed.isHome, orderMs: placed.orderMs, prediction: placed.prediction }),
    ...(view && { inputs: { ...view, place: undefined } }),
  };
}

function rounded(_name: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 1_000) / 1_000 : value;
}
