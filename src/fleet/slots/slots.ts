/**
 * The slots of one box: how many calls each of its models serves at once, and who waits for one. Ollama's own queue has no
 * limit, knows no fairness and keeps the sockets of clients that have left, so whoever must wait waits here.
 */
import type { Ask, Waiter } from '../../exchange.ts';
import { canonicalModel } from '../../fields/model-name.ts';
import { Line, type LineSetting, type Slot } from './slot-line.ts';

export type { Slot } from './slot-line.ts';

export interface Slots {
  /**
   * A slot of the model: at once where one is free and nobody waits, else when its turn comes. Throws or rejects with
   * GatewayError: queue_full, queue_timeout, request_timeout. Never settles after its waiter has gone.
   */
  take(ask: Ask, waiter: Waiter): Slot | Promise<Slot>;
  /** Calls under way, of one model or of all. */
  busy(model?: string): number;
  /** Calls that wait, of one model or of all. */
  waiting(model?: string): number;
  /** How many calls one model is believed to serve at once; undefined: not known yet. */
  limitOf(model: string): number | undefined;
  /** Of each runner with something to do. */
  load(): readonly LineLoad[];
  /** How many models are remembered: a leak shows here. */
  readonly models: number;
}

/** What one runner has to do. */
export interface LineLoad {
  /** As `runnerKey` tells runners apart. */
  readonly key: string;
  readonly busy: number;
  readonly waiting: number;
  /** As `limitOf`. */
  readonly slots: number | undefined;
}

export interface SlotsSetting extends LineSetting {
  /**
   * What tells the runner apart that serves this model (canonical name): names of one blob share a runner and so its slots.
   * Left out: the name.
   */
  runnerKey?(model: string): string;
}

/** Models whose slots are remembered while nobody uses them. */
export const maxIdleLines = 64;
/** Models that are told apart at once; the names come from clients. What comes beyond that shares one line. */
export const maxLines = 512;
const everythingElse = '\0';

export function createSlots(setting: SlotsSetting): Slots {
  const lines = new Map<string, Line>();
  const { runnerKey = (model: string) => model } = setting;
  let lastModel = '';
  let lastLine: Line | undefined;

  const lineOf = (model: string): Line | undefined => {
    if (model === lastModel && lastLine !== undefined) return lastLine;
    const name = canonicalModel(model);
    const key = runnerKey(name);
    const byName = lines.get(name);
    // A line that began before the box's list was known goes on under the model's name.
    if (key === name || byName?.isIdle === false) return byName;
    return lines.get(key) ?? adopted(lines, name, key, runnerKey);
  };
  const open = (model: string): Line => {
    // The one that is remembered might be among those.
    lastLine = undefined;
    if (lines.size >= maxIdleLines) dropIdle(lines);
    const key = runnerKey(canonicalModel(model));
    if (lines.size >= maxLines) {
      const shared = lines.get(everythingElse);
      if (shared !== undefined) return shared;
    }
    const line = new Line(setting);
    lines.set(lines.size >= maxLines ? everythingElse : key, line);
    return line;
  };
  const sum = (count: (line: Line) => number): number => {
    let all = 0;
    for (const line of lines.values()) all += count(line);
    return all;
  };

  return {
    take(ask, waiter) {
      const line = lineOf(ask.model) ?? open(ask.model);
      lastModel = ask.model;
      lastLine = line;
      return line.take(ask, waiter);
    },
    busy: (model) => (model === undefined ? sum(({ parallel }) => parallel.inFlight) : (lineOf(model)?.parallel.inFlight ?? 0)),
    waiting: (model) => (model === undefined ? sum(({ waiting }) => waiting) : (lineOf(model)?.waiting ?? 0)),
    limitOf: (model) => lineOf(model)?.believed ?? setting.box.upstream.box?.slots,
    load() {
      const load: LineLoad[] = [];
      for (const [key, line] of lines) {
        const { waiting, believed: slots, parallel } = line;
        if (!line.isIdle) load.push({ key, busy: parallel.inFlight, waiting, slots });
      }
      return load;
    },
    get models() {
      return lines.size;
    },
  };
}

/** The line that began under this name, or under another one of the same runner, before that was known: from now on it is the runner's. */
function adopted(lines: Map<string, Line>, name: string, key: string, runnerKey: (model: string) => string): Line | undefined {
  let from = name;
  for (const [other, line] of lines) if (!line.isIdle && runnerKey(other) === key) from = other;
  const line = lines.get(from);
  if (line === undefined) return undefined;
  lines.delete(from);
  lines.set(key, line);
  return line;
}

/** Those that have learnt nothing go first; of the others the oldest, so that there is room for one more. */
function dropIdle(lines: Map<string, Line>): void {
  for (const [key, line] of lines) if (line.isIdle && !line.parallel.hasLearnt) lines.delete(key);
  for (const [key, line] of lines) {
    if (lines.size < maxIdleLines) return;
    if (line.isIdle) lines.delete(key);
  }
}
