/** `POST /api/generate`. Streams unless told not to. */
import type { Protocol } from '../exchange.ts';
import { defineProtocol } from './define.ts';
import { ollamaGenerateHeartbeat } from './heartbeats.ts';
import { ollamaErrorBody, ollamaErrorInStream, ollamaStream, ollamaUsageOf } from './ollama.ts';
import { startReading } from './reading.ts';
import { ollamaGenerateTexts } from './texts-ollama.ts';

export const ollamaGenerate: Protocol = defineProtocol({
  name: 'ollamaGenerate',
  family: 'ollama',
  kind: 'inference',
  methods: ['POST'],
  path: '/api/generate',
  operation: 'text_completion',
  body: 'json',
  streamsByDefault: true,
  stream: ollamaStream,
  usageOf: ollamaUsageOf,
  readCall: (body) => startReading(body, true),
  errorBody: ollamaErrorBody,
  errorInStream: ollamaErrorInStream,
  heartbeat: ollamaGenerateHeartbeat,
  texts: ollamaGenerateTexts,
});
