/** What a body asks for: its prompt as the model reads it, and how much is to be said. */
import { inputsOf } from '../fake-ollama/embeddings.ts';
import { GoObject, type GoValue } from '../fake-ollama/go-json.ts';

/** The rendered prompt: each message with its role, in order, as a template writes them. */
export function promptOf(pathname: string, body: GoObject): string {
  switch (pathname) {
    case '/api/generate':
    case '/v1/completions':
      return `${textOf(body.field('system'))}\n${textOf(body.field('prompt'))}`;
    case '/v1/responses': {
      const input = body.field('input');
      const items = Array.isArray(input) ? messagesText(input) : `<user>${textOf(input)}`;
      return `<system>${textOf(body.field('instructions'))}${items}`;
    }
    case '/v1/messages':
      return `<system>${textOf(body.field('system'))}${messagesText(body.field('messages'))}`;
    default:
      return messagesText(body.field('messages'));
  }
}

/** All inputs of an embedding. */
export function inputTextsOf(pathname: string, body: GoObject): string[] | undefined {
  return inputsOf(body, pathname === '/api/embeddings' ? 'prompt' : 'input');
}

function messagesText(messages: GoValue | undefined): string {
  if (!Array.isArray(messages)) return '';
  let text = '';
  for (const message of messages) {
    if (message instanceof GoObject) text += `<${textOf(message.field('role'))}>${textOf(message.field('content'))}`;
  }
  return text;
}

/** Strings as they are; of parts and blocks, their texts. */
function textOf(value: GoValue | undefined): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(textOf).join('');
  return value instanceof GoObject ? textOf(value.field('text') ?? value.field('content')) : '';
}

/** `options.num_ctx` of Ollama's own API. */
export function numCtxOf(body: GoObject): number | undefined {
  const options = body.field('options');
  const asked = options instanceof GoObject ? options.field('num_ctx') : undefined;
  return typeof asked === 'number' ? asked : undefined;
}

const words = ['was', ' very', ' clever', '.', ' He', ' ran', ' over', ' the', ' hill', ' and', ' far', ' away'];

/** So many tokens of text, the same for the same number. */
export function speechOf(tokens: number): string[] {
  return Array.from({ length: tokens }, (_, at) => words[at % words.length] ?? '');
}
