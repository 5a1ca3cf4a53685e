/** `POST /v1/chat/completions`. */
import type { Protocol } from '../exchange.ts';
import { defineProtocol } from './define.ts';
import { sseHeartbeat } from './heartbeats.ts';
import { openaiErrorBody, openaiErrorInStream, openaiStream, openaiUsageOf } from './openai.ts';
import { askForUsage, asksForUsage, readOpenaiToolChoice, readTokenLimit, warnOfIgnored } from './openai-parameters.ts';
import { startReading } from './reading.ts';
import { openaiChatTexts } from './texts-openai.ts';

export const openaiChat: Protocol = defineProtocol({
  // agentgateway's name for the chat protocol.
  name: 'completions',
  family: 'openai',
  kind: 'inference',
  methods: ['POST'],
  path: '/v1/chat/completions',
  operation: 'chat',
  body: 'json',
  stream: openaiStream,
  usageOf: openaiUsageOf,
  readCall(body) {
    const reading = startReading(body, false);
    reading.wantsUsage = asksForUsage(body);
    readTokenLimit(body, reading);
    readOpenaiToolChoice(body, reading);
    warnOfIgnored(body, reading);
    askForUsage(body, reading);
    return reading;
  },
  errorBody: openaiErrorBody,
  errorInStream: openaiErrorInStream,
  heartbeat: sseHeartbeat,
  texts: openaiChatTexts,
});
