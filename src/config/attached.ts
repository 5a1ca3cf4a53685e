/** Top-level `policies`: each attached to a gateway, a listener, a route or a backend by name. */
import * as z from 'zod';
import { nameField } from './backends.ts';
import { type PolicyOptions, placesOf, policiesField } from './policy-map.ts';

const namespaceField = z.string().max(200).default('default').describe('Namespace; `default` where nothing else is written.');

const targetField = z
  .strictObject({
    gateway: z
      .strictObject({
        gatewayName: nameField.describe('Name of the gateway; in `binds` it is `default`.'),
        gatewayNamespace: namespaceField,
        listenerName: nameField.nullish().describe('One listener of it. Left out, all of them.'),
        port: z.int().min(0).max(65_535).nullish().describe('Only where it listens on this port.'),
      })
      .optional()
      .describe('A gateway or one of its listeners.'),
    route: z
      .strictObject({
        name: nameField.describe('Name of the route.'),
        namespace: namespaceField,
        ruleName: nameField.nullish().describe('Only routes with this `ruleName`.'),
        kind: z.string().nullish().describe('`HTTPRoute`, which is all there is here.'),
      })
      .optional()
      .describe('A route.'),
    backend: z
      .strictObject({
        backend: z
          .strictObject({
            name: nameField.describe('Name of an entry of the top-level `backends`.'),
            namespace: namespaceField,
            section: nameField.nullish().describe('One provider of it, by name.'),
          })
          .optional()
          .describe('A top-level backend.'),
        service: z
          .never({ error: 'there are no services outside Kubernetes; name a top-level backend' })
          .optional()
          .describe('Refused: services exist in Kubernetes only.'),
      })
      .optional()
      .describe('A top-level backend.'),
    listenerSet: z
      .never({ error: 'listener sets exist in Kubernetes only; name a gateway and its listener' })
      .optional()
      .describe('Refused: listener sets exist in Kubernetes only.'),
  })
  .meta({ id: 'policyTarget', description: 'Exactly one of `gateway`, `route` and `backend`.' })
  .transform((given, context): PolicyTarget => {
    const { gateway, route } = given;
    const backend = given.backend?.backend;
    if ([gateway, route, given.backend].filter((one) => one !== undefined).length !== 1) {
      context.addIssue('expected exactly one of: gateway, route, backend');
      return z.NEVER;
    }
    if (gateway !== undefined)
      return {
        kind: 'gateway',
        name: gateway.gatewayName,
        listenerName: gateway.listenerName ?? undefined,
        port: gateway.port ?? undefined,
      };
    if (route !== undefined)
      return { kind: 'route', name: route.name, namespace: route.namespace, ruleName: route.ruleName ?? undefined };
    if (backend !== undefined) return { kind: 'backend', name: backend.name, section: backend.section ?? undefined };
    context.addIssue('expected backend: {name: …}');
    return z.NEVER;
  });

export type PolicyTarget =
  | {
      readonly kind: 'gateway';
      readonly name: string;
      readonly listenerName: string | undefined;
      readonly port: number | undefined;
    }
  | { readonly kind: 'route'; readonly name: string; readonly namespace: string; readonly ruleName: string | undefined }
  | { readonly kind: 'backend'; readonly name: string; readonly section: string | undefined };

export const attachedPolicyField = z
  .strictObject({
    name: z
      .strictObject({ name: nameField.describe('Name of the policy, in messages.'), namespace: namespaceField })
      .describe('Name of the policy.'),
    target: targetField,
    phase: z
      .enum(['route', 'gateway'])
      .default('route')
      .describe('`gateway`: before a route is chosen. `route`: after it, for every route of the target.'),
    policy: policiesField('route').describe('Exactly one policy.'),
  })
  .meta({ id: 'attachedPolicy', description: 'One policy for a gateway, a listener, a route or a backend that has a name.' })
  .superRefine(({ policy, phase, target }, context) => {
    const [name, ...more] = Object.keys(policy);
    if (name === undefined || more.length > 0) {
      context.addIssue({ code: 'custom', path: ['policy'], message: 'expected exactly one policy' });
      return;
    }
    const place = phase === 'gateway' ? 'listener' : target.kind === 'backend' ? 'backend' : 'route';
    if (phase === 'gateway' && target.kind !== 'gateway')
      context.addIssue({ code: 'custom', path: ['phase'], message: 'the phase "gateway" is for targets of kind gateway' });
    else if (placesOf(name)?.includes(place) !== true)
      context.addIssue({
        code: 'custom',
        path: ['policy', name],
        message: `this policy cannot run there; it may stand on a ${placesOf(name)?.join(' or a ')}`,
      });
  });

export interface AttachedPolicyConfig {
  readonly name: { readonly name: string; readonly namespace: string };
  readonly target: PolicyTarget;
  readonly phase: 'route' | 'gateway';
  readonly policy: PolicyOptions;
}
