/** `POST /v1/messages/count_tokens`. Ollama has no such path (404): the count is estimated here, `count-tokens.ts`. */
import type { Protocol } from '../exchange.ts';
import { anthropicErrorBody, anthropicErrorInStream } from './anthropic.ts';
import { defineProtocol } from './define.ts';

export const anthropicCountTokens: Protocol = defineProtocol({
  // agentgateway's name.
  name: 'anthropicTokenCount',
  family: 'anthropic',
  kind: 'estimate',
  methods: ['POST'],
  path: '/v1/messages/count_tokens',
  operation: 'none',
  body: 'json',
  errorBody: anthropicErrorBody,
  errorInStream: anthropicErrorInStream,
});
