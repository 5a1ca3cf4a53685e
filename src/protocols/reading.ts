/** Reading requests: the model, the stream flag, and what Ollama would drop without a word. */
import { GatewayError } from '../errors.ts';
import type { CallReading } from '../exchange.ts';
import type { ObjectText } from '../json/object-text.ts';

/** A reading while it is made. */
export interface OpenReading extends CallReading {
  isStream: boolean;
  wantsUsage: boolean;
  readonly boxChanges: Map<string, unknown>;
  readonly warnings: string[];
  boxRefusal: GatewayError | undefined;
}

/**
 * A reading that knows whether a stream was asked for. A `stream` that is no boolean is left for the box to refuse, in its own
 * words; null and absent mean the protocol's default (Go reads null into a pointer as absent).
 */
export function startReading(body: ObjectText, streamsByDefault: boolean): OpenReading {
  const stream = body.get('stream') ?? streamsByDefault;
  return { isStream: stream === true, wantsUsage: false, boxChanges: new Map(), warnings: [], boxRefusal: undefined };
}

/** The member's text; undefined when absent, null or blank. Throws invalid_body for any other type. */
export function nameIn(body: ObjectText, member: string): string | undefined {
  const value = body.get(member) ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value !== 'string') throw new GatewayError('invalid_body', `"${member}" must be a string`);
  return nameGiven(value, member);
}

/** Longer than any model's; names are told in errors, logs and metrics. */
const maxNameLength = 1_024;

/** Undefined when blank. Throws invalid_body. */
export function nameGiven(name: string, member: string): string | undefined {
  if (name.length > maxNameLength)
    throw new GatewayError('invalid_body', `"${member}" is longer than ${maxNameLength} characters, which no model's name is`);
  return name.trim() === '' ? undefined : name;
}

/** A member that counts as given: JSON null means absent in every protocol here. */
export function given(body: ObjectText, member: string): unknown {
  return body.get(member) ?? undefined;
}

/** What the box never gets to see of a tool choice, because it does not read it (Ollama openai/openai.go, anthropic.go). */
export function readToolChoice(reading: OpenReading, choice: 'free' | 'none' | 'forced'): void {
  if (choice === 'none') {
    reading.boxChanges.set('tools', undefined);
    reading.boxChanges.set('tool_choice', undefined);
  } else if (choice === 'forced') {
    reading.warnings.push('tool_choice is not read by Ollama: the model may answer without calling that tool');
  }
}
