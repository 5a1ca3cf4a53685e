/** What a box's own answers say: `/api/version`, `/api/tags` and `/api/ps` (Ollama server/routes.go), read and never believed too far. */
import { GatewayError } from '../../errors.ts';
import type { KnownModel } from '../../exchange.ts';
import { canonicalModel } from '../../fields/model-name.ts';
import type { Answer } from './ask.ts';
import { itemTexts } from './item-texts.ts';
import { AdvisedTrouble } from './trouble.ts';
import { tunnelFault } from './tunnels.ts';

/** A model in a box's memory, as `/api/ps` tells of it. */
export interface RunningModel {
  /** As the box spells it: the name that loaded it; other names of the same blob are not listed. */
  readonly name: string;
  readonly digest: string;
  /** The item of `/api/ps`, exact. */
  readonly item: string;
  /** Weights and context together. */
  readonly sizeBytes: number;
  /** How much of that is in GPU memory: less than `sizeBytes` means that the CPU computes a part. */
  readonly vramBytes: number;
  /** Tokens; undefined on older boxes. */
  readonly contextLength: number | undefined;
  readonly expiresAt: string;
}

/** What the answer to `/api/version` makes of whoever gave it. */
export type Standing =
  | { readonly is: 'box'; readonly version: string }
  /** It answers, but is no Ollama. */
  | { readonly is: 'other' }
  /** It answers in some way that neither proves nor disproves an Ollama behind it; `trouble` says what is wrong. */
  | { readonly is: 'unclear'; readonly trouble: GatewayError }
  /** Whatever stands in front of it says that it cannot be reached. */
  | { readonly is: 'unreachable'; readonly trouble: GatewayError };

const maxModels = 2_000;
const maxVersionLength = 64;

/** Reads the answer to `/api/version`. `name` is the box's, for messages. */
export function standingOf(answer: Answer, name: string): Standing {
  const { status, text } = answer;
  const fault = tunnelFault(status, text ?? '', name);
  if (fault !== undefined) return { is: 'unreachable', trouble: new AdvisedTrouble(fault.advice) };
  if (status >= 500) {
    return { is: 'unreachable', trouble: new GatewayError('upstream_unavailable', `${name} answers ${status}`) };
  }
  // Ollama refuses a foreign Host or Origin with 403 and no word (Ollama server/routes.go allowedHostsMiddleware).
  if (status === 403 && text === '') {
    return { is: 'unclear', trouble: new GatewayError('upstream_foreign_host', `${name} refuses the Host header (403)`) };
  }
  if (status === 404 || status === 405) return { is: 'other' };
  if (status >= 300) {
    return { is: 'unclear', trouble: new GatewayError('upstream_unavailable', `${name} answers ${status} to GET /api/version`) };
  }
  if (text === undefined && (answer.headers.get('content-type') ?? '').includes('json')) {
    return {
      is: 'unclear',
      trouble: new GatewayError('upstream_unavailable', `${name} broke off its answer to GET /api/version`),
    };
  }
  const version = memberOf(parsed(text ?? ''), 'version');
  if (typeof version !== 'string') return { is: 'other' };
  return { is: 'box', version: version.slice(0, maxVersionLength) };
}

/** The models of `/api/tags` by canonical name, at most 2,000; undefined when the answer is none. */
export function catalogueOf(answer: Answer): ReadonlyMap<string, KnownModel> | undefined {
  const items = itemsOf(answer);
  if (items === undefined) return undefined;
  const models = new Map<string, KnownModel>();
  for (const { value, text } of items) {
    const name = textMember(value, 'name');
    if (name === '') continue;
    models.set(canonicalModel(name), {
      name,
      digest: textMember(value, 'digest'),
      tag: text,
      sizeBytes: numberMember(value, 'size') ?? 0,
      modifiedAt: textMember(value, 'modified_at'),
      remoteHost: textMember(value, 'remote_host') || undefined,
    });
  }
  return models;
}

/** The models of `/api/ps`, at most 2,000; undefined when the answer is none. */
export function runningOf(answer: Answer): readonly RunningModel[] | undefined {
  const items = itemsOf(answer);
  if (items === undefined) return undefined;
  const running: RunningModel[] = [];
  for (const { value, text } of items) {
    const name = textMember(value, 'name');
    if (name === '') continue;
    running.push({
      name,
      digest: textMember(value, 'digest'),
      item: text,
      sizeBytes: numberMember(value, 'size') ?? 0,
      vramBytes: numberMember(value, 'size_vram') ?? 0,
      contextLength: numberMember(value, 'context_length') || undefined,
      expiresAt: textMember(value, 'expires_at'),
    });
  }
  return running;
}

/** The instant of a time as Go writes it; 0 when it is none. To the millisecond. */
export function instantOf(time: string): number {
  const ms = Date.parse(time);
  return Number.isNaN(ms) ? 0 : ms;
}

function itemsOf(answer: Answer): { value: unknown; text: string }[] | undefined {
  const { status, text: json } = answer;
  if (status !== 200 || json === undefined) return undefined;
  const values = memberOf(parsed(json), 'models');
  // An empty box may say null instead of an empty list.
  if (values === null) return [];
  if (!Array.isArray(values)) return undefined;
  const texts = itemTexts(json, 'models') ?? [];
  return texts.slice(0, maxModels).map((text, index) => ({ value: values[index] as unknown, text }));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined;
}

function textMember(value: unknown, name: string): string {
  const member = memberOf(value, name);
  return typeof member === 'string' ? member : '';
}

/** What is learnt from them lasts: one that is endless or below 0 would never be got rid of again. */
function numberMember(value: unknown, name: string): number | undefined {
  const member = memberOf(value, name);
  return typeof member === 'number' && member >= 0 && Number.isFinite(member) ? member : undefined;
}
