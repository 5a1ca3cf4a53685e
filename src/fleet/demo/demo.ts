/**
 * The demo box: while no Ollama answers, `model: demo` gives a fixed text, so that a first start shows a stream and says what
 * is missing. It answers to no other name and invents nothing for real clients (design decision 17).
 */
import type { KnownModel } from '../../exchange.ts';
import { canonicalModel } from '../../fields/model-name.ts';
import type { Clock } from '../../platform.ts';
import { type DemoDialect, demoDialects } from './demo-dialects.ts';

export interface DemoCall {
  /** The protocol's path on a box. */
  readonly path: string;
  readonly isStream: boolean;
  /** OpenAI's `stream_options.include_usage`. */
  readonly wantsUsage: boolean;
  /** As the client wrote it; echoed, as Ollama does. */
  readonly model: string;
  /** Makes the answer's id unique. */
  readonly id: string;
}

/** How the model stands in lists while the demo box is there. */
export const demoModel: KnownModel = {
  name: 'demo',
  digest: '',
  tag: JSON.stringify({
    name: 'demo',
    model: 'demo',
    modified_at: '1970-01-01T00:00:00Z',
    size: 0,
    digest: '',
    details: {
      parent_model: '',
      format: '',
      family: 'demo',
      families: ['demo'],
      parameter_size: '',
      quantization_level: '',
    },
    capabilities: ['completion'],
  }),
  sizeBytes: 0,
  modifiedAt: '1970-01-01T00:00:00Z',
  remoteHost: undefined,
};

export function isDemoModel(model: string | undefined): boolean {
  return model !== undefined && canonicalModel(model) === 'demo:latest';
}

const text =
  'This is the demo box built into Corral: no Ollama answered, so these words are fixed, not generated. ' +
  'To talk to a real model, install Ollama from ollama.com, run `ollama serve`, then `ollama pull llama3.2`. ' +
  'Corral finds it at localhost:11434 within seconds, and this demo is gone. ' +
  'Is your Ollama somewhere else? Start Corral with OLLAMA_HOST set to its address, or name it in corral.yaml.';

/** Words with the space before them, as a tokenizer would cut them. */
const words: readonly string[] = text.match(/ ?\S+/g) ?? [];
const wordPauseMs = 40;

/**
 * The demo's answer, labelled `x-corral-demo: true`; streamed word by word, 40 ms apart. Undefined for paths that it does not
 * speak: it speaks chat completions, messages, and Ollama's chat and generate.
 */
export function answerDemo(call: DemoCall, clock: Clock): Response | undefined {
  const dialect = demoDialects.get(call.path);
  if (dialect === undefined) return undefined;
  const facts = { ...call, text, outputTokens: words.length, wallTimeMs: clock.wallTime() };
  const labelled = (contentType: string) => ({ headers: { 'content-type': contentType, 'x-corral-demo': 'true' } });
  if (!call.isStream) return new Response(dialect.whole(facts), labelled('application/json'));
  return new Response(paced(dialect, facts, clock), labelled(dialect.streamType));
}

/** The stream: the first word at once, the others at their pace, no faster than the client reads. */
function paced(dialect: DemoDialect, facts: Parameters<DemoDialect['whole']>[0], clock: Clock): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let next = 0;
  let cancelPause: () => void = () => undefined;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (next > 0) {
          await new Promise<void>((resolve) => {
            cancelPause = clock.after(wordPauseMs, resolve);
          });
        }
        const word = words[next];
        if (word === undefined) {
          controller.enqueue(encoder.encode(dialect.close(facts)));
          controller.close();
          return;
        }
        const piece = dialect.word(facts, word, next === 0);
        controller.enqueue(encoder.encode(next === 0 ? dialect.open(facts) + piece : piece));
        next++;
      },
      cancel: () => cancelPause(),
    },
    // Without a high-water mark of 0 a word would be made before anybody asks for it.
    { highWaterMark: 0 },
  );
}
