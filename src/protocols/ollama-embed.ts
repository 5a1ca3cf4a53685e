/** `POST /api/embed` and the older `POST /api/embeddings`. */
import type { Protocol } from '../exchange.ts';
import { countOf, recordOf } from './answer-text.ts';
import { defineProtocol } from './define.ts';
import { ollamaErrorBody, ollamaErrorInStream } from './ollama.ts';
import { refuseTokenInput } from './openai-parameters.ts';
import { startReading } from './reading.ts';

export const ollamaEmbed: Protocol = defineProtocol({
  name: 'ollamaEmbed',
  family: 'ollama',
  kind: 'inference',
  methods: ['POST'],
  path: '/api/embed',
  operation: 'embeddings',
  body: 'json',
  /** The count is left out when it is 0, as it is when there was nothing to embed. */
  usageOf(answer) {
    const record = recordOf(answer);
    if (!Array.isArray(record?.embeddings)) return undefined;
    return { inputTokens: countOf(record.prompt_eval_count) ?? 0, outputTokens: 0 };
  },
  readCall(body) {
    const reading = startReading(body, false);
    reading.isStream = false;
    refuseTokenInput(body, reading);
    return reading;
  },
  errorBody: ollamaErrorBody,
  errorInStream: ollamaErrorInStream,
});

/** Tells no usage. */
export const ollamaEmbeddings: Protocol = defineProtocol({
  name: 'ollamaEmbeddings',
  family: 'ollama',
  kind: 'inference',
  methods: ['POST'],
  path: '/api/embeddings',
  operation: 'embeddings',
  body: 'json',
  errorBody: ollamaErrorBody,
  errorInStream: ollamaErrorInStream,
});
