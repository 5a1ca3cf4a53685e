/** `POST /v1/audio/transcriptions`: a form with a file and the model's name (Ollama middleware/openai.go, 25 MB at most). */
import type { Protocol } from '../exchange.ts';
import { countOf, recordOf } from './answer-text.ts';
import { defineProtocol } from './define.ts';
import { openaiErrorBody, openaiErrorInStream } from './openai.ts';

export const openaiTranscriptions: Protocol = defineProtocol({
  name: 'transcriptions',
  family: 'openai',
  kind: 'inference',
  methods: ['POST'],
  path: '/v1/audio/transcriptions',
  operation: 'transcription',
  body: 'multipart',
  usageOf(answer) {
    const counts = recordOf(recordOf(answer)?.usage);
    const inputTokens = countOf(counts?.input_tokens);
    return inputTokens === undefined ? undefined : { inputTokens, outputTokens: countOf(counts?.output_tokens) ?? 0 };
  },
  errorBody: openaiErrorBody,
  errorInStream: openaiErrorInStream,
});
