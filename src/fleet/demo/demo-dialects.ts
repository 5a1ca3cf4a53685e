/** How the demo box puts its words into each wire protocol, shaped as Ollama shapes them. */

export interface DemoFacts {
  readonly id: string;
  readonly model: string;
  readonly wantsUsage: boolean;
  readonly text: string;
  readonly outputTokens: number;
  readonly wallTimeMs: number;
}

export interface DemoDialect {
  readonly streamType: string;
  /** The whole answer. */
  whole(facts: DemoFacts): string;
  /** What comes before the first word; may be empty. */
  open(facts: DemoFacts): string;
  word(facts: DemoFacts, word: string, isFirst: boolean): string;
  /** What ends the stream, terminator included. */
  close(facts: DemoFacts): string;
}

/** The demo reads no prompt, so it has none to count; a token stands for it because some clients divide by it. */
const inputTokens = 1;
const nanosecondsPerWord = 40_000_000;

const chatCompletions: DemoDialect = {
  streamType: 'text/event-stream',
  whole: (facts) =>
    line({
      id: `chatcmpl-${facts.id}`,
      object: 'chat.completion',
      created: secondsOf(facts),
      model: facts.model,
      system_fingerprint: 'fp_demo',
      choices: [{ index: 0, message: { role: 'assistant', content: facts.text }, finish_reason: 'stop' }],
      usage: openAiUsage(facts),
    }),
  open: () => '',
  word: (facts, word, isFirst) =>
    sse(
      chunk(facts, [
        { index: 0, delta: isFirst ? { role: 'assistant', content: word } : { content: word }, finish_reason: null },
      ]),
    ),
  close: (facts) =>
    sse(chunk(facts, [{ index: 0, delta: {}, finish_reason: 'stop' }])) +
    (facts.wantsUsage ? sse({ ...chunk(facts, []), usage: openAiUsage(facts) }) : '') +
    'data: [DONE]\n\n',
};

const messages: DemoDialect = {
  streamType: 'text/event-stream',
  whole: (facts) =>
    line({
      id: `msg_${facts.id}`,
      type: 'message',
      role: 'assistant',
      model: facts.model,
      content: [{ type: 'text', text: facts.text }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: { input_tokens: inputTokens, output_tokens: facts.outputTokens },
    }),
  open: (facts) =>
    namedSse({
      type: 'message_start',
      message: {
        id: `msg_${facts.id}`,
        type: 'message',
        role: 'assistant',
        model: facts.model,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { input_tokens: inputTokens, output_tokens: 0 },
      },
    }) + namedSse({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } }),
  word: (_facts, word) => namedSse({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: word } }),
  close: (facts) =>
    namedSse({ type: 'content_block_stop', index: 0 }) +
    namedSse({
      type: 'message_delta',
      delta: { stop_reason: 'end_turn', stop_sequence: null },
      usage: { input_tokens: inputTokens, output_tokens: facts.outputTokens },
    }) +
    namedSse({ type: 'message_stop' }),
};

const chat = native((content) => ({ message: { role: 'assistant', content } }));
const generate = native((response) => ({ response }));

/** By the path on a box. */
export const demoDialects: ReadonlyMap<string, DemoDialect> = new Map([
  ['/v1/chat/completions', chatCompletions],
  ['/v1/messages', messages],
  ['/api/chat', chat],
  ['/api/generate', generate],
]);

function native(contentOf: (text: string) => object): DemoDialect {
  const head = (facts: DemoFacts) => ({ model: facts.model, created_at: new Date(facts.wallTimeMs).toISOString() });
  const tail = (facts: DemoFacts) => ({
    done: true,
    done_reason: 'stop',
    total_duration: facts.outputTokens * nanosecondsPerWord,
    load_duration: 1,
    prompt_eval_count: inputTokens,
    prompt_eval_duration: 1,
    eval_count: facts.outputTokens,
    eval_duration: facts.outputTokens * nanosecondsPerWord,
  });
  return {
    streamType: 'application/x-ndjson',
    whole: (facts) => JSON.stringify({ ...head(facts), ...contentOf(facts.text), ...tail(facts) }),
    open: () => '',
    word: (facts, word) => line({ ...head(facts), ...contentOf(word), done: false }),
    close: (facts) => line({ ...head(facts), ...contentOf(''), ...tail(facts) }),
  };
}

function chunk(facts: DemoFacts, choices: readonly object[]): object {
  return {
    id: `chatcmpl-${facts.id}`,
    object: 'chat.completion.chunk',
    created: secondsOf(facts),
    model: facts.model,
    system_fingerprint: 'fp_demo',
    choices,
  };
}

function openAiUsage({ outputTokens }: DemoFacts): object {
  return { prompt_tokens: inputTokens, completion_tokens: outputTokens, total_tokens: inputTokens + outputTokens };
}

function secondsOf({ wallTimeMs }: DemoFacts): number {
  return Math.floor(wallTimeMs / 1000);
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}

function sse(value: object): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}

function namedSse(value: { readonly type: string } & Readonly<Record<string, unknown>>): string {
  return `event: ${value.type}\n${sse(value)}`;
}
