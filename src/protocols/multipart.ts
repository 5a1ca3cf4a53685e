/**
 * Finds the model in a multipart/form-data body. The bytes pass on as they came, so Corral must see in them exactly what the
 * box's parser (Go mime/multipart) sees. General parsers do not agree: `name*=`, quoted-printable parts, a doubled boundary or
 * a second `model` are read one way here and another way there. So only the plain form that clients send is taken.
 */
import { GatewayError } from '../errors.ts';
import { joinBytes } from '../json/splice.ts';

const maxParts = 100;
const maxHeaderBytes = 4096;
const maxModelBytes = 1024;

/** Where the model's name stands, and the name. */
export interface FormModel {
  readonly model: string;
  readonly from: number;
  readonly to: number;
}

function refusal(message: string): GatewayError {
  return new GatewayError('invalid_body', message);
}

/** The boundary in a content type that says multipart/form-data and nothing odd. Throws invalid_body. */
export function boundaryOf(contentType: string | null): string {
  const match = /^multipart\/form-data\s*;\s*boundary=(?:"([\w'()+,\-./:=? ]{1,70})"|([\w'+\-.]{1,70}))\s*;?\s*$/i.exec(
    contentType ?? '',
  );
  const boundary = match?.[1] ?? match?.[2];
  if (boundary === undefined)
    throw refusal('the body must be multipart/form-data, with one boundary and no other parameter in its content-type');
  return boundary;
}

/** The form's one `model` field; undefined when it has none. Throws invalid_body for forms that two parsers may read differently. */
export function modelInForm(bytes: Uint8Array, boundary: string): FormModel | undefined {
  const delimiter = asciiOf(`\r\n--${boundary}`);
  if (!startsWith(bytes, delimiter.subarray(2), 0)) throw refusal('the form does not start with its boundary');
  let found: FormModel | undefined;
  let at = delimiter.length - 2;
  for (let parts = 0; parts <= maxParts; parts++) {
    if (startsWith(bytes, asciiOf('--'), at)) return found;
    if (!startsWith(bytes, asciiOf('\r\n'), at)) throw refusal('a boundary of the form is not followed by a line end');
    const headersTo = indexOf(bytes, asciiOf('\r\n\r\n'), at, at + maxHeaderBytes);
    if (headersTo < 0) throw refusal('a part of the form has no headers, or too long ones');
    const bodyFrom = headersTo + 4;
    const bodyTo = indexOf(bytes, delimiter, headersTo + 2, bytes.length);
    if (bodyTo < 0) throw refusal('the form ends before its last boundary');
    const isEmpty = bodyTo < bodyFrom;
    if (fieldName(bytes.subarray(at + 2, headersTo)) === 'model') {
      if (found !== undefined) throw refusal('the form has more than one model field');
      found = {
        model: isEmpty ? '' : modelText(bytes.subarray(bodyFrom, bodyTo)),
        from: bodyFrom,
        to: Math.max(bodyFrom, bodyTo),
      };
    }
    at = bodyTo + delimiter.length;
  }
  throw refusal(`the form has more than ${maxParts} parts`);
}

/** The same form with this model: in place of the one it names, or as a first field. */
export function formWithModel(bytes: Uint8Array, boundary: string, model: string): Uint8Array {
  const name = new TextEncoder().encode(model);
  const found = modelInForm(bytes, boundary);
  if (found !== undefined) return joinBytes([bytes.subarray(0, found.from), name, bytes.subarray(found.to)]);
  const head = asciiOf(`--${boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\n`);
  return joinBytes([head, name, asciiOf('\r\n'), bytes]);
}

/** The name of a part, by its headers. */
function fieldName(headerBytes: Uint8Array): string {
  const lines = new TextDecoder('latin1').decode(headerBytes).split('\r\n');
  let disposition: string | undefined;
  for (const line of lines) {
    const match = /^([\w-]+):[ \t]*(.*)$/.exec(line);
    const value = match?.[2]?.trim() ?? '';
    switch (match?.[1]?.toLowerCase()) {
      case undefined:
        throw refusal('a part of the form has a header that is not plain');
      case 'content-disposition':
        if (disposition !== undefined) throw refusal('a part of the form has two Content-Disposition headers');
        disposition = value;
        break;
      case 'content-transfer-encoding':
        // Go undoes quoted-printable by itself.
        if (!/^(?:binary|7bit|8bit)$/i.test(value)) throw refusal('Content-Transfer-Encoding is not understood in forms');
    }
  }
  return nameIn(disposition ?? '');
}

function nameIn(disposition: string): string {
  const parameter = /\s*;\s*([\w-]+\*?)=("(?:[^"\\]|\\["\\])*"|[^\s";,\\]+)/y;
  const start = /^form-data/i.exec(disposition)?.[0].length ?? -1;
  if (start < 0) throw refusal('a part of the form is no form-data');
  const names: string[] = [];
  let at = start;
  while (at < disposition.length) {
    parameter.lastIndex = at;
    const match = parameter.exec(disposition);
    const key = match?.[1]?.toLowerCase();
    if (match === null || key === undefined || key.startsWith('name*'))
      throw refusal('a part of the form has a Content-Disposition that is not plain');
    if (key === 'name') names.push(match[2] ?? '');
    at = parameter.lastIndex;
  }
  const [name] = names;
  if (name === undefined || names.length > 1 || /[\\%]/.test(name)) throw refusal('a part of the form has no plain name');
  return name.replaceAll('"', '');
}

function modelText(bytes: Uint8Array): string {
  if (bytes.length > maxModelBytes) throw refusal('the model field of the form is too long');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw refusal('the model field of the form is not valid UTF-8');
  }
}

function asciiOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function startsWith(bytes: Uint8Array, wanted: Uint8Array, at: number): boolean {
  for (let index = 0; index < wanted.length; index++) if (bytes[at + index] !== wanted[index]) return false;
  return true;
}

/**
 * Where `wanted` begins in `[from, to)`. A plain loop: `indexOf` for the first byte is quicker on audio, but a body made of
 * carriage returns alone would then take seconds.
 */
function indexOf(bytes: Uint8Array, wanted: Uint8Array, from: number, to: number): number {
  const first = wanted[0];
  const last = Math.min(to, bytes.length);
  for (let at = from; at < last; at++) if (bytes[at] === first && startsWith(bytes, wanted, at)) return at;
  return -1;
}
