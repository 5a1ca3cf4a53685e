/** The items of a list inside a JSON text, each as the exact text it was: what a box wrote is handed on letter by letter. */

/**
 * Finds the array under `member` of the outermost object and cuts it into its items. The text must be valid JSON (parse it
 * first). Undefined when the outermost value is no object or the member no array. Of two members of one name the last counts.
 */
export function itemTexts(json: string, member: string): string[] | undefined {
  let at = skipSpace(json, 0);
  if (json[at] !== '{') return undefined;
  let found: string[] | undefined;
  at = skipSpace(json, at + 1);
  while (json[at] === '"') {
    const keyEnd = valueEnd(json, at);
    const key: unknown = JSON.parse(json.slice(at, keyEnd));
    const start = skipSpace(json, skipSpace(json, keyEnd) + 1);
    const end = valueEnd(json, start);
    if (key === member) found = json[start] === '[' ? elements(json, start) : undefined;
    at = skipSpace(json, end);
    if (json[at] === ',') at = skipSpace(json, at + 1);
  }
  return found;
}

function elements(json: string, open: number): string[] {
  const texts: string[] = [];
  let at = skipSpace(json, open + 1);
  while (at < json.length && json[at] !== ']') {
    const end = valueEnd(json, at);
    texts.push(json.slice(at, end));
    at = skipSpace(json, end);
    if (json[at] === ',') at = skipSpace(json, at + 1);
  }
  return texts;
}

/** Where the value that starts at `start` ends. */
function valueEnd(json: string, start: number): number {
  let depth = 0;
  for (let at = start; at < json.length; at++) {
    const character = json[at];
    if (character === '"') {
      at = stringEnd(json, at);
      if (depth === 0) return at + 1;
    } else if (character === '{' || character === '[') {
      depth++;
    } else if (character === '}' || character === ']') {
      if (depth === 0) return at;
      depth--;
      if (depth === 0) return at + 1;
    } else if (
      depth === 0 &&
      (character === ',' || character === ' ' || character === '\n' || character === '\r' || character === '\t')
    ) {
      return at;
    }
  }
  return json.length;
}

/** The closing quote of the string that opens at `open`. */
function stringEnd(json: string, open: number): number {
  let at = open + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at;
}

function skipSpace(json: string, from: number): number {
  let at = from;
  while (json[at] === ' ' || json[at] === '\n' || json[at] === '\r' || json[at] === '\t') at++;
  return at;
}
