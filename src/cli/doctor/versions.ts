/** Versions of Ollama, compared; and the oldest that Corral counts on. */

/**
 * `/v1/messages` came with Ollama 0.14, `/v1/responses` with 0.13.3 (docs.ollama.com/api): what is older serves chats, and not every
 * client.
 */
export const leastVersion = '0.14.0';

/** Undefined: it says nothing, as 0.0.0 of builds from source. */
function numbersOf(version: string): readonly number[] | undefined {
  const match = /^v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?/.exec(version);
  if (match === null) return undefined;
  const numbers = [match[1], match[2], match[3] ?? '0'].map(Number);
  return numbers.every((number) => number === 0) ? undefined : numbers;
}

/** False also where one of the two says nothing. */
export function isOlder(one: string, other: string): boolean {
  const ours = numbersOf(one);
  const theirs = numbersOf(other);
  if (ours === undefined || theirs === undefined) return false;
  for (const [index, number] of ours.entries()) {
    const their = theirs[index] ?? 0;
    if (number !== their) return number < their;
  }
  return false;
}
