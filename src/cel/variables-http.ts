/** `request` and `response`. */
import type { AnswerSeen, Exchange } from '../exchange.ts';
import { HeaderView } from './header-view.ts';
import type { Scene } from './scene.ts';
import { type Readers, View } from './views.ts';

/** `bodyPrefix` is this long at most, as in agentgateway. */
const prefixBytes = 8_192;

const request: Readers<Exchange> = new Map<string, (exchange: Exchange) => unknown>([
  ['method', ({ method }) => method],
  ['uri', (exchange) => `${schemeOf(exchange)}://${authorityOf(exchange)}${exchange.path}${exchange.query}`],
  ['host', (exchange) => exchange.host || undefined],
  ['scheme', schemeOf],
  ['path', ({ path }) => path],
  ['pathAndQuery', ({ path, query }) => `${path}${query}`],
  ['version', () => 'HTTP/1.1'],
  ['headers', ({ headers }) => new HeaderView(headers)],
  ['body', ({ heldBody }) => heldBody],
  ['bodyPrefix', ({ heldBody }) => heldBody?.subarray(0, prefixBytes)],
  ['startTime', ({ clock, startedMs }) => new Date(clock.wallTime() - (clock.now() - startedMs))],
  // Where it is over: in the log and in traces.
  ['endTime', ({ outcome, clock }) => (outcome === undefined ? undefined : new Date(clock.wallTime()))],
]);

const response: Readers<AnswerSeen> = new Map<string, (answer: AnswerSeen) => unknown>([
  ['code', ({ status }) => BigInt(status)],
  ['headers', ({ headers }) => new HeaderView(headers)],
  ['body', ({ body }) => body],
  ['bodyPrefix', ({ body }) => body?.subarray(0, prefixBytes)],
]);

export function requestView({ exchange }: Scene): unknown {
  return new View(request, exchange);
}

export function responseView({ extras }: Scene): unknown {
  return extras.answer === undefined ? undefined : new View(response, extras.answer);
}

function schemeOf({ request }: Exchange): string {
  return request.url.startsWith('https:') ? 'https' : 'http';
}

/** With its port, as the client wrote it; the policies' own view of the host wins. */
function authorityOf({ headers, host }: Exchange): string {
  return headers.get('host') ?? host;
}
