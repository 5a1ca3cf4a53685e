/** From a request's bytes to a call. */
import { GatewayError } from '../errors.ts';
import type { Call, CallAllowances, Exchange, Protocol } from '../exchange.ts';
import { readObject } from '../json/read-object.ts';
import { boundaryOf, formWithModel, modelInForm } from './multipart.ts';
import { nameGiven, nameIn } from './reading.ts';

export { inflate } from './inflate.ts';
export { type BodyBudget, type BodyLimits, createBodyBudget, readBody, readInflatedBody } from './read-body.ts';

/**
 * Decodes a body once. JSON is read whatever the content type says, as Ollama does; a form needs its boundary. Throws
 * invalid_body. What only a box must refuse is not thrown but kept in `boxRefusal`, as is what to say in `boxWarnings`.
 */
export function decodeCall(
  protocol: Protocol,
  bytes: Uint8Array,
  { request }: Pick<Exchange, 'request'>,
  allowed?: CallAllowances,
): Call {
  if (protocol.body === 'multipart') return decodeForm(protocol, bytes, request);
  const body = readObject(bytes);
  const model = nameIn(body, 'model') ?? (protocol.kind === 'show' ? nameIn(body, 'name') : undefined);
  const { isStream, wantsUsage, boxChanges, boxTexts, warnings, boxRefusal } = protocol.readCall(body, allowed);
  return { protocol, body, bytes, model, isStream, wantsUsage, boxChanges, boxTexts, boxWarnings: warnings, boxRefusal };
}

function decodeForm(protocol: Protocol, bytes: Uint8Array, request: Request): Call {
  if (bytes.length === 0) throw new GatewayError('invalid_body', 'the request has no body; a form is expected');
  // Go's FormValue looks into the query before it looks into a multipart form (net/http ParseMultipartForm).
  if (new URL(request.url).searchParams.has('model'))
    throw new GatewayError('invalid_body', 'name the model in the form, not in the query');
  const boundary = boundaryOf(request.headers.get('content-type'));
  const model = modelInForm(bytes, boundary)?.model;
  return {
    protocol,
    body: undefined,
    bytes,
    model: model === undefined ? undefined : nameGiven(model, 'model'),
    isStream: false,
    wantsUsage: false,
    boxChanges: new Map(),
    boxWarnings: [],
    bytesFor: (name) => formWithModel(bytes, boundary, name),
  };
}

/** The model that a body of an unknown protocol names, JSON or form. Throws invalid_body for what is neither. */
export function modelInBody(bytes: Uint8Array, { headers }: Pick<Exchange, 'headers'>): string | undefined {
  const contentType = headers.get('content-type');
  if (contentType?.toLowerCase().startsWith('multipart/form-data') !== true) return nameIn(readObject(bytes), 'model');
  const model = modelInForm(bytes, boundaryOf(contentType))?.model;
  return model === undefined ? undefined : nameGiven(model, 'model');
}
