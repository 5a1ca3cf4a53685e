/** How much memory a context takes, roughly, after what `/api/show` tells of a model (`model_info`, the keys of GGUF). Pure. */

export interface MemoryShape {
  readonly layers: number;
  /** Of keys and values together, elements in one layer for one token. */
  readonly elements: number;
}

/** Undefined: it does not tell. */
export function memoryShapeOf(text: string | undefined): MemoryShape | undefined {
  const info = memberOf(parsed(text), 'model_info');
  const architecture = memberOf(info, 'general.architecture');
  if (typeof architecture !== 'string') return undefined;
  const numberOf = (key: string): number | undefined => {
    const value = memberOf(info, `${architecture}.${key}`);
    // Some models have another number in each layer: the largest is on the safe side.
    const numbers = (Array.isArray(value) ? value : [value]).filter((one) => typeof one === 'number');
    return numbers.length === 0 ? undefined : Math.max(...numbers);
  };
  const layers = numberOf('block_count');
  const heads = numberOf('attention.head_count');
  const headsOfKeys = numberOf('attention.head_count_kv') ?? heads;
  const width = numberOf('embedding_length');
  const usual = heads === undefined || heads === 0 || width === undefined ? undefined : width / heads;
  const keyLength = numberOf('attention.key_length') ?? usual;
  const valueLength = numberOf('attention.value_length') ?? usual;
  if (layers === undefined || headsOfKeys === undefined || keyLength === undefined || valueLength === undefined) return undefined;
  const shape = { layers, elements: headsOfKeys * (keyLength + valueLength) };
  return Number.isFinite(shape.layers * shape.elements) && shape.layers * shape.elements > 0 ? shape : undefined;
}

const bytesPerElement = 2; // f16, Ollama's own default (OLLAMA_KV_CACHE_TYPE)

/** Bytes for one token of context. */
export function kvBytesOf({ layers, elements }: MemoryShape): number {
  return layers * elements * bytesPerElement;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

function parsed(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}
