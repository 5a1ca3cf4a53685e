/**
 * The variables that expressions read, agentgateway's (its schema/cel.md) and Corral's own `user`. Everything is optional:
 * reading what is not there fails the expression, which `has()`, `default()` and `coalesce()` are made for.
 */
import type { Exchange } from '../exchange.ts';
import { type CelExtras, Redacted } from './expression.ts';
import type { Scene } from './scene.ts';
import { celCopyOf } from './values.ts';
import { requestView, responseView } from './variables-http.ts';
import { llmRequestOf, llmView } from './variables-llm.ts';
import { type Readers, View } from './views.ts';

type Variable = (scene: Scene) => unknown;

const members = <Source>(readers: Record<string, (source: Source) => unknown>): Readers<Source> =>
  new Map(Object.entries(readers));

const source = members<Scene>({
  address: ({ exchange }) => exchange.peer.address(),
  rawAddress: ({ exchange }) => exchange.peer.address(),
});

const destination = members<Scene>({
  port: ({ exchange }) => (exchange.peer.port === undefined ? undefined : BigInt(exchange.peer.port)),
});

/** agentgateway's namespace outside Kubernetes. */
const named = members<string>({ name: (name) => name || undefined, namespace: () => 'default' });

const nameOnly = members<string>({ name: (name) => name || undefined });

const proxy = members<Scene>({
  bind: ({ exchange }) => (exchange.peer.port === undefined ? undefined : `bind/${exchange.peer.port}`),
  gateway: ({ exchange }) => new View(named, exchange.gatewayName),
  listener: ({ exchange }) => new View(nameOnly, exchange.listenerName),
  route: ({ exchange }) => new View(named, exchange.routeName),
});

/** The claims, and the token itself where it was kept. */
function jwtOf({ exchange }: Scene): unknown {
  const { jwt, rawToken } = exchange.claims ?? {};
  const claims = celCopyOf(jwt);
  if (rawToken === undefined || claims === undefined) return claims;
  return { ...(claims as object), rawToken: new Redacted(rawToken) };
}

/** agentgateway fills these in Kubernetes only, and with nothing elsewhere. */
const env = Object.freeze({ podName: '', namespace: '', gateway: '' });

/** By name. undefined: agentgateway knows it, and there is never anything in it here. */
export const variables: ReadonlyMap<string, Variable | undefined> = new Map<string, Variable | undefined>([
  ['request', requestView],
  ['response', responseView],
  ['llm', llmView],
  ['llmRequest', llmRequestOf],
  ['apiKey', ({ exchange }) => celCopyOf(exchange.identity?.metadata)],
  ['jwt', jwtOf],
  ['basicAuth', ({ exchange }) => celCopyOf(exchange.claims?.basicAuth)],
  ['user', ({ exchange }) => celCopyOf(exchange.claims?.user)],
  ['extauthz', ({ exchange }) => celCopyOf(exchange.claims?.extauthz)],
  // Not by `celCopyOf`, which would keep the first copy: transformations add to it.
  ['metadata', ({ exchange }) => (exchange.metadata === undefined ? undefined : celCopyOf({ ...exchange.metadata }))],
  ['source', (scene) => new View(source, scene)],
  ['destination', (scene) => new View(destination, scene)],
  ['backend', ({ extras }) => extras.backend],
  ['proxy', (scene) => new View(proxy, scene)],
  ['env', () => env],
  ['extproc', undefined],
  ['mcp', undefined],
]);

/** What cel-js reads the variables from: a member for each, computed when it is read. */
export class SceneContext implements Scene {
  readonly exchange: Exchange;
  readonly extras: CelExtras;

  constructor(exchange: Exchange, extras: CelExtras) {
    this.exchange = exchange;
    this.extras = extras;
  }
}

for (const [name, variable] of variables) {
  Object.defineProperty(SceneContext.prototype, name, {
    get(this: SceneContext): unknown {
      return variable?.(this);
    },
  });
}
