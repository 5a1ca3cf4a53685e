/**
 * What `/api/show` tells of models: what they can do and how much context they were trained for. `/api/tags` may be wrong
 * about it (ollama.md §8). Asked once for each digest, whichever box has it, in the background, one question per box at a
 * time; on the request's way it is only looked up.
 */
import { GatewayError } from '../../errors.ts';
import type { KnownModel, ModelFacts } from '../../exchange.ts';
import type { Clock } from '../../platform.ts';
import type { Answer } from './ask.ts';

/** Of all boxes together. A herd of one box with as many models as a list may have fits five times. */
export const maxShown = 10_000;
/** A box that said no is asked again after this: a model may have been pulled anew under the same digest. */
const refusedForMs = 600_000;
/** Longer than any answer takes. */
const lostAfterMs = 30_000;
const maxCapabilities = 32;

interface Shown {
  readonly facts: ModelFacts | undefined;
  /** On the clock. */
  readonly atMs: number;
}

export interface ShowPlace {
  /** The last list of models. */
  readonly catalogue: ReadonlyMap<string, KnownModel> | undefined;
  show(model: string): Promise<Answer | GatewayError>;
}

export interface Shows {
  /** By digest; undefined: not known (yet). */
  of(digest: string): ModelFacts | undefined;
  /** Asks for `most` models that nobody has told of, one after the other. Never rejects. */
  learn(place: ShowPlace, most: number): Promise<void>;
  readonly size: number;
}

export function createShows(clock: Pick<Clock, 'now'>): Shows {
  const shown = new Map<string, Shown>();
  // With the time: where requests carry the work, it may end without a word.
  const asking = new Map<string, number>();
  const busy = new Map<ShowPlace, number>();
  const isRecent = (atMs: number | undefined): boolean => atMs !== undefined && clock.now() - atMs < lostAfterMs;

  const isWanted = ({ digest, remoteHost }: KnownModel): boolean => {
    // Of what Ollama's cloud serves nothing is asked: the box would ask there.
    if (digest === '' || remoteHost !== undefined || isRecent(asking.get(digest))) return false;
    const known = shown.get(digest);
    return known === undefined || (known.facts === undefined && clock.now() - known.atMs > refusedForMs);
  };
  const note = (digest: string, facts: ModelFacts | undefined): void => {
    shown.delete(digest);
    // The first are those that were learnt first.
    for (const oldest of shown.keys()) {
      if (shown.size < maxShown) break;
      shown.delete(oldest);
    }
    shown.set(digest, { facts, atMs: clock.now() });
  };
  const askFor = async (place: ShowPlace, { name, digest }: KnownModel): Promise<boolean> => {
    asking.set(digest, clock.now());
    busy.set(place, clock.now());
    try {
      const answer = await place.show(name);
      // Nobody is there, or busy: the next look goes on.
      if (answer instanceof GatewayError || answer.status >= 500) return false;
      note(digest, factsOf(answer));
      return true;
    } finally {
      asking.delete(digest);
    }
  };

  return {
    of: (digest) => shown.get(digest)?.facts,
    async learn(place, most) {
      if (isRecent(busy.get(place))) return;
      busy.set(place, clock.now());
      try {
        let left = most;
        for (const model of place.catalogue?.values() ?? []) {
          if (left <= 0) return;
          if (!isWanted(model)) continue;
          left--;
          if (!(await askFor(place, model))) return;
        }
      } finally {
        busy.delete(place);
      }
    },
    get size() {
      return shown.size;
    },
  };
}

/** The answer to `/api/show` (Ollama api/types.go ShowResponse); undefined when it says nothing of use. */
export function factsOf({ status, text }: Answer): ModelFacts | undefined {
  if (status !== 200 || text === undefined) return undefined;
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return undefined;
  }
  const capabilities = memberOf(answer, 'capabilities');
  const info = memberOf(answer, 'model_info');
  const architecture = memberOf(info, 'general.architecture');
  const length = typeof architecture === 'string' ? memberOf(info, `${architecture}.context_length`) : undefined;
  return {
    capabilities: Array.isArray(capabilities)
      ? capabilities.filter((one) => typeof one === 'string' && one.length <= 64).slice(0, maxCapabilities)
      : undefined,
    contextLength: typeof length === 'number' && Number.isSafeInteger(length) && length > 0 ? length : undefined,
    blob: blobOf(memberOf(answer, 'modelfile')),
  };
}

/** The first FROM of a Modelfile is the path of the weights (Ollama server/images.go, Model.String); the line before, a comment, is for people. */
function blobOf(modelfile: unknown): string | undefined {
  return typeof modelfile === 'string' ? /^FROM [^\n]*[/\\]sha256-([0-9a-f]{64})\s*$/m.exec(modelfile)?.[1] : undefined;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}
