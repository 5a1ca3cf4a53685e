/** `GET /api/tags`, `GET /api/ps` and `POST /api/show`: what Corral answers from all boxes together. */
import type { Protocol } from '../exchange.ts';
import { defineProtocol } from './define.ts';
import { ollamaErrorBody, ollamaErrorInStream } from './ollama.ts';
import { nameIn, startReading } from './reading.ts';

export const ollamaTags: Protocol = defineProtocol({
  name: 'ollamaTags',
  family: 'ollama',
  kind: 'list',
  methods: ['GET', 'HEAD'],
  path: '/api/tags',
  operation: 'none',
  body: 'none',
  errorBody: ollamaErrorBody,
  errorInStream: ollamaErrorInStream,
});

export const ollamaPs: Protocol = defineProtocol({
  name: 'ollamaPs',
  family: 'ollama',
  kind: 'list',
  methods: ['GET'],
  path: '/api/ps',
  operation: 'none',
  body: 'none',
  errorBody: ollamaErrorBody,
  errorInStream: ollamaErrorInStream,
});

export const ollamaShow: Protocol = defineProtocol({
  name: 'ollamaShow',
  family: 'ollama',
  kind: 'show',
  methods: ['POST'],
  path: '/api/show',
  operation: 'none',
  body: 'json',
  /** `name` is the older spelling of `model`, read when that is empty (routes.go, ShowHandler): one of the two is sent on. */
  readCall(body) {
    const reading = startReading(body, false);
    reading.isStream = false;
    if (!body.has('name')) return reading;
    const model = nameIn(body, 'model') ?? nameIn(body, 'name');
    if (model !== undefined) reading.boxChanges.set('model', model);
    reading.boxChanges.set('name', undefined);
    return reading;
  },
  errorBody: ollamaErrorBody,
  errorInStream: ollamaErrorInStream,
});
