/** A server with OpenAI's moderation API (agentgateway llm/policy/moderation.rs): asked for all texts of a request at once. */
import type { Attempt, PlainMessage } from '../../exchange.ts';
import type { SideServer } from '../../http/side-calls.ts';
import { parseValue } from '../../json/parse.ts';
import { backendAuth } from '../backendAuth.ts';
import { upstreamTlsOf } from '../backendTLS.ts';
import type { PolicyScope } from '../policy.ts';
import { requestHeaderModifier } from '../requestHeaderModifier.ts';
import type { ModerationOptions } from './options.ts';

/** Whether any of the texts is flagged. Throws whatever went wrong. */
export type Moderation = (attempt: Attempt, messages: readonly PlainMessage[]) => Promise<boolean>;

const timeoutMs = 10_000;

export function createModeration({ model, policies }: ModerationOptions, scope: PolicyScope): Moderation {
  const { backendAuth: auth, requestHeaderModifier: headers, backendTLS: tls } = policies ?? {};
  const edits = [
    headers === undefined ? undefined : requestHeaderModifier.onAttempt?.(headers, scope),
    auth === undefined ? undefined : backendAuth.onAttempt?.(auth, scope),
  ].filter((edit) => edit !== undefined);
  const { baseUrl, path } = scope.moderation;
  const server: SideServer = { name: baseUrl, baseUrl, tls: tls === undefined ? undefined : upstreamTlsOf(tls), headers: {} };
  return async (attempt, messages) => {
    const { clock, telemetry } = attempt.exchange;
    const asking: Attempt = {
      ...attempt,
      outgoing: { method: 'POST', path, query: '', authority: undefined, headers: { 'content-type': 'application/json' } },
      body: undefined,
      rewrites: undefined,
    };
    for (const edit of edits) await edit(asking);
    const { outgoing } = asking;
    const input = messages.map(({ content }) => content);
    const startedMs = clock.now();
    try {
      const answer = await scope.sideCalls.call({
        server,
        method: 'POST',
        path,
        headers: { ...outgoing.headers, ...(outgoing.authority === undefined ? {} : { host: outgoing.authority }) },
        body: new TextEncoder().encode(JSON.stringify({ input, model: model ?? 'omni-moderation-latest' })),
        timeoutMs,
      });
      return isFlagged(parseValue(new TextDecoder().decode(answer.bytes)), answer.status);
    } finally {
      telemetry.upstreamCall('Guardrail', (clock.now() - startedMs) / 1000, attempt.exchange);
    }
  };
}

function isFlagged(answer: unknown, status: number): boolean {
  const results = (answer as { results?: unknown } | null)?.results;
  if (status >= 400 || !Array.isArray(results)) throw new Error(`the moderation server answered ${status}, without results`);
  return results.some((result: unknown) => (result as { flagged?: unknown } | null)?.flagged === true);
}
