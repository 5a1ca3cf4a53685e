/** What single vendors want of every request, beside the body (agentgateway llm/mod.rs, set_required_fields). */
import type { AttemptEdit, Outgoing } from '../exchange.ts';
import type { BackendAuthOptions } from '../policies/backendAuth.ts';
import { bearerHeader } from '../policies/credential-location.ts';
import { openaiChat } from '../protocols/openai-chat.ts';
import { innermost, named, type PolicyLayer } from './policy-stack.ts';
import type { ProviderTarget } from './provider-target.ts';

/** After all policies: they bring the credential. */
export function vendorEditsOf({ provider }: ProviderTarget, layers: readonly PolicyLayer[]): readonly AttemptEdit[] {
  if (provider.kind !== 'anthropic') return [];
  const auth = innermost<BackendAuthOptions>(layers, 'backendAuth');
  // A place that the configuration names is where the key stays.
  const isPlaced = auth?.key !== undefined && auth.key.location !== bearerHeader;
  const edit: AttemptEdit = ({ outgoing }) => {
    if (!isPlaced) moveBearer(outgoing);
    outgoing.headers['anthropic-version'] ??= '2023-06-01';
    stripBrowser(outgoing);
  };
  return [named('anthropic', edit)];
}

/** Tokens of OAuth stay where they are. */
function moveBearer({ headers }: Outgoing): void {
  const token = /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  if (token === undefined) return;
  if (token.startsWith('sk-ant-oat')) {
    delete headers['x-api-key'];
  } else {
    delete headers.authorization;
    headers['x-api-key'] = token;
  }
}

/** Anthropic refuses requests that come from a page; these come from a gateway. */
function stripBrowser({ headers }: Outgoing): void {
  for (const name of Object.keys(headers)) {
    if (name === 'origin' || name.startsWith('access-control-request-') || name.startsWith('sec-fetch-')) delete headers[name];
  }
}

/** After a translation. Newer models of OpenAI's own know the limit of tokens by its newer name only. */
export function vendorFinalEditsOf({ provider, address }: ProviderTarget): readonly AttemptEdit[] {
  if (provider.kind !== 'openAI' || address !== undefined) return [];
  return [named('openAI', renameLimit)];
}

const renameLimit: AttemptEdit = ({ body, protocol }) => {
  if (body === undefined || protocol !== openaiChat) return;
  const model = body.get('model');
  if (typeof model !== 'string' || !/^(?:gpt-|o\d)/.test(model)) return;
  const limit = body.textOf('max_tokens');
  if (limit === undefined) return;
  if (!body.has('max_completion_tokens')) body.setText('max_completion_tokens', limit);
  body.delete('max_tokens');
};
