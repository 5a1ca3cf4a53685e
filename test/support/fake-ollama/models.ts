import { createHash } from 'node:crypto';

/** A model of the fake box. Only the name is needed. */
export interface FakeModel {
  readonly name: string;
  /** 64 hex digits. */
  readonly digest?: string;
  readonly sizeBytes?: number;
  /** Bytes in VRAM while loaded; equal to the loaded size unless given (0: all on the CPU). */
  readonly vramBytes?: number;
  readonly capabilities?: readonly string[];
  readonly contextLength?: number;
  readonly family?: string;
  readonly parameterSize?: string;
  readonly quantization?: string;
  /** Set on stubs of ollama.com models. */
  readonly remoteHost?: string;
  readonly remoteModel?: string;
  readonly modifiedAt?: string;
  /** What it says, token by token. */
  readonly tokens?: readonly string[];
  /** Loaded when the box starts. */
  readonly resident?: boolean;
}

/** What every model says unless told otherwise; the first words a real one said when the recordings were made. */
export const defaultTokens = ['was', ' very', ' clever', '.', ' He', ' was', ' very', ' clever', '.', ' He', ' was', ' very'];

const namePattern = /^[\w][\w.:/-]*$/;

/** Whether Ollama takes this as a model name at all (Ollama types/model/name.go). */
export function isModelName(name: string): boolean {
  return namePattern.test(name.trim());
}

/** Two names are the same model when these are equal: case folds, `:latest` and the default registry are implied. */
export function canonicalName(name: string): string {
  const plain = name
    .trim()
    .toLowerCase()
    .replace(/:local$/, '')
    .replace(/^registry\.ollama\.ai\//, '')
    .replace(/^library\//, '');
  return plain.slice(plain.lastIndexOf('/') + 1).includes(':') ? plain : `${plain}:latest`;
}

/** Names that ollama.com serves (Ollama internal/modelref). */
export function isCloudName(name: string): boolean {
  return /(:|-)cloud$/i.test(name.trim());
}

/** The last word for a model's defaults. */
export function digestOf(model: FakeModel): string {
  return model.digest ?? createHash('sha256').update(canonicalName(model.name)).digest('hex');
}

/** Name as lists show it. */
export function displayName(model: FakeModel): string {
  const last = model.name.slice(model.name.lastIndexOf('/') + 1);
  return last.includes(':') ? model.name : `${model.name}:latest`;
}

export function detailsOf(model: FakeModel): Record<string, unknown> {
  const family = model.family ?? (isEmbedding(model) ? 'bert' : 'gemma3');
  return {
    parent_model: '',
    format: 'gguf',
    family,
    families: [family],
    parameter_size: model.parameterSize ?? '268.10M',
    quantization_level: model.quantization ?? 'Q4_K_M',
  };
}

export function capabilitiesOf(model: FakeModel): readonly string[] {
  return model.capabilities ?? ['completion'];
}

export function isEmbedding(model: FakeModel): boolean {
  return model.capabilities?.includes('embedding') === true;
}

export function sizeOf(model: FakeModel): number {
  return model.sizeBytes ?? 253_113_617;
}

export function contextOf(model: FakeModel): number {
  return model.contextLength ?? 32_768;
}
