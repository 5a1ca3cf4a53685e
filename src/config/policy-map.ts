/** The `policies:` of each place, made from the one ordered list of policies: a policy that is added there is known here. */
import * as z from 'zod';
import { policies } from '../policies/index.ts';
import type { Place, PolicyDefinition } from '../policies/policy.ts';

/** Options by policy name, as the policies' own schemas give them. */
export type PolicyOptions = Record<string, unknown>;

/** One schema per policy: the reference and the JSON Schema then have one definition, however often it is used. */
const schemas = new Map<string, z.ZodType>();

function optionsSchema(policy: PolicyDefinition): z.ZodType {
  const known = schemas.get(policy.name);
  if (known !== undefined) return known;
  const schema = policy.options.meta({ id: `${policy.name}Policy`, description: policy.about });
  schemas.set(policy.name, schema);
  return schema;
}

/** The keys of a place, for objects that carry policies among other keys (gateways). */
export function policyShapeOf(place: Place): Record<string, z.ZodOptional<z.ZodType>> {
  const shape: Record<string, z.ZodOptional<z.ZodType>> = {};
  for (const policy of policies) if (policy.places.includes(place)) shape[policy.name] = optionsSchema(policy).optional();
  return shape;
}

/** `policies:` at a place. Left out or empty, it is `{}`. */
export function policiesField(place: Place) {
  return fields[place];
}

const fields = { listener: fieldAt('listener'), route: fieldAt('route'), backend: fieldAt('backend') };

function fieldAt(place: Place) {
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

/** One member of a policy's options, for keys that llm mode has directly. */
export function memberOf(policyName: string, member: string): z.ZodType {
  const options = optionsOf(policyName);
  const schema: unknown = options instanceof z.ZodObject ? options.shape[member] : undefined;
  if (schema instanceof z.ZodType) return schema;
  throw new Error(`the policy ${policyName} has no member ${member}`);
}

/** The places where a policy of this name may stand; undefined when there is none of that name. */
export function placesOf(policyName: string): readonly Place[] | undefined {
  return policies.find(({ name }) => name === policyName)?.places;
}
