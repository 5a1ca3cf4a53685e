/** Ports, listeners and routes: `binds`, and `gateways` with `routes`. */
import * as z from 'zod';
import { FieldError, textField } from '../fields/text-field.ts';
import { nameField, routeBackendField } from './backends.ts';
import { type ListenerTls, listenerTlsField, protocolField } from './listener-tls.ts';
import { matchField } from './matches.ts';
import { type PolicyOptions, policiesField, policyShapeOf } from './policy-map.ts';

const portRule = 'expected a port number from 0 to 65535';

export const portField = z
  .int({ error: ({ input }) => (typeof input === 'string' ? `${portRule}, without quotes` : portRule) })
  .min(0, portRule)
  .max(65_535, portRule);

const hostnameField = textField(
  'a host name',
  (text) => {
    if (/[\s:/?#@]/.test(text)) throw new FieldError('expected a host name alone, without scheme, port or path');
    if (text.lastIndexOf('*') > 0)
      throw new FieldError('a "*" may stand at the start of a host name only, as in "*.example.com"');
    return text;
  },
  'host name',
);

const routeShape = {
  name: nameField.optional().describe('Name of the route, in logs. Left out, it is `route` and its number.'),
  namespace: z.string().min(1).max(200).default('default').describe('Namespace of the route: for policies that name it.'),
  ruleName: nameField.optional().describe('Name of this rule among those of a route: for policies that name it.'),
  hostnames: z
    .array(hostnameField)
    .default([])
    .describe('Host names this route serves; `*.example.com` takes every name below. Left out, every host.')
    .meta({ examples: [['llm.example.com']] }),
  matches: z
    .array(matchField)
    .prefault([{}])
    .describe('When the route takes a request: one of the entries must match. Left out, always.')
    .meta({ examples: [[{ path: { pathPrefix: '/v1' } }]] }),
  policies: policiesField('route').describe('What happens to requests of this route.'),
  backends: z.array(routeBackendField).default([]).describe('Where its requests go.'),
};

/** A route inside a listener. */
const routeField = z.strictObject(routeShape).meta({ id: 'route' });

export const routeGroupField = z
  .strictObject({
    name: nameField.describe('The name that backends use in `routeGroup`.'),
    routes: z.array(routeField).describe('The routes that choose further. They match on the whole path again.'),
  })
  .meta({ id: 'routeGroup', description: 'Routes that other routes hand over to.' });

const gatewayNamesField = z
  .union([nameField, z.array(nameField)], { error: 'expected the name of a gateway, "gateway/listener", or a list of such' })
  .transform((names): readonly string[] => (typeof names === 'string' ? [names] : names));

export const attachmentField = gatewayNamesField
  .prefault([])
  .describe('The gateways that serve this: `name`, `name/listener`, or a list. Left out, the gateway named `default`.')
  .meta({ examples: ['default'] });

/** A top-level route, attached to gateways. */
export const attachedRouteField = z.strictObject({ gateways: attachmentField, ...routeShape }).meta({ id: 'attachedRoute' });

const listenerField = z
  .strictObject({
    name: nameField.optional().describe('Name of the listener, in logs. Left out, it is `listener` and its number.'),
    namespace: z.string().min(1).max(200).optional().describe('Namespace of the listener. Of no effect here.'),
    hostname: z
      .union([z.literal(''), hostnameField])
      .prefault('')
      .describe('Host name this listener serves: exact, `*.example.com`, or empty for all.'),
    protocol: protocolField,
    tls: listenerTlsField.optional(),
    policies: policiesField('listener').describe('What happens to every request of this listener, before a route is chosen.'),
    routes: z.array(routeField).describe('The routes of this listener.'),
  })
  .meta({ id: 'listener' });

export const bindField = z
  .strictObject({
    port: portField.describe('Port to listen on. 0 takes a free one.').meta({ examples: [3000] }),
    mode: z.literal('standard').optional().describe('`standard`: the port is opened. Internal binds are not there.'),
    listeners: z.array(listenerField).describe('Who answers on this port, told apart by host name.'),
  })
  .meta({ id: 'bind' });

/** In `gateways`, policies stand beside the other keys; here they move into `policies`, as everywhere else. */
const gatewayListenerField = z
  .strictObject({
    ...policyShapeOf('listener'),
    name: nameField.optional().describe('Name of the listener. Left out, it is `listener` and its number.'),
    hostname: hostnameField.prefault('*').describe('Host name this listener serves: exact, `*.example.com`, or `*` for all.'),
    protocol: protocolField,
    tls: listenerTlsField.optional(),
  })
  .meta({ id: 'gatewayListener', description: 'Beside these keys stand the policies of a listener.' })
  .transform(
    ({ name, hostname, protocol: _checked, tls, ...policies }): GatewayListenerConfig => ({ name, hostname, tls, policies }),
  );

export interface GatewayListenerConfig {
  readonly name: string | undefined;
  readonly hostname: string;
  readonly tls: ListenerTls | undefined;
  readonly policies: PolicyOptions;
}

export const gatewayField = z
  .strictObject({
    ...policyShapeOf('listener'),
    port: portField.describe('Port to listen on. 0 takes a free one.').meta({ examples: [3000] }),
    protocol: protocolField,
    tls: listenerTlsField.optional(),
    listeners: z
      .array(gatewayListenerField)
      .default([])
      .describe('Several listeners on this port, told apart by host name. Then only `port` may stand beside them.'),
  })
  .meta({ id: 'gateway', description: 'Beside these keys stand the policies of a listener, for everything this gateway serves.' })
  .transform(({ port, protocol: _checked, tls, listeners, ...policies }): GatewayConfig => ({ port, tls, listeners, policies }));

export interface GatewayConfig {
  readonly port: number;
  readonly tls: ListenerTls | undefined;
  /** Empty: the gateway is one listener for every host, with `policies`. */
  readonly listeners: readonly GatewayListenerConfig[];
  readonly policies: PolicyOptions;
}

export type BindConfig = z.output<typeof bindField>;
export type ListenerConfig = z.output<typeof listenerField>;
export type RouteConfig = z.output<typeof routeField>;
export type AttachedRouteConfig = z.output<typeof attachedRouteField>;
