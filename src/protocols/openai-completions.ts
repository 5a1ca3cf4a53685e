/** `POST /v1/completions`, the older text protocol. */
import type { Protocol } from '../exchange.ts';
import { defineProtocol } from './define.ts';
import { sseHeartbeat } from './heartbeats.ts';
import { openaiErrorBody, openaiErrorInStream, openaiStream, openaiUsageOf } from './openai.ts';
import { asksForUsage, readTokenLimit, warnOfIgnored } from './openai-parameters.ts';
import { startReading } from './reading.ts';
import { openaiCompletionsTexts } from './texts-openai.ts';

export const openaiCompletions: Protocol = defineProtocol({
  name: 'textCompletions',
  family: 'openai',
  kind: 'inference',
  methods: ['POST'],
  path: '/v1/completions',
  operation: 'text_completion',
  body: 'json',
  stream: openaiStream,
  usageOf: openaiUsageOf,
  readCall(body) {
    const reading = startReading(body, false);
    // Usage is not asked for here: Ollama would put a zero usage into every chunk, which no client expects.
    reading.wantsUsage = asksForUsage(body);
    readTokenLimit(body, reading);
    warnOfIgnored(body, reading);
    return reading;
  },
  errorBody: openaiErrorBody,
  errorInStream: openaiErrorInStream,
  heartbeat: sseHeartbeat,
  texts: openaiCompletionsTexts,
});
