/** The lines of an `application/x-ndjson` body. Blank lines and half a line at the end throw: clients choke on them. */
export function parseNdjson(text: string): Record<string, unknown>[] {
  if (text === '') return [];
  if (!text.endsWith('\n')) throw new Error(`half a line at the end: ${JSON.stringify(text.slice(text.lastIndexOf('\n') + 1))}`);
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => {
      if (line.trim() === '') throw new Error('a blank line');
      return JSON.parse(line) as Record<string, unknown>;
    });
}
