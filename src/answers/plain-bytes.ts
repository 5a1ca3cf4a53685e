/** An answer that is looked into must be readable: its content-encoding is undone. */
import { GatewayError } from '../errors.ts';
import type { UpstreamResponse } from '../platform.ts';

const formats: Readonly<Record<string, CompressionFormat>> = {
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
};

/**
 * The bytes without their content-encoding, which goes from the headers with the length that was the coded one's. Throws
 * upstream_closed for codings that the runtimes do not know; upstreams are not asked for any where this is foreseen.
 */
export function plainBytes({ headers, body }: UpstreamResponse, upstreamName: string): ReadableStream<Uint8Array> {
  const coding = headers.get('content-encoding')?.trim().toLowerCase() ?? '';
  if (coding === '' || coding === 'identity') return body.stream();
  const format = formats[coding];
  if (format === undefined) {
    body.cancel();
    throw new GatewayError(
      'upstream_closed',
      `${upstreamName} answered with content-encoding: ${coding.slice(0, 60)}, and the answer must be read here; let it answer without`,
    );
  }
  headers.delete('content-encoding');
  headers.delete('content-length');
  // The types of the two sides differ in what memory a chunk may lie in; nobody here minds.
  return body.stream().pipeThrough(new DecompressionStream(format) as unknown as ReadableWritablePair<Uint8Array, Uint8Array>);
}
