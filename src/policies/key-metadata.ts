/**
 * What Corral reads of a key's `metadata`. agentgateway takes any object there, and so does Corral: what it understands beyond
 * agentgateway lives here, where the file stays valid for both.
 */
import * as z from 'zod';
import type { Identity } from '../exchange.ts';
import { shareWarningsOf } from '../fields/key-share.ts';
import { hostsField, type NetworkKey, networksField } from './networks.ts';
import { type UserHeaders, userHeadersField } from './user-headers.ts';

export type KeyMetadata = Readonly<Record<string, unknown>>;

/** The members that are more than notes: a mistake in them would let somebody in, or nobody. */
const understood: Readonly<Record<string, z.ZodType>> = {
  userHeaders: userHeadersField,
  networks: networksField,
  hosts: hostsField,
};

/** Checks what is understood and leaves everything as it was written. */
export const keyMetadataField = z.record(z.string(), z.unknown()).superRefine((metadata, context) => {
  for (const [name, field] of Object.entries(understood)) {
    if (metadata[name] === undefined) continue;
    for (const { message, path } of field.safeParse(metadata[name]).error?.issues ?? []) {
      context.addIssue({ code: 'custom', message, path: [name, ...path] });
    }
  }
  if (metadata.hosts !== undefined && metadata.networks === undefined)
    context.addIssue({ code: 'custom', message: 'hosts belong to networks, and there are none', path: ['hosts'] });
});

export function identityOf(metadata: KeyMetadata, allowedModels?: readonly string[]): Identity {
  const name = metadata.name ?? metadata.user;
  const { scopes } = metadata;
  return {
    name: typeof name === 'string' || typeof name === 'number' ? String(name) : undefined,
    isAdmin: Array.isArray(scopes) && scopes.includes('admin'),
    allowedModels,
    metadata,
  };
}

/** Keys whose clients are believed what they say of their users; undefined when there are none, as nearly always. */
export function trustOf(identities: readonly Identity[]): ReadonlyMap<Identity, UserHeaders> | undefined {
  const trusted = new Map<Identity, UserHeaders>();
  for (const identity of identities) {
    const { userHeaders } = identity.metadata;
    const names = userHeaders === undefined ? undefined : userHeadersField.parse(userHeaders);
    if (names !== undefined) trusted.set(identity, names);
  }
  return trusted.size === 0 ? undefined : trusted;
}

/** Keys that stand for networks, in the order of the file. */
export function networkKeysOf(identities: readonly Identity[]): readonly NetworkKey[] {
  return identities.flatMap((identity) => {
    const { networks, hosts = [] } = identity.metadata;
    if (networks === undefined) return [];
    return [{ networks: networksField.parse(networks), hosts: hostsField.parse(hosts), identity }];
  });
}

export function warningsOf(keys: readonly { readonly metadata?: KeyMetadata | null | undefined }[]): readonly string[] {
  return keys.flatMap(({ metadata }, index) => {
    const warnings = shareWarningsOf(metadata ?? {}).map((warning) => `keys[${index}].${warning}`);
    if (metadata?.networks !== undefined && identityOf(metadata).isAdmin)
      warnings.push(`keys[${index}]: everybody in ${JSON.stringify(metadata.networks)} may manage the boxes without a key`);
    return warnings;
  });
}
