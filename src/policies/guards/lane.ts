/** One text of a stream on its way through all guards: what one stage lets go is what the next one looks at. */
import { GatewayError } from '../../errors.ts';
import type { Stage } from './stage.ts';

/** What rules may hold back of one text, all together. Whatever may still become a match beyond that leaves as it is. */
export const maxHeldCharacters = 1_024;

/** Of a text that later events repeat: no event is longer. */
const maxRepeatedCharacters = 4_194_304;

export class Lane {
  readonly #stagesFor: () => readonly Stage[];
  #stages: readonly Stage[];
  /** All that has left, where later events repeat it. */
  sent: string | undefined;
  /** What had to leave early is given to the stages again when the text goes on after all; it does not leave twice. */
  #interrupted: string | undefined;
  #toSkip = '';
  #tail = '';

  constructor(stagesFor: () => readonly Stage[], repeats: boolean) {
    this.#stagesFor = stagesFor;
    this.#stages = stagesFor();
    this.sent = repeats ? '' : undefined;
  }

  get held(): number {
    return this.#stages.reduce((held, stage) => held + stage.held, 0);
  }

  *push(text: string): Generator<Promise<string>, string, string> {
    let input = text;
    if (this.#interrupted !== undefined && text !== '') {
      this.#toSkip = this.#interrupted;
      input = this.#interrupted + text;
      this.#interrupted = undefined;
      this.#stages = this.#stagesFor();
    }
    let released = yield* this.#through(input, 0);
    for (let over = this.#heldByRules() - maxHeldCharacters; over > 0; over = this.#heldByRules() - maxHeldCharacters) {
      const index = this.#stages.findLastIndex((stage) => stage.force !== undefined && stage.held > 0);
      const forced = this.#stages[index]?.force?.(Math.min(over, this.#stages[index]?.held ?? 0)) ?? '';
      released += yield* this.#through(forced, index + 1);
    }
    return this.#leave(released);
  }

  /** The text is over, or another one has begun in its place. */
  *end(): Generator<Promise<string>, string, string> {
    const held = this.held;
    let released = '';
    for (const [index, stage] of this.#stages.entries()) {
      const ended = stage.end();
      const given = ended instanceof Promise ? yield ended : ended;
      released += yield* this.#through(given, index + 1);
    }
    const left = this.#leave(released);
    // Only what was held can be the beginning of something that goes on.
    this.#interrupted = held === 0 ? undefined : this.#tail.slice(-held);
    return left;
  }

  *#through(text: string, from: number): Generator<Promise<string>, string, string> {
    let passed = text;
    for (let index = from; index < this.#stages.length && passed !== ''; index++) {
      const pushed = this.#stages[index]?.push(passed) ?? '';
      passed = pushed instanceof Promise ? yield pushed : pushed;
    }
    return passed;
  }

  #heldByRules(): number {
    return this.#stages.reduce((held, stage) => held + (stage.force === undefined ? 0 : stage.held), 0);
  }

  #leave(text: string): string {
    let left = text;
    if (this.#toSkip !== '') {
      let same = 0;
      while (same < this.#toSkip.length && same < left.length && this.#toSkip[same] === left[same]) same++;
      // What was masked now had left unmasked in part; the mask still takes the rest away.
      this.#toSkip = same < left.length ? '' : this.#toSkip.slice(same);
      left = left.slice(same);
    }
    this.#tail = (this.#tail + left).slice(-maxHeldCharacters);
    if (this.sent === undefined) return left;
    this.sent += left;
    if (this.sent.length > maxRepeatedCharacters) {
      throw new GatewayError('answer_too_large', 'the answer is longer than can be looked through');
    }
    return left;
  }
}

/** Runs to the end, at once where nothing has to be waited for. */
export function drive<Result>(steps: Generator<Promise<string>, Result, string>): Result | Promise<Result> {
  const first = steps.next();
  return first.done ? first.value : driveLater(steps, first.value);
}

async function driveLater<Result>(steps: Generator<Promise<string>, Result, string>, waiting: Promise<string>): Promise<Result> {
  let next = waiting;
  for (;;) {
    const step = await next.then(
      (text) => steps.next(text),
      (thrown: unknown) => steps.throw(thrown),
    );
    if (step.done) return step.value;
    next = step.value;
  }
}
