/** `json`, `toJson`, `jsonField`, `unvalidatedJwtPayload`. */
import type { Environment } from '@marcbachmann/cel-js';
import { spendWork } from './evaluation.ts';
import { CelFailure, CelMissing } from './expression.ts';
import { sync } from './namespaces.ts';
import { bytesOfBase64, celValueOfJson, jsonOf } from './values.ts';

const decoder = new TextDecoder();

export function registerJson(environment: Environment): void {
  environment.registerFunction('json(string): dyn', read, sync);
  environment.registerFunction('json(bytes): dyn', read, sync);
  // Stands in for cel-js's `json()`, which knows no ints.
  environment.registerFunction('bytes.jsonValue(): dyn', read, sync);
  environment.registerFunction('jsonField(string, string): dyn', fieldOf, sync);
  environment.registerFunction('jsonField(bytes, string): dyn', fieldOf, sync);
  // `to_json` is agentgateway's older name.
  environment.registerFunction('toJson(dyn): string', write, sync);
  environment.registerFunction('to_json(dyn): string', write, sync);
  environment.registerFunction('unvalidatedJwtPayload(string): dyn', payloadOf, sync);
}

function read(text: string | Uint8Array): unknown {
  spendWork(text.length);
  return celValueOfJson(typeof text === 'string' ? text : decoder.decode(text));
}

function fieldOf(text: string | Uint8Array, name: string): unknown {
  const value = read(text);
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && Object.hasOwn(value, name)) {
    return (value as Record<string, unknown>)[name];
  }
  throw new CelMissing('the JSON has no such field');
}

function write(value: unknown): string {
  const json = jsonOf(value);
  spendWork(json.length);
  return json;
}

function payloadOf(token: string): unknown {
  const [, payload, ...rest] = token.split('.');
  if (payload === undefined || rest.length !== 1) throw new CelFailure('a JWT has three parts');
  return read(bytesOfBase64(payload.replaceAll('-', '+').replaceAll('_', '/')));
}
