/** Compressed request bodies: gzip and zstd are understood, within the body limit, so that a small body cannot become a huge one. */
import { GatewayError } from '../errors.ts';
import { joinBytes } from '../json/splice.ts';

const understood = 'gzip, zstd and identity';

/**
 * The body without its `Content-Encoding`. Throws unsupported_encoding (415) for other codings and for several at once,
 * body_too_large (413) when more than `maxBytes` come out, invalid_body (400) when the bytes are not what the header says.
 */
export async function inflate(
  bytes: Uint8Array,
  contentEncoding: string | null | undefined,
  maxBytes: number,
): Promise<Uint8Array> {
  switch (contentEncoding?.trim().toLowerCase() ?? '') {
    case '':
    case 'identity':
      return bytes;
    case 'gzip':
    case 'x-gzip':
      return await inflateGzip(bytes, maxBytes);
    case 'zstd':
      return await inflateZstdBody(bytes, maxBytes);
    default:
      throw new GatewayError(
        'unsupported_encoding',
        `request bodies may be sent as ${understood}, one of them at a time; this one says content-encoding: ${contentEncoding?.trim().slice(0, 60)}`,
        { headers: { 'accept-encoding': 'gzip, zstd' } },
      );
  }
}

export function bodyTooLarge(maxBytes: number): GatewayError {
  return new GatewayError(
    'body_too_large',
    `the request body is larger than ${maxBytes} bytes; fleet.maxBodyBytes sets this limit`,
  );
}

function corrupt(coding: string, cause: unknown): GatewayError {
  return new GatewayError('invalid_body', `the request body says it is ${coding}, but it cannot be inflated`, { cause });
}

async function inflateGzip(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  const source = new Response(bytes as Uint8Array<ArrayBuffer>).body;
  const reader = source?.pipeThrough(new DecompressionStream('gzip')).getReader();
  const parts: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const { value } = await nextPart(reader);
    if (value === undefined) break;
    total += value.length;
    if (total > maxBytes) {
      // The rest of a compression bomb is never inflated.
      reader?.cancel().catch(() => undefined);
      throw bodyTooLarge(maxBytes);
    }
    parts.push(value);
  }
  return joinBytes(parts);
}

async function nextPart(
  reader: ReadableStreamDefaultReader<Uint8Array> | undefined,
): Promise<{ value?: Uint8Array | undefined }> {
  try {
    return (await reader?.read()) ?? {};
  } catch (thrown) {
    throw corrupt('gzip', thrown);
  }
}

/** Few clients send it, so it is loaded when the first one does. */
async function inflateZstdBody(bytes: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  const { inflateZstd, ZstdError } = await import('./zstd.ts');
  try {
    return inflateZstd(bytes, maxBytes);
  } catch (thrown) {
    if (!(thrown instanceof ZstdError) || thrown.fault === 'corrupt') throw corrupt('zstd', thrown);
    if (thrown.fault === 'too_large') throw bodyTooLarge(maxBytes);
    throw new GatewayError(
      'unsupported_encoding',
      'the zstd body is made of too many or too small pieces, or needs a dictionary; send it as one plain frame that tells its size',
      { cause: thrown },
    );
  }
}
