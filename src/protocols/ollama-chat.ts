/** `POST /api/chat`. Streams unless told not to. */
import type { Protocol } from '../exchange.ts';
import { defineProtocol } from './define.ts';
import { ollamaChatHeartbeat } from './heartbeats.ts';
import { ollamaErrorBody, ollamaErrorInStream, ollamaStream, ollamaUsageOf } from './ollama.ts';
import { startReading } from './reading.ts';
import { ollamaChatTexts } from './texts-ollama.ts';

export const ollamaChat: Protocol = defineProtocol({
  name: 'ollamaChat',
  family: 'ollama',
  kind: 'inference',
  methods: ['POST'],
  path: '/api/chat',
  operation: 'chat',
  body: 'json',
  streamsByDefault: true,
  stream: ollamaStream,
  usageOf: ollamaUsageOf,
  readCall: (body) => startReading(body, true),
  errorBody: ollamaErrorBody,
  errorInStream: ollamaErrorInStream,
  heartbeat: ollamaChatHeartbeat,
  texts: ollamaChatTexts,
});
