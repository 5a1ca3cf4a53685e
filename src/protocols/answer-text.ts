/** Looking into answers: what a box sends is never trusted to have a shape. */

export type JsonRecord = Readonly<Record<string, unknown>>;

export function recordOf(value: unknown): JsonRecord | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonRecord) : undefined;
}

/** The JSON object in this text, or undefined. */
export function parsedRecord(text: string): JsonRecord | undefined {
  try {
    return recordOf(JSON.parse(text));
  } catch {
    return undefined;
  }
}

/** A count of tokens; undefined when it is none. */
export function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** The message of an error member, which is a text (Ollama) or an object with a message (OpenAI, Anthropic). */
export function errorMessageOf(error: unknown): string | undefined {
  return textOf(error) ?? textOf(recordOf(error)?.message) ?? (recordOf(error) === undefined ? undefined : 'unknown error');
}
