/**
 * Which conversation a call belongs to, and how much of it is new: read only where there is a box to choose. A client's own
 * session id is best; where it sends none, the conversation's start stands for it, which stays while the rest grows.
 *
 * What clients send (looked up in 2026):
 * - Claude Code: header `x-claude-code-session-id` since 2.1.86; before, and still, in `metadata.user_id`: as
 *   `user_…_account_…_session_<uuid>`, since 2.1.78 as JSON text `{"device_id":…,"account_uuid":…,"session_id":…}`
 *   (coder/aibridge pull 241, ding113/claude-code-hub pull 939).
 * - Codex: headers `thread-id` and `session-id`, in older versions `session_id`, before 2026 `conversation_id` too; and
 *   `prompt_cache_key` in the body (openai/codex pulls 21757 and 9107).
 * - OpenCode: header `x-opencode-session` to its own service, `x-session-affinity` and `x-session-id` to any other (coder/coder
 *   pull 26140, diegosouzapw/OmniRoute pull 4028).
 * - Open WebUI: header `X-OpenWebUI-Chat-Id`, with ENABLE_FORWARD_USER_INFO_HEADERS (backend/open_webui/utils/headers.py).
 * `previous_response_id` is another one in every turn and tells nothing.
 */
import type { Call } from '../exchange.ts';
import { finishHash, hashInto, hashSeed } from '../fields/hash.ts';
import { memberObject } from '../json/nested.ts';
import type { ObjectText } from '../json/object-text.ts';
import { JsonTree } from '../json/tree.ts';
import { withoutBillingLine } from './billing-line.ts';
import { estimatePromptTokens } from './count-tokens.ts';

/** The nearest to one conversation first: sub-agents have threads of their own in a session. */
const sessionHeaders = [
  'x-claude-code-session-id',
  'x-opencode-session',
  'x-session-affinity',
  'thread-id',
  'session-id',
  'session_id',
  'conversation_id',
  'x-session-id',
  'x-openwebui-chat-id',
];

/** Of session ids and of a conversation's start: what comes after it tells nothing apart. In UTF-16 units. */
const maxIdLength = 256;
const maxStartLength = 16 * 1024;
/** Of prompts without messages: what is the same from call to call stands at their beginning. */
const maxPromptStart = 512;

/**
 * Tells conversations apart: the same text for each turn of one. Undefined where no call has anything to do with another
 * (embeddings, forms). `headers`: further ones that name a conversation, lower case, before the known ones.
 */
export function conversationOf(
  { body, protocol }: Pick<Call, 'body' | 'protocol'>,
  requestHeaders: Headers,
  headers: readonly string[] = [],
): string | undefined {
  if (protocol.operation === 'embeddings' || body === undefined) return undefined;
  const session = sessionInHeaders(requestHeaders, headers) ?? sessionInBody(body);
  if (session !== undefined) return `session ${hashed(session)}`;
  const start = startOf(body);
  return start === undefined ? undefined : `start ${start}`;
}

function sessionInHeaders(requestHeaders: Headers, further: readonly string[]): string | undefined {
  for (const names of [further, sessionHeaders]) {
    for (const name of names) {
      const value = requestHeaders.get(name);
      if (value !== null && value !== '') return value;
    }
  }
  return undefined;
}

const bodyNames: ReadonlySet<string> = new Set(['metadata', 'prompt_cache_key', 'conversation']);

function sessionInBody(body: ObjectText): string | undefined {
  if (!body.hasAny(bodyNames)) return undefined;
  return (
    sessionInUserId(memberObject(body, 'metadata')?.get('user_id')) ??
    textIn(body.get('prompt_cache_key')) ??
    textIn(memberObject(body, 'conversation')?.get('id')) ??
    textIn(body.get('conversation'))
  );
}

/** A user id without a session in it is the same for all conversations of its user. */
function sessionInUserId(value: unknown): string | undefined {
  const userId = textIn(value);
  if (userId === undefined || userId.length > 4_096) return undefined;
  if (!userId.startsWith('{')) return /_session_(\S+)$/.exec(userId)?.[1];
  try {
    JSON.parse(userId);
  } catch {
    return undefined;
  }
  return textIn(new JsonTree(userId).root.member('session_id')?.string);
}

function textIn(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function hashed(text: string): string {
  const id = text.slice(0, maxIdLength);
  return hex(finishHash(hashInto(hashSeed, id))) + hex(finishHash(hashInto(hashSeed ^ id.length, id)));
}

function hex(hash: number): string {
  return hash.toString(16).padStart(8, '0');
}

/** Hashes texts as they come, as far as they count. */
class StartHash {
  #state = hashSeed;
  #left: number = maxStartLength;

  add(text: string | undefined, maxLength = maxStartLength): void {
    if (text === undefined) return;
    // A length between them: "ab" and "c" are not "a" and "bc".
    const length = Math.min(text.length, maxLength, this.#left);
    this.#state = hashInto(this.#state ^ length, text, length);
    this.#left -= length;
  }

  /** A text, or the texts of a list of parts. What else parts hold may change from turn to turn (`cache_control`). */
  addContent(content: JsonTree['root'] | undefined): void {
    if (content?.kind === 'string') this.add(content.string);
    for (const part of content?.elements() ?? []) this.add(part.member('text')?.string);
  }

  get isEmpty(): boolean {
    return this.#left === maxStartLength;
  }

  get text(): string {
    return hex(finishHash(this.#state)) + hex(finishHash(this.#state ^ (this.#left << 8)));
  }
}

/** The system prompt and what the user said first; undefined where there is neither. */
function startOf(body: ObjectText): string | undefined {
  const start = new StartHash();
  const system = body.textOf('system');
  if (system !== undefined) start.addContent(new JsonTree(withoutBillingLine(system) ?? system).root);
  addMember(start, body, 'instructions');
  for (const name of ['messages', 'input']) {
    const list = body.textOf(name);
    if (list === undefined) continue;
    const { root } = new JsonTree(list);
    if (root.kind === 'string') start.add(root.string, maxPromptStart);
    for (const message of root.elements()) {
      start.addContent(message.member('content'));
      if (message.member('role')?.string === 'user') break;
    }
  }
  const prompt = body.textOf('prompt');
  if (prompt !== undefined) {
    const { root } = new JsonTree(prompt);
    start.add(root.string ?? root.elements()[0]?.string, maxPromptStart);
  }
  return start.isEmpty ? undefined : start.text;
}

function addMember(start: StartHash, body: ObjectText, name: string): void {
  const json = body.textOf(name);
  if (json !== undefined) start.addContent(new JsonTree(json).root);
}

/** A short body is all text; a long one may hold images, which are many letters and few tokens. */
const surelyTextBytes = 64 * 1024;
const bytesPerToken = 4;

/** The prompt's tokens, as good as is needed to place a call: cheap for all but long bodies. */
export function promptTokensOf({ body, bytes }: Pick<Call, 'body' | 'bytes'>): number {
  if (body === undefined) return 0;
  return bytes.length <= surelyTextBytes ? Math.ceil(bytes.length / bytesPerToken) : estimatePromptTokens(body);
}

/** How much of the prompt earlier turns had already, 0 to 1: all up to the last answer of the model; 0 in a first turn. */
export function earlierShareOf({ body, bytes }: Pick<Call, 'body' | 'bytes'>): number {
  const list = body?.textOf('messages') ?? body?.textOf('input');
  if (list === undefined) return 0;
  const messages = new JsonTree(list).root.elements();
  const last = messages.findLastIndex((message) => message.member('role')?.string === 'assistant');
  if (last < 0) return 0;
  let newLength = 0;
  for (const message of messages.slice(last + 1)) newLength += message.json.length;
  return Math.max(0, 1 - newLength / Math.max(1, bytes.length));
}
