import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import { networkErrorOf } from '../../../src/entry/network-errors.ts';
import { GatewayError } from '../../../src/errors.ts';

/** An error as a runtime threw it: made with the code and message that were seen. */
function seen(message: string, code?: string, cause?: Error): Error {
  return Object.assign(new Error(message, { cause }), code === undefined ? {} : { code });
}

/** Deno says "fetch failed" and puts the reason below. */
function seenOnDeno(reason: string): Error {
  return new TypeError('fetch failed', { cause: new Error(reason) });
}

// Observed 2026-11-22 against a closed port, a name under .invalid, TLS towards a plain port, a self-signed certificate, a
// peer that closes or resets before its answer, and one that answers nonsense.
const observed: readonly (readonly [runtime: string, thrown: Error, code: string])[] = [
  ['Node 24, undici 8', seen('connect ECONNREFUSED 127.0.0.1:7199', 'ECONNREFUSED'), 'upstream_refused'],
  ['Node 24, undici 8', seen('connect ENETUNREACH 255.255.255.255:1 - Local (0.0.0.0:0)', 'ENETUNREACH'), 'upstream_refused'],
  ['Node 24, undici 8', seen('getaddrinfo ENOTFOUND nowhere.invalid', 'ENOTFOUND'), 'upstream_unresolved'],
  ['Node 24, undici 8', seen('getaddrinfo EAI_AGAIN nowhere.invalid', 'EAI_AGAIN'), 'upstream_unresolved'],
  [
    'Node 24, undici 8',
    seen('Connect Timeout Error (attempted address: fe80::1:80, timeout: 2000ms)', 'UND_ERR_CONNECT_TIMEOUT'),
    'upstream_silent',
  ],
  [
    'Node 24, undici 8',
    seen('40DDE5:error:0A00010B:SSL routines:tls_validate_record_header:wrong version number', 'ERR_SSL_WRONG_VERSION_NUMBER'),
    'upstream_tls',
  ],
  [
    'Node 24, undici 8',
    seen(
      'self-signed certificate; if the root CA is installed locally, try running Node.js with --use-system-ca',
      'DEPTH_ZERO_SELF_SIGNED_CERT',
    ),
    'upstream_tls',
  ],
  [
    'Node 24, undici 8',
    seen("Hostname/IP does not match certificate's altnames", 'ERR_TLS_CERT_ALTNAME_INVALID'),
    'upstream_tls',
  ],
  ['Node 24, undici 8', seen('other side closed', 'UND_ERR_SOCKET'), 'upstream_closed'],
  ['Node 24, undici 8', seen('read ECONNRESET', 'ECONNRESET'), 'upstream_closed'],
  ['Node 24, undici 8', seen('Response does not match the HTTP/1.1 protocol (Expected HTTP/, RTSP/ or ICE/)'), 'upstream_closed'],
  [
    'Bun 1.4',
    seen('ECONNREFUSED: Unable to connect. Is the computer able to access the url?', 'ECONNREFUSED'),
    'upstream_refused',
  ],
  ['Bun 1.2', seen('Unable to connect. Is the computer able to access the url?', 'ConnectionRefused'), 'upstream_refused'],
  ['Bun 1.2', seen('Was there a typo in the url or port?', 'FailedToOpenSocket'), 'upstream_refused'],
  ['Bun 1.4', seen('EINVAL: Was there a typo in the url or port?', 'EINVAL'), 'upstream_refused'],
  ['Bun 1.4', seen('getaddrinfo ENOTFOUND nowhere.invalid', 'ENOTFOUND'), 'upstream_unresolved'],
  ['Bun 1.4', seen('EPROTO: The TLS handshake failed. Does the server speak TLS on this port?', 'EPROTO'), 'upstream_tls'],
  ['Bun 1.4', seen('self signed certificate', 'DEPTH_ZERO_SELF_SIGNED_CERT'), 'upstream_tls'],
  ['Bun 1.4', seen('ECONNRESET: The socket connection was closed unexpectedly.', 'ECONNRESET'), 'upstream_closed'],
  ['Bun 1.4', seen('Malformed_HTTP_Response fetching "http://127.0.0.1:7106/".', 'Malformed_HTTP_Response'), 'upstream_closed'],
  [
    'Deno 2.9',
    seenOnDeno(
      'error sending request for url (http://127.0.0.1:7199/): client error (Connect): tcp connect error: Connection refused (os error 111)',
    ),
    'upstream_refused',
  ],
  ['Deno 2.9', new TypeError('Fetch failed: Requests to port 1 are blocked'), 'upstream_refused'],
  [
    'Deno 2.9',
    seenOnDeno(
      'error sending request for url (http://nowhere.invalid/): client error (Connect): dns error: failed to lookup address information: Name or service not known',
    ),
    'upstream_unresolved',
  ],
  [
    'Deno 2.9',
    seenOnDeno(
      'error sending request for url (https://127.0.0.1:7107/): client error (Connect): received corrupt message of type InvalidContentType',
    ),
    'upstream_tls',
  ],
  [
    'Deno 2.9',
    seenOnDeno(
      'error sending request for url (https://127.0.0.1:7105/): client error (Connect): invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))',
    ),
    'upstream_tls',
  ],
  [
    'Deno 2.9',
    seenOnDeno(
      'error sending request from 127.0.0.1:42448 for http://127.0.0.1:7101/ (127.0.0.1:7101): client error (SendRequest): connection closed before message completed',
    ),
    'upstream_closed',
  ],
  ['Deno 2.9', seenOnDeno('Connection reset by peer (os error 104)'), 'upstream_closed'],
  [
    'Deno 2.9',
    seenOnDeno(
      'error sending request from 127.0.0.1:37308 for http://127.0.0.1:7106/ (127.0.0.1:7106): client error (SendRequest): invalid HTTP version parsed',
    ),
    'upstream_closed',
  ],
  ['workerd 2026-11', new Error('Network connection lost.'), 'upstream_refused'],
  // workerd keeps names that do not resolve and certificates that do not fit to its own log.
  ['workerd 2026-11', new Error('internal error; reference = t2o98lj9hpd1qu8masnbrpn0'), 'upstream_unavailable'],
];

describe('networkErrorOf', () => {
  it.each(observed)('%s: %s', (_runtime, thrown, code) => {
    const error = networkErrorOf(thrown, 3);
    expect(error).toBeInstanceOf(GatewayError);
    expect(error.code).toBe(code);
    expect(error.retryable).toBe(true);
    expect(error.cause).toBe(thrown);
  });

  it('looks into the first of the errors when Node tried several addresses', () => {
    const both = new AggregateError([
      seen('connect ECONNREFUSED ::1:1', 'ECONNREFUSED'),
      seen('connect ECONNREFUSED 127.0.0.1:1', 'ECONNREFUSED'),
    ]);
    expect(networkErrorOf(both, 3).code).toBe('upstream_refused');
  });

  it('takes a connection that is lost on workerd after a while for one that broke, not for one refused', () => {
    expect(networkErrorOf(new Error('Network connection lost.'), 5_000).code).toBe('upstream_closed');
  });

  it('knows that after the headers a connection can only have been closed', () => {
    expect(networkErrorOf(new TypeError('error reading a body from connection')).code).toBe('upstream_closed');
    expect(networkErrorOf(seen('connect ECONNREFUSED 127.0.0.1:1', 'ECONNREFUSED')).code).toBe('upstream_closed');
  });

  it('hands on what is a GatewayError already: the reason that a try was aborted with', () => {
    const reason = new GatewayError('upstream_timeout', 'too slow');
    expect(networkErrorOf(reason)).toBe(reason);
  });

  it('does not blame the box for a mistake of ours', () => {
    expect(networkErrorOf(new ReferenceError('x is not defined'), 3).code).toBe('internal');
  });

  it('says why TLS failed, without the lines of OpenSSL', () => {
    expect(networkErrorOf(seen('40DD:error:0A00010B:SSL routines', 'ERR_SSL_WRONG_VERSION_NUMBER'), 3).message).toBe(
      'no TLS connection (ERR_SSL_WRONG_VERSION_NUMBER)',
    );
  });

  it("knows this machine's own refusal", async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    const thrown = await fetch(`http://127.0.0.1:${port}/`).catch((error: unknown) => error);
    expect(networkErrorOf(thrown, 3).code).toBe('upstream_refused');
  });
});
