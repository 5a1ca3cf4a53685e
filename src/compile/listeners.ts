/** Who listens where: the three dialects brought to one form, before anything of it is compiled. */
import type { Config, ListenerTls, PolicyOptions, RouteConfig } from '../config/schema.ts';
import { type AttachedPolicies, type ListenerNamed, mergeOptions } from './attached.ts';
import type { PolicyLayer } from './policy-stack.ts';
import { policiesOf, type RouteWanted } from './routes.ts';

export interface ListenerWanted {
  readonly name: string;
  readonly gatewayName: string;
  readonly hostname: string;
  readonly layer: PolicyLayer;
  readonly routes: readonly RouteWanted[];
  /** Policies that are attached to the listener for each of its routes. */
  readonly routePolicies: PolicyOptions;
  /** Beside its routes, a listener may serve the models of `llm`. */
  readonly servesLlm: boolean;
  readonly tls: ListenerTls | undefined;
  /** Of the listener itself. */
  readonly yamlPath: string;
}

export interface BindWanted {
  readonly port: number;
  readonly listeners: readonly ListenerWanted[];
}

/** agentgateway's port for an `llm` section that says nothing else. */
const llmPort = 4000;

export function listenersWanted(config: Config, attached: AttachedPolicies): readonly BindWanted[] {
  return [...bindsWanted(config, attached), ...gatewaysWanted(config, attached), ...llmWanted(config, attached)];
}

interface Place {
  readonly named: ListenerNamed;
  readonly gatewayName: string;
  readonly hostname: string;
  readonly policies: PolicyOptions;
  readonly yamlPath: string;
  readonly servesLlm: boolean;
  readonly tls: ListenerTls | undefined;
  readonly listenerPath: string;
  readonly routes: readonly { readonly config: RouteConfig; readonly yamlPath: string; readonly index: number }[];
}

function listenerWanted(place: Place, attached: AttachedPolicies): ListenerWanted {
  const { named, gatewayName, hostname, policies, yamlPath, servesLlm, routes } = place;
  const routePolicies = attached.forListener(named, 'route');
  return {
    name: named.listener,
    gatewayName,
    hostname,
    layer: {
      options: mergeOptions(attached.forListener(named, 'gateway'), policies),
      place: 'listener',
      yamlPath,
      stateKey: `${gatewayName}/${named.listener}`,
    },
    routes: routes.map(({ config, yamlPath: path, index }) => ({
      config: { ...config, policies: mergeOptions(routePolicies, policiesOf(config, index, { attached })) },
      yamlPath: path,
      name: config.name ?? `route${index}`,
    })),
    routePolicies,
    servesLlm,
    tls: place.tls,
    yamlPath: place.listenerPath,
  };
}

function bindsWanted(config: Config, attached: AttachedPolicies): BindWanted[] {
  return config.binds.map(({ port, listeners }, bindIndex) => ({
    port,
    listeners: listeners.map((listener, index) => {
      const yamlPath = `binds[${bindIndex}].listeners[${index}]`;
      return listenerWanted(
        {
          named: { gateway: 'default', listener: listener.name ?? `listener${index}`, port },
          gatewayName: `bind/${port}`,
          hostname: listener.hostname,
          policies: listener.policies,
          yamlPath: `${yamlPath}.policies`,
          servesLlm: false,
          tls: listener.tls,
          listenerPath: yamlPath,
          routes: listener.routes.map((route, at) => ({ config: route, yamlPath: `${yamlPath}.routes[${at}]`, index: at })),
        },
        attached,
      );
    }),
  }));
}

function gatewaysWanted(config: Config, attached: AttachedPolicies): BindWanted[] {
  return Object.entries(config.gateways).map(([gatewayName, gateway]) => {
    const yamlPath = `gateways.${gatewayName}`;
    const own =
      gateway.listeners.length > 0
        ? gateway.listeners.map((listener, index) => ({ ...listener, yamlPath: `${yamlPath}.listeners[${index}]`, index }))
        : [{ name: undefined, hostname: '*', policies: gateway.policies, tls: gateway.tls, yamlPath, index: 0 }];
    return {
      port: gateway.port,
      listeners: own.map(({ name, hostname, policies, tls, yamlPath: place, index }) => {
        const listener = name ?? `listener${index}`;
        const names = [gatewayName, `${gatewayName}/${listener}`];
        return listenerWanted(
          {
            named: { gateway: gatewayName, listener, port: gateway.port },
            gatewayName,
            hostname,
            policies,
            yamlPath: place,
            servesLlm: servesLlm(config, names),
            tls,
            listenerPath: place,
            routes: config.routes.flatMap((route, at) =>
              isAttached(route.gateways, names) ? [{ config: route, yamlPath: `routes[${at}]`, index: at }] : [],
            ),
          },
          attached,
        );
      }),
    };
  });
}

/** `names`: the gateway's, and with it the listener's. Who names none is with the gateway `default`. */
function isAttached(wanted: readonly string[], names: readonly string[]): boolean {
  return wanted.length === 0 ? names[0] === 'default' : wanted.some((one) => names.includes(one));
}

function servesLlm({ llm }: Config, names: readonly string[]): boolean {
  if (llm === undefined || (llm.gateways.length === 0 && llm.port !== undefined)) return false;
  return isAttached(llm.gateways, names);
}

/** `llm` on a port of its own, when no gateway serves it. Its policies stand on that listener. */
function llmWanted(config: Config, attached: AttachedPolicies): BindWanted[] {
  const { llm } = config;
  if (llm === undefined || llm.gateways.length > 0 || (llm.port === undefined && config.gateways.default !== undefined))
    return [];
  const port = llm.port ?? llmPort;
  const place: Place = {
    named: { gateway: 'llm', listener: 'llm', port },
    gatewayName: 'llm',
    hostname: '*',
    policies: {},
    yamlPath: 'llm',
    servesLlm: true,
    tls: llm.tls,
    listenerPath: 'llm',
    routes: [],
  };
  return [{ port, listeners: [listenerWanted(place, attached)] }];
}
