/** Plays a trace against a gateway, on whatever clock: virtual with a gateway in this process, compressed with real sockets. */
import { speechOf } from './asked.ts';
import { type ReadAnswer, readAnswer } from './reading.ts';
import type { SimulationClock } from './setting.ts';
import { bodyOf, type HerdEvent, type Said, type Talk, type Trace, type Turn } from './trace.ts';

export interface Asked {
  readonly path: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Aborted when the client leaves. */
  readonly leaving: AbortSignal;
}

export interface Stage {
  readonly clock: SimulationClock;
  /** Rejects when nobody answers at all, or the client has left first. */
  ask(asked: Asked): Promise<Response>;
  happen(event: HerdEvent): void;
}

/** One turn as its client saw it. */
export interface Seen extends ReadAnswer {
  readonly talk: Talk;
  readonly turn: number;
  readonly startMs: number;
  /** Of whole answers: it says what the box said, no more and no less. */
  readonly isExact: boolean;
}

/** Settles when the last client has its last answer. A talk ends with its first turn that is not whole. */
export async function play(trace: Trace, stage: Stage): Promise<readonly Seen[]> {
  const seen: Seen[] = [];
  for (const event of trace.events) stage.clock.after(event.atMs, () => stage.happen(event));
  await Promise.all(trace.talks.map((talk) => playTalk(talk, stage, seen)));
  return seen.sort((a, b) => a.startMs - b.startMs);
}

async function playTalk(talk: Talk, stage: Stage, seen: Seen[]): Promise<void> {
  const said: Said[] = [];
  await pause(stage.clock, talk.atMs);
  for (const [index, turn] of talk.turns.entries()) {
    if (index > 0) await pause(stage.clock, turn.thinkMs);
    said.push({ role: 'user', content: turn.user });
    const one = await playTurn(talk, turn, index, said, stage);
    seen.push(one);
    if (one.verdict !== 'whole') return;
    said.push({ role: 'assistant', content: one.text });
  }
}

async function playTurn(talk: Talk, turn: Turn, index: number, said: readonly Said[], stage: Stage): Promise<Seen> {
  const { clock } = stage;
  const startMs = clock.now();
  const client = new AbortController();
  const cancelLeaving =
    turn.leaveAfterMs === undefined
      ? () => undefined
      : clock.after(turn.leaveAfterMs, () => client.abort(new Error('the client left')));
  const { surface, isStream, key } = talk;
  const headers = { 'content-type': 'application/json', ...(key !== undefined && { authorization: `Bearer ${key}` }) };
  let answer: ReadAnswer;
  try {
    const body = JSON.stringify(bodyOf(talk, said, turn));
    const response = await stage.ask({ path: surface, body, headers, leaving: client.signal });
    answer = await readAnswer(response, { surface, isStream, leaving: client.signal, nowMs: () => clock.now() });
  } catch (thrown) {
    const verdict = client.signal.aborted ? 'left' : 'broken';
    const headers = new Headers();
    answer = { status: 0, verdict, text: '', error: String(thrown), firstTokenMs: undefined, endMs: clock.now(), headers };
  }
  cancelLeaving();
  return { ...answer, talk, turn: index, startMs, isExact: answer.text === expectedOf(talk, turn, said) };
}

function expectedOf({ surface }: Talk, { outputTokens }: Turn, said: readonly Said[]): string {
  return surface.includes('embed') ? `${said.length} vectors` : speechOf(Math.min(64, outputTokens)).join('');
}

function pause(clock: SimulationClock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}

export interface Figures {
  readonly requests: number;
  readonly whole: number;
  readonly failed: number;
  readonly left: number;
  /** Milliseconds to the first token, of whole streams. */
  readonly p50Ms: number;
  readonly p95Ms: number;
  /** Whole answers a minute, from the first question to the last answer. */
  readonly perMinute: number;
}

export function figuresOf(seen: readonly Seen[]): Figures {
  const whole = seen.filter(({ verdict }) => verdict === 'whole');
  const waits = whole.map(({ firstTokenMs, startMs }) => (firstTokenMs ?? startMs) - startMs);
  const fromMs = Math.min(...seen.map(({ startMs }) => startMs));
  const toMs = Math.max(...seen.map(({ endMs }) => endMs));
  return {
    requests: seen.length,
    whole: whole.length,
    failed: seen.filter(({ verdict }) => verdict === 'error' || verdict === 'broken').length,
    left: seen.filter(({ verdict }) => verdict === 'left').length,
    p50Ms: quantile(waits, 0.5),
    p95Ms: quantile(waits, 0.95),
    perMinute: whole.length / Math.max(1, (toMs - fromMs) / 60_000),
  };
}

/** The smallest value that so much of all are not above; NaN of nothing. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
