/**
 * What a placement would have to be measured by at best: every model is in every box's memory from the start, which has no end, and
 * each call goes where its first token comes first, chosen by somebody who knows how fast the boxes are, what they are at, what their
 * caches have and how long each answer will be. What is left is the work itself: prompts, and the slots that others have.
 */
import type { SimulatedBox } from '../../test/support/herd/box.ts';
import { playBy, playThrough } from '../../test/support/herd/peers.ts';
import { type Asked, figuresOf } from '../../test/support/herd/player.ts';
import { keyOf } from '../../test/support/herd/scheduler.ts';
import { type HerdModel, tokensOf } from '../../test/support/herd/setting.ts';
import type { Trace } from '../../test/support/herd/trace.ts';

export interface Floor {
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** Each model that is asked for, once. */
  readonly loads: number;
}

/** Of the two that know best: whoever looks one call ahead is not always the one who is best in the end. */
export async function floorOf(trace: Trace): Promise<Floor> {
  const free = { maxLoaded: 1_000, vramBytes: 1e15, diskBytesPerSecond: Number.POSITIVE_INFINITY, startMs: 0 };
  const told = { ...trace, boxes: trace.boxes.map((box) => ({ ...box, ...free })) };
  const oracle = await playBy(told, ({ boxes }, clock) => createOracle(boxes, () => clock.now()));
  const idlest = await playThrough('least connections', told);
  const figures = [figuresOf(oracle.seen), figuresOf(idlest.seen)];
  return {
    p50Ms: Math.min(...figures.map(({ p50Ms }) => p50Ms)),
    p95Ms: Math.min(...figures.map(({ p95Ms }) => p95Ms)),
    loads: new Set(trace.talks.map(({ model }) => model)).size,
  };
}

/** What one model has been given on one box. */
interface Given {
  /** When each slot is free. */
  readonly freeMs: number[];
  /** The conversations that it read last. */
  readonly recent: string[];
}

/** What one call would meet on one box. */
interface Outlook {
  readonly box: number;
  readonly given: Given;
  readonly active: number;
  readonly firstMs: number;
  readonly endMs: number;
}

interface Wanted {
  readonly model: HerdModel;
  readonly conversation: string;
  readonly promptTokens: number;
  /** Of these, what a cache may have. */
  readonly earlierTokens: number;
  readonly outputTokens: number;
}

/** Each call goes where its first token comes first, and of those to the one with the least at work. */
function createOracle(boxes: readonly SimulatedBox[], nowMs: () => number): (asked: Asked) => number {
  const known = boxes.map(() => new Map<string, Given>());
  const givenTo = (at: number, name: string, slots: number): Given => {
    const given = known[at]?.get(name) ?? { freeMs: new Array<number>(slots).fill(0), recent: [] };
    known[at]?.set(name, given);
    return given;
  };
  return (asked) => {
    const wanted = wantedOf(asked, boxes[0]?.models ?? []);
    const able = boxes.flatMap((box, at) =>
      box.state === 'up' ? [outlookOf(box, at, givenTo(at, wanted.model.name, box.setting.parallel), wanted, nowMs())] : [],
    );
    const [best] = able.sort((a, b) => Math.round(a.firstMs - b.firstMs) || a.active - b.active);
    if (best === undefined) return 0;
    const { freeMs, recent } = best.given;
    freeMs[freeMs.indexOf(Math.min(...freeMs))] = best.endMs;
    note(recent, wanted.conversation, freeMs.length);
    return best.box;
  };
}

function outlookOf(box: SimulatedBox, at: number, given: Given, wanted: Wanted, nowMs: number): Outlook {
  const { promptTokensPerSecond, tokensPerSecond, sharedCost, foreignCost, parallel } = box.setting;
  const { freeMs, recent } = given;
  const own = box.scheduler.runners.get(keyOf(wanted.model));
  // Somebody was done sooner than reckoned.
  if ((own?.active ?? 0) < parallel && (own?.queued ?? 0) === 0)
    freeMs[freeMs.indexOf(Math.min(...freeMs))] = Math.min(...freeMs, nowMs);
  const startMs = Math.max(nowMs, Math.min(...freeMs));
  const fresh = wanted.promptTokens - (recent.includes(wanted.conversation) ? wanted.earlierTokens : 0);
  let slowness = 1;
  // By the time that a slot is free others are there, or nobody.
  if (startMs <= nowMs)
    for (const other of box.scheduler.runners.values()) slowness += other.active * (other === own ? sharedCost : foreignCost);
  const firstMs = startMs + (fresh / promptTokensPerSecond + 1 / tokensPerSecond) * slowness * 1_000;
  const endMs = firstMs + (wanted.outputTokens / tokensPerSecond) * slowness * 1_000;
  return { box: at, given, active: box.active, firstMs, endMs };
}

function note(recent: string[], conversation: string, most: number): void {
  const at = recent.indexOf(conversation);
  if (at >= 0) recent.splice(at, 1);
  recent.push(conversation);
  if (recent.length > most) recent.shift();
}

function wantedOf({ body }: Asked, models: readonly HerdModel[]): Wanted {
  const asked = JSON.parse(body) as { model: string; max_tokens?: number; messages?: readonly { content: string }[] };
  const model = models.find(({ name }) => name === asked.model);
  if (model === undefined) throw new Error(`no box has ${asked.model}`);
  const texts = (asked.messages ?? []).map(({ content }) => content);
  return {
    model,
    conversation: texts.slice(0, 2).join('\n'),
    promptTokens: tokensOf(texts.join('')),
    earlierTokens: texts.length > 2 ? tokensOf(texts.slice(0, -1).join('')) : 0,
    outputTokens: asked.max_tokens ?? 64,
  };
}
