/** `POST /v1/messages`. */
import type { Protocol } from '../exchange.ts';
import { memberObject } from '../json/nested.ts';
import type { ObjectText } from '../json/object-text.ts';
import { anthropicErrorBody, anthropicErrorInStream, anthropicStream, anthropicUsageOf } from './anthropic.ts';
import { withoutBillingLine } from './billing-line.ts';
import { defineProtocol } from './define.ts';
import { anthropicHeartbeat } from './heartbeats.ts';
import { type OpenReading, readToolChoice, startReading } from './reading.ts';
import { anthropicTexts } from './texts-anthropic.ts';
import { readWebSearch } from './web-search.ts';

/** `{"type":"auto"|"any"|"tool"|"none"}`; Ollama reads none of them (anthropic/anthropic.go). */
function readChoice(body: ObjectText, reading: OpenReading): void {
  const type = memberObject(body, 'tool_choice')?.get('type');
  if (type === 'none') readToolChoice(reading, 'none');
  else if (type === 'any' || type === 'tool') readToolChoice(reading, 'forced');
}

export const anthropicMessages: Protocol = defineProtocol({
  name: 'messages',
  family: 'anthropic',
  kind: 'inference',
  methods: ['POST'],
  path: '/v1/messages',
  operation: 'chat',
  body: 'json',
  stream: anthropicStream,
  usageOf: anthropicUsageOf,
  readCall(body, allowed) {
    const reading = startReading(body, false);
    readChoice(body, reading);
    readWebSearch(body, reading, allowed);
    const system = allowed?.billingLine === true ? undefined : withoutBillingLine(body.textOf('system') ?? '');
    return system === undefined ? reading : { ...reading, boxTexts: new Map([['system', system]]) };
  },
  errorBody: anthropicErrorBody,
  errorInStream: anthropicErrorInStream,
  heartbeat: anthropicHeartbeat,
  texts: anthropicTexts,
});
