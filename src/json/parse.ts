/** JSON.parse, made safe against a fault of V8. */
import { isSpace, stringEnd } from './scan.ts';
import { type Splice, spliceText } from './splice.ts';

/**
 * The value as JSON.parse gives it, with the names right. V8 (13 to 15 at least: Node 24 and 26, Deno 2.9) takes an escaped name
 * for one that it saw in the same place before when the escape's letters look like that one (nodejs/node issue 63785): after
 * `{"a":1,"\\u006":1}` it reads `{"a":1,"\u006dodel":"x"}` as having no `model`. Anyone may send both, and Ollama reads the
 * second one right. Names without escapes are safe; those that still need one when written plainly are none that Corral reads.
 */
export function parseValue(json: string): unknown {
  const isFlat = json[0] !== '{' && json[0] !== '[';
  return JSON.parse(isFlat || !json.includes('\\') ? json : withPlainNames(json));
}

/** Valid JSON with the names' escapes resolved wherever the plain letter may stand. */
function withPlainNames(json: string): string {
  const splices: Splice[] = [];
  for (let at = json.indexOf('"'); at >= 0; ) {
    const end = stringEnd(json, at);
    if (end < 0) break;
    let next = end;
    while (isSpace(json.charCodeAt(next))) next++;
    const raw = json[next] === ':' ? json.slice(at, end) : '';
    // A bare string is no name to V8, so it is read right.
    if (raw.includes('\\')) splices.push({ from: at, to: end, insert: JSON.stringify(JSON.parse(raw)) });
    at = json.indexOf('"', next);
  }
  return spliceText(json, 0, json.length, splices);
}
