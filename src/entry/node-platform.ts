/** Node: `undici` towards the boxes, the socket itself towards the clients. */
import type { Platform, UpstreamRequest, UpstreamResponse } from '../platform.ts';
import { certificateTrouble } from './certificates.ts';
import { systemClock } from './clock.ts';
import { networkErrorOf } from './network-errors.ts';
import { noBindings } from './no-bindings.ts';
import { createAgents } from './node-agents.ts';
import { NodeBody } from './node-body.ts';
import { createNodeRespond, type TakeRelay } from './node-respond.ts';
import { processConsole } from './process-console.ts';

export interface NodePlatform extends Platform {
  readonly takeRelay: TakeRelay;
  /** Closes the connections to upstreams. */
  close(): Promise<void>;
}

export function createNodePlatform(): NodePlatform {
  const agents = createAgents();
  const { respond, takeRelay } = createNodeRespond();

  const send = (request: UpstreamRequest): Promise<UpstreamResponse> =>
    new Promise((resolve, reject) => {
      const { url, signal } = request;
      if (signal.aborted) return reject(signal.reason);
      const pathStart = url.indexOf('/', url.indexOf('//') + 2);
      const body = new NodeBody(request, performance.now(), resolve, reject);
      try {
        agents.agentFor(request.tls).dispatch(
          {
            origin: pathStart < 0 ? url : url.slice(0, pathStart),
            path: pathStart < 0 ? '/' : url.slice(pathStart),
            method: request.method,
            headers: request.headers as Record<string, string>,
            body: request.body as Uint8Array | null,
          },
          body,
        );
      } catch (thrown) {
        reject(networkErrorOf(thrown, 0));
      }
    });

  return {
    runtime: 'node',
    clock: systemClock,
    hasBackground: true,
    send,
    respond,
    takeRelay,
    refuses: ({ binding }) => (binding === undefined ? undefined : noBindings),
    refusesServer: certificateTrouble,
    ...processConsole(),
    close: () => agents.close(),
  };
}
