/**
 * Options of Ollama on every surface (design decision 16). A box reads `num_ctx`, `keep_alive`, `think` and `options` on its own
 * protocols only; a call that asks for any of them in another one is put to it natively. Of contexts, what the configuration pins
 * holds for everybody; else a runner that has enough is used as it is, because another number would make the box load anew;
 * else the client's.
 */
import type { EnteredContext, Native, OllamaOptions } from '../backends/native.ts';
import type { Candidate } from '../backends/target.ts';
import { GatewayError } from '../errors.ts';
import { type Attempt, addWarning, type Call, type Protocol } from '../exchange.ts';
import { canonicalModel } from '../fields/model-name.ts';
import type { Herd } from '../fleet/fleet.ts';
import type { JsonDraft } from '../json/object-text.ts';
import { parsedRecord, recordOf } from '../protocols/answer-text.ts';
import { anthropicMessages } from '../protocols/anthropic-messages.ts';
import { hasNativeWay, putNatively } from '../protocols/translate/ollama.ts';
import {
  askedNumCtx,
  asksAnything,
  carriesAsked,
  isUnload,
  liftAsked,
  liftOptions,
  setNumCtx,
} from '../protocols/translate/ollama-asked.ts';
import type { NamedContexts } from './named-contexts.ts';

export type ContextKnowledge = Pick<Herd, 'isResident' | 'runnerOn' | 'modelsOn'>;

/**
 * `contexts` outlives plans: what was loaded is loaded. `wanted`: by canonical name, the context of calls that name none, where the
 * configuration has one; left out: for no model.
 */
export function createOllamaOptions(
  fleet: ContextKnowledge,
  contexts: NamedContexts,
  wanted?: (model: string) => number | undefined,
): OllamaOptions {
  return {
    lift(attempt, call) {
      const { body, protocol, outgoing } = attempt;
      if (body === undefined || call.body === undefined || protocol === undefined) return false;
      if (!carriesAsked(call.body, outgoing.headers)) return false;
      const isNative = isOllamas(protocol);
      if (!isNative && !hasNativeWay(protocol)) return false;
      liftAsked(body, outgoing.headers, isNative);
      if (!isNative) liftOptions(body, protocol.name);
      dropKeepAlive(attempt, body, protocol);
      return true;
    },
    settle(attempt, call, candidate, mayAsk, entered) {
      const { body, protocol } = attempt;
      const { target, model } = candidate;
      if (body === undefined || model === undefined || protocol?.kind !== 'inference') return undefined;
      const { pinnedNumCtx } = target;
      if (!mayAsk && pinnedNumCtx === undefined && wanted === undefined && contexts.isEmpty) return undefined;
      const isNative = isOllamas(protocol);
      const named = mayAsk ? askedNumCtx(body, isNative) : undefined;
      const asked = named ?? wanted?.(canonicalModel(model));
      const numCtx = pinnedNumCtx ?? contextFor(asked, attempt, model, { fleet, contexts, entered });
      // What is only used as it is, is not what was asked for last.
      if (numCtx !== undefined && entered === undefined)
        contexts.note(attempt.upstream.baseUrl, canonicalModel(model), numCtx, attempt.exchange.clock.now());
      if (isNative) {
        if (numCtx !== undefined && numCtx !== named) setNumCtx(body, numCtx, true);
        return numCtx === undefined ? undefined : { numCtx, native: undefined };
      }
      if (numCtx === undefined && !(mayAsk && asksAnything(body))) return undefined;
      return {
        numCtx,
        native: hasNativeWay(protocol) ? nativelyPut(attempt, call, body, protocol, { numCtx, model, fleet }) : undefined,
      };
    },
  };
}

function isOllamas({ family }: Protocol): boolean {
  return family === 'ollama';
}

/** It holds for everybody who uses the model, and stays when this call has gone. */
function dropKeepAlive({ exchange }: Attempt, body: JsonDraft, protocol: Protocol): void {
  const keepAlive = body.textOf('keep_alive');
  if (keepAlive === undefined || exchange.identity?.isAdmin === true) return;
  if (isUnload(keepAlive) && asksNothing(protocol, body)) {
    // Without its keep_alive it would load the model that it wants to see gone.
    throw new GatewayError(
      'admin_scope_required',
      'a call that only unloads a model needs a key whose metadata has scopes: [admin], or CORRAL_ADMIN_TOKEN as the key',
    );
  }
  body.delete('keep_alive');
  if (keepAlive !== 'null')
    addWarning(exchange, 'keep_alive was left out: it holds for all who use the model, so it takes the admin scope');
}

/** A call that only takes its model out of memory: it is in nobody's way, and nothing is to be loaded for it. */
export function isUnloadCall({ protocol, body }: Call): boolean {
  return body?.has('keep_alive') === true && isUnload(body.textOf('keep_alive')) && asksNothing(protocol, body);
}

/** What Ollama takes for a wish to load or unload, and nothing else. */
function asksNothing({ operation, family }: Protocol, body: Pick<JsonDraft, 'textOf'>): boolean {
  if (family !== 'ollama') return false;
  const text = body.textOf(operation === 'chat' ? 'messages' : operation === 'embeddings' ? 'input' : 'prompt');
  return text === undefined || text === 'null' || text === '""' || /^\[\s*\]$/.test(text);
}

interface ContextSources {
  readonly fleet: ContextKnowledge;
  readonly contexts: NamedContexts;
  readonly entered: EnteredContext | undefined;
}

/** Undefined leaves it to the box. */
function contextFor(
  asked: number | undefined,
  { exchange, upstream }: Attempt,
  model: string,
  { fleet, contexts, entered }: ContextSources,
): number | undefined {
  const name = canonicalModel(model);
  if (asked === undefined && !contexts.has(upstream.baseUrl, name)) return undefined;
  const runner = fleet.isResident(upstream, model) === true ? fleet.runnerOn(upstream, model)?.contextLength : undefined;
  // What was asked for a moment ago is not seen in the box's lists yet. Whoever has come in goes by what is there: others may wait for more.
  const named = entered === undefined ? contexts.recent(upstream.baseUrl, name, exchange.clock.now()) : entered.numCtx;
  const present = Math.max(runner ?? 0, named ?? 0);
  if (asked === undefined) return fits(exchange, present) ? present : undefined;
  if (present >= asked) return present;
  const most = mostContextOf(fleet, { upstream }, name);
  if (most === undefined || asked <= most) return asked;
  addWarning(exchange, `num_ctx ${asked} is more than ${model.slice(0, 100)} was made for: ${most} it is`);
  return Math.max(most, present);
}

/**
 * Whoever asks for nothing expects the box's own context, which may be larger than the runner's that others have asked for. It
 * gets the runner as it is where the prompt takes half of it at most, at three bytes a token; else the load is worth it.
 */
function fits({ call }: Attempt['exchange'], context: number): boolean {
  return (call?.bytes.length ?? 0) / 3 <= context / 2;
}

function mostContextOf(fleet: ContextKnowledge, { upstream }: Pick<Attempt, 'upstream'>, name: string): number | undefined {
  const most = recordOf(tagOf(fleet, { upstream }, name)?.details)?.context_length;
  return typeof most === 'number' && most > 0 ? most : undefined;
}

function tagOf(
  { modelsOn }: ContextKnowledge,
  { upstream }: Pick<Attempt, 'upstream'>,
  name: string,
): Readonly<Record<string, unknown>> | undefined {
  const known = modelsOn(upstream).find((one) => canonicalModel(one.name) === name);
  return known === undefined ? undefined : parsedRecord(known.tag);
}

function nativelyPut(
  attempt: Attempt,
  { wantsUsage }: Call,
  body: JsonDraft,
  protocol: Protocol,
  { numCtx, model, fleet }: Pick<Candidate, 'model'> & { readonly numCtx: number | undefined; readonly fleet: ContextKnowledge },
): Native | undefined {
  if (numCtx !== undefined) setNumCtx(body, numCtx, false);
  if (protocol === anthropicMessages) relaxThinking(attempt, body, canonicalModel(model ?? ''), fleet);
  const native = putNatively(protocol, body.bytes(), { isStream: body.get('stream') === true, wantsUsage });
  if (native === undefined) {
    addWarning(attempt.exchange, 'options of Ollama were left out: a box runs web_search on its own path only, which has none');
  }
  return native;
}

/** Agents ask every model to think; the box's own `/v1/messages` forgives it of those that cannot (server/routes.go, relax_thinking). */
function relaxThinking({ upstream }: Attempt, body: JsonDraft, name: string, fleet: ContextKnowledge): void {
  if (!body.has('thinking') && !body.has('output_config')) return;
  const capabilities = tagOf(fleet, { upstream }, name)?.capabilities;
  if (!Array.isArray(capabilities) || capabilities.includes('thinking')) return;
  body.delete('thinking');
  body.delete('output_config');
}
