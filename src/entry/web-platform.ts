/** What Bun, Deno and Workers have in common: `fetch` towards the boxes, web streams towards the clients. */
import { GatewayError } from '../errors.ts';
import { contentLengthOf, endToEndHeaders } from '../http/hop-headers.ts';
import type { Platform, UpstreamRequest, UpstreamResponse } from '../platform.ts';
import { systemClock } from './clock.ts';
import { networkErrorOf } from './network-errors.ts';
import { WebBody } from './web-body.ts';
import { respondWeb } from './web-respond.ts';

export interface WebPlatformOptions {
  readonly runtime: Platform['runtime'];
  readonly hasBackground: boolean;
  /** False where `fetch` inflates answers and cannot be told not to: upstreams are then asked for plain ones. */
  readonly acceptsEncodings: boolean;
  /** What this runtime's `fetch` wants beside the standard's options. Called once per try. */
  readonly fetchOptions: (request: UpstreamRequest) => Record<string, unknown>;
  /** Who takes a request; left out: the runtime's `fetch`. */
  readonly fetcherOf?: (request: UpstreamRequest) => typeof fetch;
  readonly refuses: Platform['refuses'];
  readonly refusesServer: NonNullable<Platform['refusesServer']>;
  readonly print: Platform['print'];
  readonly report: Platform['report'];
}

export function createWebPlatform({
  runtime,
  hasBackground,
  acceptsEncodings,
  fetchOptions,
  fetcherOf = () => fetch,
  refuses,
  refusesServer,
  print,
  report,
}: WebPlatformOptions): Platform {
  const send = async (request: UpstreamRequest): Promise<UpstreamResponse> => {
    const startedMs = performance.now();
    let response: Response;
    try {
      response = await fetcherOf(request)(request.url, {
        method: request.method,
        headers: acceptsEncodings ? withoutDefaults(request.headers) : { ...request.headers, 'accept-encoding': 'identity' },
        body: request.body as BodyInit | undefined,
        redirect: 'manual',
        signal: request.signal,
        ...(request.body instanceof ReadableStream ? { duplex: 'half' } : undefined),
        ...fetchOptions(request),
      } as RequestInit);
    } catch (thrown) {
      if (request.signal.aborted) throw request.signal.reason;
      throw networkErrorOf(thrown, performance.now() - startedMs);
    }
    if (response.status < 200 || response.status > 599) {
      response.body?.cancel().catch(() => undefined);
      throw new GatewayError('upstream_closed', `status ${response.status} is none that can be handed on`);
    }
    const headers = endToEndHeaders(response.headers);
    return { status: response.status, headers, body: new WebBody(response, contentLengthOf(headers)) };
  };
  return { runtime, clock: systemClock, hasBackground, send, respond: respondWeb, refuses, refusesServer, print, report };
}

/** Runtimes ask for compressed answers by themselves; a client that did not ask could not read them. */
function withoutDefaults(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return 'accept-encoding' in headers ? headers : { ...headers, 'accept-encoding': 'identity' };
}
