/** `GET|HEAD /api/version` and `GET|HEAD /` ("Ollama is running"): what clients and load balancers look for life with. */
import type { Protocol } from '../exchange.ts';
import { defineProtocol } from './define.ts';
import { ollamaErrorBody, ollamaErrorInStream } from './ollama.ts';

export const ollamaVersion: Protocol = defineProtocol({
  name: 'ollamaVersion',
  family: 'ollama',
  kind: 'probe',
  methods: ['GET', 'HEAD'],
  path: '/api/version',
  operation: 'none',
  body: 'none',
  errorBody: ollamaErrorBody,
  errorInStream: ollamaErrorInStream,
});

export const ollamaRoot: Protocol = defineProtocol({
  name: 'ollamaRoot',
  family: 'ollama',
  kind: 'probe',
  methods: ['GET', 'HEAD'],
  path: '/',
  operation: 'none',
  body: 'none',
  errorBody: ollamaErrorBody,
  errorInStream: ollamaErrorInStream,
});
