/** A Messages request as a request for chat completions. */
import type { JsonDraft, ObjectText } from '../../json/object-text.ts';
import { readObject } from '../../json/read-object.ts';
import { cannotReasonWithTools, effortForBudget, effortForEffort } from './effort.ts';
import { JsonText, jsonOf, textAsIs } from './exact-json.ts';
import { Losses } from './losses.ts';
import { chatMessagesOf } from './messages-turns.ts';
import { numberIn, objectsIn, objectUnder, stringIn, textIn } from './reading.ts';

/** Anthropic's own, without a counterpart. Whatever else a client sends passes: servers have members of their own. */
const withoutCounterpart = [
  'top_k',
  'container',
  'mcp_servers',
  'context_management',
  'service_tier',
  'inference_geo',
  'speed',
  'diagnostics',
  'user_profile_id',
  'workspace_id',
];
/** OpenAI takes no longer names of users (platform.openai.com/docs/api-reference/chat, safety_identifier). */
const maxUserLength = 64;

/** Throws invalid_body and unsupported_parameter. */
export function chatRequestOf(bytes: Uint8Array): { bytes: Uint8Array; warnings: readonly string[] } {
  const body = readObject(bytes);
  const draft = body.draft();
  const losses = new Losses('chat completions');
  draft.setText('messages', jsonOf(chatMessagesOf(body, losses)));
  draft.delete('system');
  rename(draft, 'stop_sequences', 'stop');
  const hasTools = setTools(body, draft, losses);
  setToolChoice(body, draft, hasTools);
  setUser(body, draft, losses);
  setReasoning(body, draft, hasTools, losses);
  setFormat(body, draft, losses);
  if (draft.get('stream') === true) draft.setText('stream_options', '{"include_usage":true}');
  // Marks for Anthropic's own cache. They change no answer, so nobody is warned.
  draft.delete('cache_control');
  losses.drop(draft, withoutCounterpart);
  return { bytes: draft.bytes(), warnings: losses.warnings() };
}

function rename(draft: JsonDraft, from: string, to: string): void {
  const json = draft.textOf(from);
  draft.delete(from);
  if (json !== undefined && json !== 'null' && json !== '[]') draft.setText(to, json);
}

function setTools(body: ObjectText, draft: JsonDraft, losses: Losses): boolean {
  const tools = (objectsIn(body, 'tools') ?? []).flatMap((tool) => {
    const type = stringIn(tool, 'type');
    const name = stringIn(tool, 'name') ?? '';
    // Tools with a type of their own are known to Anthropic's models, and described to no other.
    if (type !== undefined && type !== 'custom') {
      losses.note(`the tool ${name || type}`);
      return [];
    }
    const described = {
      name,
      description: textAsIs(textIn(tool, 'description')),
      parameters: new JsonText(textIn(tool, 'input_schema') ?? '{"type":"object","properties":{}}'),
      strict: textAsIs(textIn(tool, 'strict')),
    };
    return [{ type: 'function', function: described }];
  });
  if (tools.length === 0) draft.delete('tools');
  else draft.setText('tools', jsonOf(tools));
  return tools.length > 0;
}

function setToolChoice(body: ObjectText, draft: JsonDraft, hasTools: boolean): void {
  const choice = objectUnder(body, 'tool_choice');
  draft.delete('tool_choice');
  // Servers refuse a choice where there is nothing to choose.
  if (choice === undefined || !hasTools) return;
  const type = stringIn(choice, 'type');
  if (type === 'tool') {
    draft.setText('tool_choice', jsonOf({ type: 'function', function: { name: stringIn(choice, 'name') ?? '' } }));
  } else {
    draft.setText('tool_choice', type === 'any' ? '"required"' : type === 'none' ? '"none"' : '"auto"');
  }
  if (choice.get('disable_parallel_tool_use') === true) draft.setText('parallel_tool_calls', 'false');
}

function setUser(body: ObjectText, draft: JsonDraft, losses: Losses): void {
  const user = stringIn(objectUnder(body, 'metadata'), 'user_id');
  draft.delete('metadata');
  if (user === undefined) return;
  if (user.length <= maxUserLength) draft.setText('user', JSON.stringify(user));
  else losses.note(`metadata.user_id, which is longer than ${maxUserLength} letters`);
}

/**
 * A budget or an effort that the client names. `adaptive` alone says nothing: it is what clients send to every model, and servers
 * refuse an effort for models that cannot reason.
 */
function setReasoning(body: ObjectText, draft: JsonDraft, hasTools: boolean, losses: Losses): void {
  const thinking = objectUnder(body, 'thinking');
  const type = stringIn(thinking, 'type');
  const asked = stringIn(objectUnder(body, 'output_config'), 'effort');
  const budget = numberIn(thinking, 'budget_tokens');
  draft.delete('thinking');
  if (type === 'disabled') return;
  const effort = asked !== undefined ? effortForEffort(asked) : budget === undefined ? undefined : effortForBudget(budget);
  if (effort === undefined) return;
  if (hasTools && cannotReasonWithTools(stringIn(body, 'model'))) {
    draft.setText('reasoning_effort', '"none"');
    losses.warn("OpenAI's chat completions take no reasoning beside tools for this model: it answers without");
  } else {
    draft.setText('reasoning_effort', JSON.stringify(effort));
  }
}

/** Structured answers: `output_config.format`, or `output_format` as it was called in the beginning. */
function setFormat(body: ObjectText, draft: JsonDraft, losses: Losses): void {
  const format = objectUnder(objectUnder(body, 'output_config'), 'format') ?? objectUnder(body, 'output_format');
  draft.delete('output_config');
  draft.delete('output_format');
  if (format === undefined) return;
  const schema = textIn(format, 'schema');
  if (stringIn(format, 'type') !== 'json_schema' || schema === undefined) {
    losses.note('output_config.format');
    return;
  }
  const described = { name: 'answer', schema: new JsonText(schema), strict: true };
  draft.setText('response_format', jsonOf({ type: 'json_schema', json_schema: described }));
}
