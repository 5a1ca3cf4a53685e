/**
 * What Corral adds to agentgateway's grammar is marked where it stands in the schema, so that `--validate-only --portable` can
 * say what agentgateway would refuse, and nobody keeps a second list.
 */
import * as z from 'zod';

/** Why agentgateway refuses it: always, or for some values. Says what to write instead where there is something. */
export type OnlyHere = string | ((value: unknown, yamlPath: string) => string | undefined);

const marked = z.registry<{ readonly onlyHere: OnlyHere }>();

/** Marks a field. What is made of it (`optional`, `describe`) is marked, too. */
export function onlyHere<Field extends z.ZodType>(field: Field, why: OnlyHere): Field {
  marked.add(field, { onlyHere: why });
  return field;
}

export function onlyHereOf(field: z.core.$ZodType): OnlyHere | undefined {
  return marked.get(field)?.onlyHere;
}
