/** The lists of models, in the shape each family's clients expect. Pure formatting: who may see what is decided before. */
import type { KnownModel } from '../exchange.ts';
import { canonicalModel } from '../fields/model-name.ts';
import { readObject } from '../json/read-object.ts';

/** A name that only Corral knows: an alias, or a virtual model. */
export interface ExtraModel {
  readonly name: string;
  /** The model behind it, where there is exactly one and a box has it. */
  readonly target?: KnownModel | undefined;
}

interface ListedModel {
  readonly name: string;
  readonly model: KnownModel | undefined;
}

/** Each name once, in the order given; a model that a box has goes before an alias of the same name. */
function listed(models: readonly KnownModel[], extras: readonly ExtraModel[]): ListedModel[] {
  const byName = new Map<string, ListedModel>();
  const all = [
    ...models.map((model) => ({ name: model.name, model })),
    ...extras.map(({ name, target }) => ({ name, model: target })),
  ];
  for (const one of all) {
    const key = canonicalModel(one.name);
    if (!byName.has(key)) byName.set(key, one);
  }
  return [...byName.values()];
}

/** Milliseconds since the epoch; 0 when unknown. Go writes nine decimals, which not every engine's Date takes. */
function millisecondsOf(modifiedAt: string | undefined): number {
  const time = Date.parse((modifiedAt ?? '').replace(/(\.\d{3})\d+/, '$1'));
  return Number.isFinite(time) ? time : 0;
}

/** `acme/gemma3:270m` → `acme`; a name without namespace → `library`, as Ollama says (openai/openai.go ToListCompletion). */
function ownerOf(name: string): string {
  const parts = name.split('/');
  return parts.length > 1 ? (parts.at(-2) ?? 'library') : 'library';
}

function openaiItem({ name, model }: ListedModel): object {
  const created = Math.floor(millisecondsOf(model?.modifiedAt) / 1000);
  return { id: name, object: 'model', created, owned_by: model === undefined ? 'corral' : ownerOf(model.name) };
}

/** `GET /v1/models`. Where Ollama says `"data":null` for no models, clients get the empty list they expect. */
export function openaiModels(models: readonly KnownModel[], extras: readonly ExtraModel[] = []): string {
  return `${JSON.stringify({ object: 'list', data: listed(models, extras).map(openaiItem) })}\n`;
}

/** `GET /v1/models/:id`. `id` is what the client asked for: Ollama echoes it. */
export function openaiModel(id: string, model: KnownModel | undefined): string {
  return `${JSON.stringify(openaiItem({ name: id, model }))}\n`;
}

function anthropicItem({ name, model }: ListedModel): object {
  const createdAt = new Date(millisecondsOf(model?.modifiedAt)).toISOString();
  return { type: 'model', id: name, display_name: name, created_at: createdAt };
}

/** Anthropic's paging, as it comes in the query: `limit` 1 to 1000, 20 when absent or no number; one of the two ids. */
export interface Page {
  readonly limit?: string | null | undefined;
  readonly afterId?: string | null | undefined;
  readonly beforeId?: string | null | undefined;
}

/** `GET /v1/models` for clients that send `anthropic-version`. An id that is not in the list pages from the list's end. */
export function anthropicModels(models: readonly KnownModel[], extras: readonly ExtraModel[] = [], page: Page = {}): string {
  const all = listed(models, extras);
  const limit = limitOf(page.limit);
  const indexOf = (id: string) => all.findIndex(({ name }) => canonicalModel(name) === canonicalModel(id));
  let from = 0;
  let to = all.length;
  let isBackward = false;
  if (page.afterId) {
    const after = indexOf(page.afterId);
    from = after < 0 ? all.length : after + 1;
  } else if (page.beforeId) {
    isBackward = true;
    to = Math.max(0, indexOf(page.beforeId));
  }
  const hasMore = to - from > limit;
  const items = isBackward ? all.slice(Math.max(from, to - limit), to) : all.slice(from, Math.min(to, from + limit));
  return JSON.stringify({
    data: items.map(anthropicItem),
    has_more: hasMore,
    first_id: items[0]?.name ?? null,
    last_id: items.at(-1)?.name ?? null,
  });
}

function limitOf(text: string | null | undefined): number {
  const limit = Number(text ?? '');
  return text && Number.isFinite(limit) ? Math.min(1000, Math.max(1, Math.floor(limit))) : 20;
}

/** `GET /v1/models/:id` for clients that send `anthropic-version`. */
export function anthropicModel(id: string, model: KnownModel | undefined): string {
  return JSON.stringify(anthropicItem({ name: id, model }));
}

/** `GET /api/tags`. The boxes' items stay exact; an alias is its target's item under its own name. */
export function ollamaTags(models: readonly KnownModel[], extras: readonly ExtraModel[] = []): string {
  return `{"models":[${listed(models, extras).map(tagOf).join(',')}]}`;
}

function tagOf({ name, model }: ListedModel): string {
  if (model === undefined) return JSON.stringify(emptyTag(name));
  return model.name === name ? model.tag : renamedTag(model.tag, name);
}

function renamedTag(tag: string, name: string): string {
  const draft = readObject(new TextEncoder().encode(tag)).draft();
  draft.set('name', name);
  draft.set('model', name);
  return new TextDecoder().decode(draft.bytes());
}

/** The `ollama` command cuts digests at 12 letters without looking, so there must be that many. */
function emptyTag(name: string): object {
  const details = { parent_model: '', format: '', family: '', families: [], parameter_size: '', quantization_level: '' };
  return { name, model: name, modified_at: '1970-01-01T00:00:00Z', size: 0, digest: '0'.repeat(64), details };
}

/** `GET /api/ps`, from exact items. */
export function ollamaPs(items: readonly string[]): string {
  return `{"models":[${items.join(',')}]}`;
}
