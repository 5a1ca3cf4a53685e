/** The configuration as JSON Schema, for completion and hints in editors. */
import * as z from 'zod';
import { configSchema } from './schema.ts';

/** What this file and the reference read of a JSON Schema. */
export interface JsonSchema {
  readonly $ref?: string;
  /** What kind of text or number it is, in a word: `duration`, `host:port`. */
  readonly title?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly not?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly definitions?: Readonly<Record<string, JsonSchema>>;
}

/** Draft 7, which is what editors' YAML extensions understand best. */
export function configJsonSchema(): JsonSchema {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    target: 'draft-7',
    override({ zodSchema, jsonSchema }) {
      // zod leaves examples out where the value is transformed; ours are written as they stand in the YAML.
      const examples = z.globalRegistry.get(zodSchema)?.examples;
      if (Array.isArray(examples)) jsonSchema.examples = examples;
    },
  });
  const described = {
    title: 'Corral',
    description: 'The configuration of Corral: the HTTP and LLM parts of agentgateway\'s, and "fleet".',
    ...schema,
  };
  // Through text: what is returned is plain JSON, as in the file.
  return JSON.parse(JSON.stringify(described)) as JsonSchema;
}
