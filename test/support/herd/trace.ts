/** What clients do, written down before anything runs: the same for every gateway that is compared. */
import type { BoxSetting } from './setting.ts';

export type SurfacePath =
  | '/v1/chat/completions'
  | '/v1/messages'
  | '/v1/responses'
  | '/api/chat'
  | '/api/generate'
  | '/api/embed'
  | '/v1/embeddings';

export interface Turn {
  readonly user: string;
  readonly outputTokens: number;
  /** Between the last answer's end and this question. */
  readonly thinkMs: number;
  /** The client leaves so long after it has asked, if it is still there. */
  readonly leaveAfterMs?: number | undefined;
}

/** One conversation; each turn asks with everything that was said before. */
export interface Talk {
  readonly atMs: number;
  readonly model: string;
  readonly surface: SurfacePath;
  readonly isStream: boolean;
  readonly system: string;
  readonly turns: readonly Turn[];
  /** Sent as a bearer key. */
  readonly key?: string | undefined;
}

export interface HerdEvent {
  readonly atMs: number;
  /** Index of the box. */
  readonly box: number;
  readonly what: 'dies' | 'falls silent' | 'comes back';
}

export interface Trace {
  readonly name: string;
  /** One line for people. */
  readonly about: string;
  readonly boxes: readonly Omit<Partial<BoxSetting>, 'url'>[];
  readonly talks: readonly Talk[];
  readonly events: readonly HerdEvent[];
}

/** What the system said before this turn: question and answer by turns. */
export interface Said {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

/** The body of a turn on the talk's surface. */
export function bodyOf({ model, surface, isStream, system }: Talk, said: readonly Said[], { outputTokens }: Turn): object {
  const messages = [{ role: 'system', content: system }, ...said];
  switch (surface) {
    case '/v1/chat/completions':
      return { model, messages, max_tokens: outputTokens, stream: isStream };
    case '/v1/messages':
      return { model, system, messages: said, max_tokens: outputTokens, stream: isStream };
    case '/v1/responses': {
      const input = said.map((message) => ({ ...message, type: 'message' }));
      return { model, instructions: system, input, max_output_tokens: outputTokens, stream: isStream };
    }
    case '/api/chat':
      return { model, messages, options: { num_predict: outputTokens }, stream: isStream };
    case '/api/generate':
      return {
        model,
        system,
        prompt: said.map(({ content }) => content).join('\n'),
        options: { num_predict: outputTokens },
        stream: isStream,
      };
    default:
      return { model, input: said.map(({ content }) => content) };
  }
}
