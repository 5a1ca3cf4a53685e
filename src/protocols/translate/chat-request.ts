/** A request for chat completions as a Messages request. */
import { GatewayError } from '../../errors.ts';
import type { JsonDraft, ObjectText } from '../../json/object-text.ts';
import { readObject } from '../../json/read-object.ts';
import { type Conversation, conversationOf } from './chat-turns.ts';
import { budgetFor, minBudget } from './effort.ts';
import { JsonText, jsonOf, textAsIs } from './exact-json.ts';
import { Losses } from './losses.ts';
import { numberIn, objectsIn, objectUnder, stringIn, textIn, wholeText } from './reading.ts';

/** Anthropic wants a limit and OpenAI does not: agentgateway's choice (crates/llm/src/types/completions.rs). */
const usualLimit = 4096;

/** OpenAI's own, without a counterpart. What is not listed passes: Anthropic names what it does not know, others may know it. */
const withoutCounterpart = [
  'logprobs',
  'top_logprobs',
  'logit_bias',
  'presence_penalty',
  'frequency_penalty',
  'seed',
  'prediction',
  'audio',
  'verbosity',
  'web_search_options',
  'moderation',
  'service_tier',
];
/** Concern OpenAI's own keeping of books and caches: nobody is warned. */
const meaningless = [
  'store',
  'stream_options',
  'prompt_cache_key',
  'prompt_cache_retention',
  'reasoning_effort',
  'n',
  'modalities',
];

/** Throws invalid_body and unsupported_parameter. */
export function messagesRequestOf(bytes: Uint8Array): { bytes: Uint8Array; warnings: readonly string[] } {
  const body = readObject(bytes);
  const draft = body.draft();
  const losses = new Losses("Anthropic's Messages");
  refuseImpossible(body);
  const conversation = conversationOf(body, losses);
  draft.setText('messages', jsonOf(conversation.messages));
  if (conversation.system.length > 0) draft.setText('system', jsonOf(conversation.system));
  const hasTools = setTools(body, draft, losses);
  const isForced = setToolChoice(body, draft, hasTools, losses);
  setThinking(body, draft, { conversation, isForced }, losses);
  setSampling(body, draft, losses);
  setStops(body, draft, losses);
  setUser(body, draft, losses);
  setFormat(body, draft, losses);
  for (const name of withoutCounterpart) if (isUsual(body, name)) draft.delete(name);
  losses.drop(draft, withoutCounterpart);
  for (const name of meaningless) draft.delete(name);
  return { bytes: draft.bytes(), warnings: losses.warnings() };
}

/** Values that ask for nothing: saying so would only worry people. */
function isUsual(body: ObjectText, name: string): boolean {
  const value = body.get(name);
  if (name === 'service_tier') return value === 'auto' || value === 'default';
  return value === 0 || value === false || value === null || body.textOf(name) === '{}';
}

function refuseImpossible(body: ObjectText): void {
  const refuse = (message: string): never => {
    throw new GatewayError('unsupported_parameter', message);
  };
  const choices = numberIn(body, 'n');
  if (choices !== undefined && choices > 1) refuse('"n": Anthropic\'s Messages give one answer; ask several times');
  const modalities = body.get('modalities');
  if (Array.isArray(modalities) && modalities.includes('audio')) refuse('"modalities": Anthropic\'s Messages give text only');
  for (const name of ['functions', 'function_call']) {
    if ((body.get(name) ?? undefined) !== undefined) refuse(`"${name}" is OpenAI's old way: send "tools" and "tool_choice"`);
  }
}

function setTools(body: ObjectText, draft: JsonDraft, losses: Losses): boolean {
  const tools = (objectsIn(body, 'tools') ?? []).flatMap((tool): object[] => {
    const described = objectUnder(tool, 'function');
    if (described === undefined) {
      // Anthropic's own tools, as clients of both write them, pass as they are.
      const type = stringIn(tool, 'type') ?? '';
      if (/_\d{8}$/.test(type)) return [new JsonText(wholeText(tool))];
      losses.note(`the tool ${stringIn(objectUnder(tool, 'custom'), 'name') ?? type}`);
      return [];
    }
    return [
      {
        name: stringIn(described, 'name') ?? '',
        description: textAsIs(textIn(described, 'description')),
        input_schema: new JsonText(textIn(described, 'parameters') ?? '{"type":"object","properties":{}}'),
        strict: described.get('strict') === true ? true : undefined,
        cache_control: textAsIs(textIn(tool, 'cache_control') ?? textIn(described, 'cache_control')),
      },
    ];
  });
  if (tools.length === 0) draft.delete('tools');
  else draft.setText('tools', jsonOf(tools));
  return tools.length > 0;
}

/** True where the model is made to call a tool. */
function setToolChoice(body: ObjectText, draft: JsonDraft, hasTools: boolean, losses: Losses): boolean {
  const word = stringIn(body, 'tool_choice');
  const named = stringIn(objectUnder(objectUnder(body, 'tool_choice'), 'function'), 'name');
  const isSerial = body.get('parallel_tool_calls') === false;
  draft.delete('parallel_tool_calls');
  draft.delete('tool_choice');
  if (!hasTools) return false;
  if (word === undefined && named === undefined && textIn(body, 'tool_choice') !== undefined) losses.note('tool_choice');
  const type = named !== undefined ? 'tool' : word === 'required' ? 'any' : word === 'none' ? 'none' : 'auto';
  if (type === 'auto' && word === undefined && !isSerial) return false;
  const serial = isSerial && type !== 'none' ? true : undefined;
  draft.setText('tool_choice', jsonOf({ type, name: named, disable_parallel_tool_use: serial }));
  return type === 'tool' || type === 'any';
}

interface ThinkingPlace {
  readonly conversation: Conversation;
  readonly isForced: boolean;
}

/** `reasoning_effort` as a budget of tokens, and the limit that has to be above it. A `thinking` that the client wrote itself stays. */
function setThinking(body: ObjectText, draft: JsonDraft, { conversation, isForced }: ThinkingPlace, losses: Losses): void {
  const given = numberIn(body, 'max_completion_tokens') ?? numberIn(body, 'max_tokens');
  const effort = stringIn(body, 'reasoning_effort');
  const budget = effort === undefined || textIn(body, 'thinking') !== undefined ? undefined : budgetFor(effort);
  draft.delete('max_completion_tokens');
  const limitText = textIn(body, 'max_completion_tokens') ?? textIn(body, 'max_tokens');
  draft.setText('max_tokens', limitText ?? String(usualLimit + (budget ?? 0)));
  if (budget === undefined) return;
  const reason = isForced
    ? 'a tool is forced'
    : conversation.lacksThinking
      ? 'the calls of tools so far came without their thinking'
      : given !== undefined && given <= minBudget
        ? `the limit of tokens leaves no room (more than ${minBudget} are needed)`
        : undefined;
  if (reason !== undefined) {
    losses.warn(`reasoning_effort was left out, because ${reason}`);
    return;
  }
  draft.setText(
    'thinking',
    jsonOf({ type: 'enabled', budget_tokens: Math.min(budget, (given ?? Number.POSITIVE_INFINITY) - 1) }),
  );
  // Anthropic takes no other temperature while a model thinks.
  if (body.get('temperature') === 1) draft.delete('temperature');
  losses.drop(draft, ['temperature', 'top_k']);
}

/** OpenAI's temperatures go up to 2. */
function setSampling(body: ObjectText, draft: JsonDraft, losses: Losses): void {
  const temperature = numberIn(body, 'temperature');
  if (temperature !== undefined && temperature > 1 && draft.has('temperature')) {
    draft.setText('temperature', '1');
    losses.warn("Anthropic's temperatures end at 1: 1 it is");
  }
  for (const name of ['temperature', 'top_p']) if (draft.textOf(name) === 'null') draft.delete(name);
}

function setStops(body: ObjectText, draft: JsonDraft, losses: Losses): void {
  const stop = body.get('stop');
  draft.delete('stop');
  const all = typeof stop === 'string' ? [stop] : Array.isArray(stop) ? stop : [];
  // Anthropic refuses sequences of blanks alone.
  const stops = all.filter((one) => typeof one === 'string' && one.trim() !== '');
  if (stops.length < all.length) losses.note('stop sequences of blanks');
  if (stops.length > 0) draft.setText('stop_sequences', JSON.stringify(stops));
}

function setUser(body: ObjectText, draft: JsonDraft, losses: Losses): void {
  const user = stringIn(body, 'user') ?? stringIn(body, 'safety_identifier');
  const own = stringIn(objectUnder(body, 'metadata'), 'user_id');
  for (const name of ['user', 'safety_identifier']) draft.delete(name);
  if (own !== undefined) return;
  if (textIn(body, 'metadata') === '{}') draft.delete('metadata');
  losses.drop(draft, ['metadata']);
  if (user !== undefined && user !== '') draft.setText('metadata', jsonOf({ user_id: user }));
}

function setFormat(body: ObjectText, draft: JsonDraft, losses: Losses): void {
  const format = objectUnder(body, 'response_format');
  draft.delete('response_format');
  const type = stringIn(format, 'type');
  if (type === undefined || type === 'text') return;
  const schema = textIn(objectUnder(format, 'json_schema'), 'schema');
  if (type === 'json_schema' && schema !== undefined) {
    draft.setText('output_config', jsonOf({ format: { type, schema: new JsonText(schema) } }));
  } else {
    losses.warn(
      `response_format of type ${type} was left out: Anthropic's Messages know schemas only, so the prompt alone asks for JSON`,
    );
  }
}
