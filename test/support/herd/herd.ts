/** A herd in this process: boxes by address, and a `Platform` whose upstream client reaches them without a socket, in virtual time. */

import { WebBody } from '../../../src/entry/web-body.ts';
import { respondWeb } from '../../../src/entry/web-respond.ts';
import { GatewayError } from '../../../src/errors.ts';
import { contentLengthOf, endToEndHeaders } from '../../../src/http/hop-headers.ts';
import type { Clock, Platform, UpstreamRequest, UpstreamResponse } from '../../../src/platform.ts';
import { SimulatedBox } from './box.ts';
import type { BoxSetting } from './setting.ts';
import type { Sink } from './sink.ts';

export interface SimulatedHerd {
  readonly boxes: readonly SimulatedBox[];
  readonly platform: Platform;
  /** Lines of the access log, where they are kept. */
  readonly lines: string[];
  readonly reports: string[];
  /** Requests of the gateway that have not ended, by the gateway's own count. */
  readonly open: number;
}

export interface HerdSetting {
  readonly clock: Clock;
  readonly boxes: readonly (Partial<BoxSetting> & Pick<BoxSetting, 'url'>)[];
  readonly hasBackground?: boolean;
}

export function createHerd({ clock, boxes: settings, hasBackground = true }: HerdSetting): SimulatedHerd {
  const boxes = settings.map((setting) => new SimulatedBox(setting, clock));
  const byOrigin = new Map(boxes.map((box) => [new URL(box.setting.url).origin, box]));
  const lines: string[] = [];
  const reports: string[] = [];
  let open = 0;

  const send = async (request: UpstreamRequest): Promise<UpstreamResponse> => {
    const url = new URL(request.url);
    const body = await textOf(request.body);
    if (request.signal.aborted) throw request.signal.reason;
    const box = byOrigin.get(url.origin);
    if (box === undefined) throw new GatewayError('upstream_unresolved', `no box at ${url.origin}`);
    if (box.state === 'refusing' && box.setting.tunnelSilenceMs === undefined)
      throw new GatewayError('upstream_refused', `${url.host} refuses connections`);
    open++;
    return await ask(box, { ...request, pathname: url.pathname, body, host: url.host }, () => open--);
  };

  return {
    boxes,
    lines,
    reports,
    get open() {
      return open;
    },
    platform: {
      runtime: 'node',
      clock,
      hasBackground,
      send,
      respond: respondWeb,
      refuses: () => undefined,
      print: (line) => lines.push(line),
      report: (level, message) => reports.push(`${level} ${message}`),
    },
  };
}

type Asked = Pick<UpstreamRequest, 'method' | 'signal'> & {
  readonly pathname: string;
  readonly body: string;
  readonly host: string;
};

/** One request to a box, as the runtime's `fetch` would make it. */
function ask(box: SimulatedBox, { method, signal, pathname, body, host }: Asked, onOver: () => void): Promise<UpstreamResponse> {
  return new Promise((resolve, reject) => {
    const encoder = new TextEncoder();
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    let isOver = false;
    let leave: () => void = () => undefined;
    const over = (): boolean => {
      if (isOver) return false;
      isOver = true;
      signal.removeEventListener('abort', onAbort);
      onOver();
      return true;
    };
    const onAbort = (): void => {
      if (!over()) return;
      leave();
      reject(signal.reason);
      controller?.error(signal.reason);
    };
    const source = new ReadableStream<Uint8Array>({
      start(own) {
        controller = own;
      },
      cancel() {
        if (over()) leave();
      },
    });
    const sink: Sink = {
      head(status, told) {
        if (isOver) return;
        const headers = endToEndHeaders(new Headers({ ...told }));
        resolve({ status, headers, body: new WebBody(new Response(source), contentLengthOf(headers)) });
      },
      chunk(text) {
        if (!isOver) controller?.enqueue(encoder.encode(text));
      },
      end(how) {
        if (!over()) return;
        if (how === 'clean') {
          controller?.close();
          return;
        }
        const cause = new GatewayError('upstream_closed', 'the connection was reset');
        reject(cause);
        controller?.error(cause);
      },
    };
    signal.addEventListener('abort', onAbort);
    leave = box.take({ method, pathname, body, host }, sink);
    if (isOver) leave();
  });
}

async function textOf(body: UpstreamRequest['body']): Promise<string> {
  if (body === undefined) return '';
  if (body instanceof Uint8Array) return new TextDecoder().decode(body);
  return await new Response(body as ReadableStream<Uint8Array<ArrayBuffer>>).text();
}
