import { anthropicError, messagesFraming } from './framing-anthropic.ts';
import { chatFraming, generateFraming } from './framing-native.ts';
import { chatCompletionsFraming, completionsFraming, openaiError } from './framing-openai.ts';
import { responsesFraming } from './framing-responses.ts';
import type { Framing } from './generation.ts';
import { type GoObject, type GoValue, goJson, goTypeOf } from './go-json.ts';

/** What Go would say of a field: `int` also refuses fractions. */
type GoType = 'string' | 'bool' | 'int' | 'float64' | { readonly slice: string };

/** One of the paths that make a model work, with all that differs between them. */
export interface Surface {
  readonly dialect: 'native' | 'openai' | 'anthropic';
  /** Go's name of the request struct, as it shows in errors. */
  readonly struct: string;
  /** The package of that struct. */
  readonly pkg: string;
  readonly work: 'chat' | 'generate' | 'embed';
  readonly streamsByDefault: boolean;
  readonly fields: Readonly<Record<string, GoType>>;
  /** Its headers say that a stream is coming before anything is known, so errors carry them, too (recording queue-full-responses-stream). */
  readonly announcesStreams?: boolean;
  /** Missing on embeddings. */
  readonly framing?: Framing;
}

const openaiChatFields: Record<string, GoType> = {
  model: 'string',
  stream: 'bool',
  messages: { slice: 'openai.Message' },
  temperature: 'float64',
  top_p: 'float64',
  max_tokens: 'int',
  seed: 'int',
};
const nativeFields: Record<string, GoType> = { model: 'string', stream: 'bool' };

/** The eight inference surfaces by path. */
export const surfaces: Readonly<Record<string, Surface>> = {
  '/api/chat': {
    dialect: 'native',
    struct: 'ChatRequest',
    pkg: 'api',
    work: 'chat',
    streamsByDefault: true,
    fields: { ...nativeFields, messages: { slice: 'api.Message' } },
    framing: chatFraming,
  },
  '/api/generate': {
    dialect: 'native',
    struct: 'GenerateRequest',
    pkg: 'api',
    work: 'generate',
    streamsByDefault: true,
    fields: { ...nativeFields, prompt: 'string' },
    framing: generateFraming,
  },
  '/api/embed': {
    dialect: 'native',
    struct: 'EmbedRequest',
    pkg: 'api',
    work: 'embed',
    streamsByDefault: false,
    fields: { model: 'string' },
  },
  '/api/embeddings': {
    dialect: 'native',
    struct: 'EmbeddingRequest',
    pkg: 'api',
    work: 'embed',
    streamsByDefault: false,
    fields: { model: 'string', prompt: 'string' },
  },
  '/v1/chat/completions': {
    dialect: 'openai',
    struct: 'ChatCompletionRequest',
    pkg: 'openai',
    work: 'chat',
    streamsByDefault: false,
    fields: openaiChatFields,
    framing: chatCompletionsFraming,
  },
  '/v1/completions': {
    dialect: 'openai',
    struct: 'CompletionRequest',
    pkg: 'openai',
    work: 'generate',
    streamsByDefault: false,
    fields: { model: 'string', stream: 'bool', prompt: 'string', max_tokens: 'int', temperature: 'float64' },
    framing: completionsFraming,
  },
  '/v1/embeddings': {
    dialect: 'openai',
    struct: 'EmbedRequest',
    pkg: 'openai',
    work: 'embed',
    streamsByDefault: false,
    fields: { model: 'string' },
  },
  '/v1/responses': {
    dialect: 'openai',
    struct: 'ResponsesRequest',
    pkg: 'openai',
    work: 'chat',
    streamsByDefault: false,
    fields: { model: 'string', stream: 'bool', max_output_tokens: 'int', temperature: 'float64' },
    announcesStreams: true,
    framing: responsesFraming,
  },
  '/v1/messages': {
    dialect: 'anthropic',
    struct: 'MessagesRequest',
    pkg: 'anthropic',
    work: 'chat',
    streamsByDefault: false,
    fields: { model: 'string', stream: 'bool', max_tokens: 'int', messages: { slice: 'anthropic.MessageParam' } },
    announcesStreams: true,
    framing: messagesFraming,
  },
};

/** The first field whose type Go would refuse, in Go's words. */
export function typeComplaint(surface: Surface, body: GoObject): string | undefined {
  for (const [name, type] of Object.entries(surface.fields)) {
    const value = body.field(name);
    if (value === undefined || value === null || hasType(value, type)) continue;
    const found = type === 'int' && typeof value === 'number' ? `number ${value}` : goTypeOf(value);
    const wanted = typeof type === 'string' ? type : `[]${type.slice}`;
    return `json: cannot unmarshal ${found} into Go struct field ${surface.struct}.${name} of type ${wanted}`;
  }
  return undefined;
}

function hasType(value: GoValue, type: GoType): boolean {
  if (type === 'string') return typeof value === 'string';
  if (type === 'bool') return typeof value === 'boolean';
  if (type === 'int') return Number.isInteger(value);
  if (type === 'float64') return typeof value === 'number';
  return Array.isArray(value);
}

/** The error body of a surface's dialect. */
export function errorBody(surface: Surface, status: number, message: string, serial: number): string {
  if (surface.dialect === 'native') return goJson({ error: message });
  return surface.dialect === 'openai' ? openaiError(status, message) : anthropicError(status, message, serial);
}
