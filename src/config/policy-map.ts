/** The `policies:` of each place, made from the one ordered list of policies: a policy that is added there is known here. */
import * as z from 'zod';
import { policies } from '../policies/index.ts';
import type { Place, PolicyDefinition } from '../policies/policy.ts';

/** Options by policy name, as the policies' own schemas give them. */
export type PolicyOptions = Record<string, unknown>;

/** The keys of a place, for objects that carry policies among other keys (gateways). */
export function policyShapeOf(place: Place): Record<string, z.ZodOptional<z.ZodType>> {
  const shape: Record<string, z.ZodOptional<z.ZodType>> = {};
  for (const policy of policies) if (policy.places.includes(place)) shape[policy.name] = optionsSchema(policy).optional();
  return shape;
}

/** `policies:` at a place. Left out or empty, it is `{}`. */
export function policiesField(place: Place) {
  return z
    .strictObject(policyShapeOf(place))
    .meta({ id: `${place}Policies` })
    .nullish()
    .transform((given): PolicyOptions => given ?? {});
}

/** The options of one policy under another key (agentgateway's `requestHeaders` is `requestHeaderModifier`, and so on). */
export function optionsOf(policyName: string): z.ZodType {
  const policy = policies.find(({ name }) => name === policyName);
  if (policy === undefined) throw new Error(`there is no policy named ${policyName}`);
  return optionsSchema(policy);
}

/** One schema per policy: the reference and the JSON Schema then have one definition, however often it is used. */
const schemas = new Map<string, z.ZodType>();

function optionsSchema(policy: PolicyDefinition): z.ZodType {
  const known = schemas.get(policy.name);
  if (known !== undefined) return known;
  const schema = policy.options.meta({ id: policy.name, description: policy.about });
  schemas.set(policy.name, schema);
  return schema;
}

/** The places where a policy of this name may stand; undefined when there is none of that name. */
export function placesOf(policyName: string): readonly Place[] | undefined {
  return policies.find(({ name }) => name === policyName)?.places;
}
