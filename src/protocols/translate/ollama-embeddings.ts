/** `/v1/embeddings` by way of `/api/embed`, as Ollama's own path does it (middleware/openai.go, EmbeddingsMiddleware). */
import { GatewayError } from '../../errors.ts';
import type { AnswerRewrite, Protocol } from '../../exchange.ts';
import type { ObjectText } from '../../json/object-text.ts';
import { scanArray } from '../../json/scan.ts';
import { countOf } from '../answer-text.ts';
import { JsonText, jsonOf, objectIn, textAsIs } from './exact-json.ts';
import { optionsOf, ownMembers, typedIn } from './ollama-reading.ts';
import { errorAnswer } from './ollama-rewrite.ts';
import { invalid, stringIn, textIn } from './reading.ts';

const struct = 'EmbedRequest';

/** The JSON of the native request. Throws invalid_body where Ollama would. */
export function nativeEmbedOf(body: ObjectText): string {
  formatIn(body);
  const input = textIn(body, 'input');
  if (input === undefined || /^\[\s*\]$/.test(input)) throw invalid('invalid input');
  return jsonOf({
    model: textAsIs(textIn(body, 'model')),
    input: input === '""' ? [''] : new JsonText(input),
    dimensions: textAsIs(typedIn(body, 'dimensions', 'int', struct)),
    options: optionsOf(body, () => undefined),
    ...ownMembers(body),
  });
}

function formatIn(body: ObjectText): 'float' | 'base64' {
  typedIn(body, 'encoding_format', 'string', struct);
  const format = stringIn(body, 'encoding_format') ?? '';
  const lower = format.toLowerCase();
  if (lower === '' || lower === 'float') return 'float';
  if (lower === 'base64') return 'base64';
  throw invalid(`Invalid value for 'encoding_format' = ${format}. Supported values: ['float', 'base64'].`);
}

export function embeddingsRewrite(protocol: Protocol, body: ObjectText): AnswerRewrite {
  const isBase64 = formatIn(body) === 'base64';
  const model = stringIn(body, 'model') ?? '';
  return {
    whole(text, status) {
      if (status >= 400) return errorAnswer(protocol, text, status);
      const answer = objectIn(text);
      const list = answer?.textOf('embeddings');
      if (answer === undefined || list?.startsWith('[') !== true) {
        throw new GatewayError('unreadable_answer', "the box gave an answer that is none of Ollama's embeddings");
      }
      const data = scanArray(list, 0).map(({ from, to }, index) => {
        const vector = list.slice(from, to);
        // Digit by digit as the box wrote it: read as numbers, some would come out in another spelling.
        return { object: 'embedding', embedding: isBase64 ? base64Of(JSON.parse(vector)) : new JsonText(vector), index };
      });
      const tokens = countOf(answer.get('prompt_eval_count')) ?? 0;
      const usage = { prompt_tokens: tokens, total_tokens: tokens };
      return { text: `${jsonOf({ object: 'list', data, model, usage })}\n`, contentType: 'application/json' };
    },
    stream: () => undefined,
  };
}

/** Floats of 4 bytes, little-endian. */
function base64Of(embedding: unknown): string {
  const numbers = Array.isArray(embedding) ? embedding : [];
  const view = new DataView(new ArrayBuffer(numbers.length * 4));
  for (const [index, number] of numbers.entries()) view.setFloat32(index * 4, Number(number), true);
  let letters = '';
  // Not all at once: functions take a limited number of arguments.
  for (let at = 0; at < view.byteLength; at++) letters += String.fromCharCode(view.getUint8(at));
  return btoa(letters);
}
