/** A Responses request as a request for chat completions. */
import { GatewayError } from '../../errors.ts';
import type { JsonDraft, ObjectText } from '../../json/object-text.ts';
import { readObject } from '../../json/read-object.ts';
import { JsonText, jsonOf, textAsIs } from './exact-json.ts';
import { Losses } from './losses.ts';
import { objectsIn, objectUnder, stringIn, textIn } from './reading.ts';
import { chatMessagesOfInput } from './responses-items.ts';

/** Say something to OpenAI's own servers only, or about what it keeps: nothing of it changes an answer. */
const meaningless = ['store', 'include', 'stream_options', 'client_metadata', 'prompt_cache_key', 'prompt_cache_retention'];
/** Would change something, and cannot here. */
const withoutCounterpart = [
  'background',
  'max_tool_calls',
  'metadata',
  'safety_identifier',
  'service_tier',
  'context_management',
  'moderation',
  'truncation',
];

/** Throws invalid_body and unsupported_parameter. */
export function chatRequestOf(bytes: Uint8Array): { bytes: Uint8Array; warnings: readonly string[] } {
  const body = readObject(bytes);
  const draft = body.draft();
  const losses = new Losses('chat completions');
  refuseStored(body);
  const conversation = chatMessagesOfInput(body, losses);
  draft.setText('messages', jsonOf(conversation.messages));
  for (const name of ['input', 'instructions', 'previous_response_id', 'conversation', 'prompt']) draft.delete(name);
  setTools(body, draft, conversation.tools, losses);
  const limit = textIn(body, 'max_output_tokens');
  draft.delete('max_output_tokens');
  if (limit !== undefined) draft.setText('max_tokens', limit);
  setReasoning(body, draft);
  setText(body, draft, losses);
  setLogprobs(body, draft);
  if (body.get('background') === false) draft.delete('background');
  if (textIn(body, 'metadata') === '{}') draft.delete('metadata');
  if (body.get('truncation') === 'disabled') draft.delete('truncation');
  losses.drop(draft, withoutCounterpart);
  for (const name of meaningless) draft.delete(name);
  if (body.get('stream') === true) draft.setText('stream_options', '{"include_usage":true}');
  return { bytes: draft.bytes(), warnings: losses.warnings() };
}

/** A conversation that somebody else keeps, and prompts that OpenAI keeps: going on without would answer something else. */
function refuseStored(body: ObjectText): void {
  for (const name of ['previous_response_id', 'conversation', 'prompt']) {
    const value = body.get(name) ?? '';
    if (value === '') continue;
    throw new GatewayError(
      'unsupported_parameter',
      `"${name}" names something that is not kept here: this model is asked by chat completions, which know no earlier requests. Send the whole conversation in "input"`,
    );
  }
}

function setTools(body: ObjectText, draft: JsonDraft, added: readonly ObjectText[], losses: Losses): void {
  const tools = [...(objectsIn(body, 'tools') ?? []), ...added].flatMap((tool) => {
    const type = stringIn(tool, 'type');
    const name = stringIn(tool, 'name');
    if (type !== 'function') {
      losses.note(`the tool ${name ?? type}`);
      return [];
    }
    const described = {
      name,
      description: textAsIs(textIn(tool, 'description')),
      parameters: textAsIs(textIn(tool, 'parameters')),
      strict: textAsIs(textIn(tool, 'strict')),
    };
    return [{ type, function: described }];
  });
  if (tools.length === 0) {
    // Servers refuse these where there are no tools.
    for (const name of ['tools', 'tool_choice', 'parallel_tool_calls']) draft.delete(name);
    return;
  }
  draft.setText('tools', jsonOf(tools));
  setToolChoice(body, draft, losses);
}

function setToolChoice(body: ObjectText, draft: JsonDraft, losses: Losses): void {
  const choice = objectUnder(body, 'tool_choice');
  if (choice === undefined) return;
  const name = stringIn(choice, 'name');
  if (stringIn(choice, 'type') === 'function' && name !== undefined) {
    draft.setText('tool_choice', jsonOf({ type: 'function', function: { name } }));
  } else {
    draft.delete('tool_choice');
    losses.note(`tool_choice ${stringIn(choice, 'type')}`);
  }
}

function setReasoning(body: ObjectText, draft: JsonDraft): void {
  const effort = textIn(objectUnder(body, 'reasoning'), 'effort');
  draft.delete('reasoning');
  if (effort !== undefined) draft.setText('reasoning_effort', effort);
}

function setText(body: ObjectText, draft: JsonDraft, losses: Losses): void {
  const text = objectUnder(body, 'text');
  draft.delete('text');
  const verbosity = textIn(text, 'verbosity');
  if (verbosity !== undefined) draft.setText('verbosity', verbosity);
  const format = objectUnder(text, 'format');
  const type = stringIn(format, 'type');
  if (type === 'json_object') draft.setText('response_format', '{"type":"json_object"}');
  else if (type === 'json_schema') draft.setText('response_format', jsonOf({ type, json_schema: schemaOf(format) }));
  else if (type !== undefined && type !== 'text') losses.note(`text.format of type ${type}`);
}

function schemaOf(format: ObjectText | undefined): object {
  return {
    name: stringIn(format, 'name') ?? 'answer',
    description: textAsIs(textIn(format, 'description')),
    schema: new JsonText(textIn(format, 'schema') ?? '{}'),
    strict: textAsIs(textIn(format, 'strict')),
  };
}

/** The number alone asks for them in Responses; the items of the answer have no place for what comes. */
function setLogprobs(body: ObjectText, draft: JsonDraft): void {
  if (body.get('top_logprobs') === 0 || body.get('top_logprobs') === null) draft.delete('top_logprobs');
}
