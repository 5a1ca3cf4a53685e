/** `GET /v1/models` and `GET /v1/models/:id`. The list is Anthropic's when the client says so (`anthropic-version` header). */
import type { Protocol } from '../exchange.ts';
import { defineProtocol } from './define.ts';
import { openaiErrorBody, openaiErrorInStream } from './openai.ts';

export const openaiModels: Protocol = defineProtocol({
  name: 'models',
  family: 'openai',
  kind: 'list',
  methods: ['GET'],
  path: '/v1/models',
  operation: 'none',
  body: 'none',
  errorBody: openaiErrorBody,
  errorInStream: openaiErrorInStream,
});

/** The id may contain slashes; Ollama itself answers 404 to those, encoded or not. */
export const openaiModel: Protocol = defineProtocol({
  name: 'model',
  family: 'openai',
  kind: 'show',
  methods: ['GET'],
  path: '/v1/models/:id',
  operation: 'none',
  body: 'none',
  errorBody: openaiErrorBody,
  errorInStream: openaiErrorInStream,
});
