/** The servers that policies call: an address of their own, or that of a top-level backend. */
import type { Config, PolicyOptions } from '../config/schema.ts';
import type { ServerRef } from '../fields/server-ref.ts';
import type { SideServer } from '../http/side-calls.ts';
import type { Platform } from '../platform.ts';
import { type BackendTlsOptions, upstreamTlsOf } from '../policies/backendTLS.ts';
import { PlanError } from './upstreams.ts';

export function createServers(config: Config, refuses: Platform['refuses']): (ref: ServerRef, yamlPath: string) => SideServer {
  const serverAt = (name: string, authority: string, policies: PolicyOptions, yamlPath: string): SideServer => {
    const given = policies.backendTLS as BackendTlsOptions | undefined;
    const tls = given === undefined ? undefined : upstreamTlsOf(given);
    const baseUrl = `${given === undefined ? 'http' : 'https'}://${authority}`;
    const refusal = refuses({ url: baseUrl, tls });
    if (refusal !== undefined) throw new PlanError(`${yamlPath}: ${refusal}`);
    return { name, baseUrl, tls, headers: {} };
  };
  return (ref, yamlPath) => {
    if (ref.kind === 'host') return serverAt(ref.host.authority, ref.host.authority, {}, yamlPath);
    const named = config.backends.find(({ name }) => name === ref.name);
    if (named === undefined) throw new PlanError(`${yamlPath}: there is no backend named "${ref.name}"`);
    const { target, policies } = named;
    if (target.kind === 'host') return serverAt(ref.name, target.host.authority, policies, yamlPath);
    throw new PlanError(`${yamlPath}: the backend "${ref.name}" is not a host; a policy can only call a server`);
  };
}

/** Where moderation guards ask: OpenAI, or the server of `fleet.moderationUrl`. */
export function moderationOf({ fleet: { moderationUrl } }: Config): { readonly baseUrl: string; readonly path: string } {
  if (moderationUrl === undefined) return { baseUrl: 'https://api.openai.com', path: '/v1/moderations' };
  const { scheme, authority, path } = moderationUrl;
  return { baseUrl: `${scheme}://${authority}`, path: `${path === '' ? '/v1' : path}/moderations` };
}
