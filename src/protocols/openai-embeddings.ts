/** `POST /v1/embeddings`. */
import type { Protocol } from '../exchange.ts';
import { defineProtocol } from './define.ts';
import { openaiErrorBody, openaiErrorInStream, openaiUsageOf } from './openai.ts';
import { refuseTokenInput } from './openai-parameters.ts';
import { startReading } from './reading.ts';

export const openaiEmbeddings: Protocol = defineProtocol({
  name: 'embeddings',
  family: 'openai',
  kind: 'inference',
  methods: ['POST'],
  path: '/v1/embeddings',
  operation: 'embeddings',
  body: 'json',
  usageOf: openaiUsageOf,
  readCall(body) {
    const reading = startReading(body, false);
    reading.isStream = false;
    refuseTokenInput(body, reading);
    return reading;
  },
  errorBody: openaiErrorBody,
  errorInStream: openaiErrorInStream,
});
