/** What a start was told, beside the YAML: flags, environment variables, Workers' variables. */
import { boxListOf, boxListVariable, type ListedBox } from '../fields/box-list.ts';
import type { ReadFile } from '../fields/files.ts';
import { ollamaHostOf } from '../fields/ollama-host.ts';
import { leastSecret, secretTooShort } from '../fields/secret.ts';
import { FieldError } from '../fields/text-field.ts';

export interface Settings {
  readonly config: ConfigText;
  /** Undefined: loopback, or every interface when each route is protected. */
  readonly host: string | undefined;
  /** Instead of the first bind's; 0: any free one. */
  readonly port: number | undefined;
  readonly allowAnonymous: boolean;
  /** Host names that routes without a lock accept beside the local ones. */
  readonly allowedHosts: readonly string[];
  readonly hasDemo: boolean;
  /** What Corral has not got is left out of the configuration instead of refused. */
  readonly ignoreUnsupported?: boolean;
  /** Asked of every client, on every listener. */
  readonly apiKey: string | undefined;
  readonly adminToken: string | undefined;
  /** `--relay`: this Corral stands beside its boxes, for Corrals in front of it. */
  readonly isRelay?: boolean;
  /** CORRAL_RELAY_SECRET: what both ends of that leg know. */
  readonly relaySecret?: string | undefined;
  /** CORRAL_BOXES: the herd, where the configuration names no backends itself. */
  readonly boxes?: readonly ListedBox[];
  /** OLLAMA_ORIGINS, split at its commas. */
  readonly originPatterns: readonly string[];
  /** For `${NAME}` in the YAML. */
  readonly env: (name: string) => string | undefined;
  /** Undefined: there are no files here. */
  readonly readFile: ReadFile | undefined;
}

export interface ConfigText {
  readonly text: string;
  /** For messages: a path, `<stdin>`, `<-c>`, `CORRAL_CONFIG`. */
  readonly name: string;
  /** The file that it was read from and that may change; left out where there is none. */
  readonly path?: string;
}

/** What the environment says, read once. Throws FieldError for values that cannot be meant. */
export function environmentSettings(
  env: (name: string) => string | undefined,
): Omit<Settings, 'config' | 'host' | 'port' | 'readFile'> {
  return {
    allowAnonymous: isTrue(env('CORRAL_ALLOW_ANONYMOUS')),
    allowedHosts: [],
    hasDemo: true,
    ignoreUnsupported: isTrue(env('CORRAL_IGNORE_UNSUPPORTED')),
    apiKey: filled(env('CORRAL_API_KEY')),
    adminToken: filled(env('CORRAL_ADMIN_TOKEN')),
    isRelay: isTrue(env('CORRAL_RELAY')),
    relaySecret: relaySecretOf(filled(env('CORRAL_RELAY_SECRET'))),
    boxes: boxListOf(env(boxListVariable)),
    originPatterns: (env('OLLAMA_ORIGINS') ?? '')
      .split(',')
      .map((pattern) => pattern.trim())
      .filter((pattern) => pattern !== ''),
    env: withOllamaHost(env),
  };
}

/** `CORRAL_OLLAMA_HOST` and `CORRAL_OLLAMA_URL` stand for OLLAMA_HOST in one normal form; config/gateway.yaml uses them. */
function withOllamaHost(env: (name: string) => string | undefined): (name: string) => string | undefined {
  const { authority, baseUrl } = ollamaHostOf(env('OLLAMA_HOST'));
  return (name) => env(name) ?? (name === 'CORRAL_OLLAMA_HOST' ? authority : name === 'CORRAL_OLLAMA_URL' ? baseUrl : undefined);
}

/** The configuration of whoever only names boxes; undefined without any. */
export function herdConfigOf(boxes: readonly ListedBox[] | undefined): ConfigText | undefined {
  return boxes === undefined || boxes.length === 0 ? undefined : { text: '{}', name: boxListVariable };
}

function relaySecretOf(text: string | undefined): string | undefined {
  const secret = text?.trim();
  if (secret !== undefined && secret.length < leastSecret) throw new FieldError(`CORRAL_RELAY_SECRET: ${secretTooShort}`);
  return secret;
}

/** An empty variable is how compose files and CI say "unset". */
export function filled(value: string | undefined): string | undefined {
  return value === undefined || value.trim() === '' ? undefined : value;
}

function isTrue(value: string | undefined): boolean {
  return /^(1|true|yes|on)$/i.test(value?.trim() ?? '');
}
