/**
 * Paths that change a box or speak for its account (Ollama server/routes.go): they need the admin scope. A path under one
 * of these stems counts as well, so that a new Ollama cannot add one that slips past.
 */
import type { Protocol } from '../exchange.ts';
import { defineProtocol } from './define.ts';
import { ollamaErrorBody, ollamaErrorInStream } from './ollama.ts';
import { isWord } from './spelling.ts';

function managementProtocol(name: string, path: string, methods: readonly string[]): Protocol {
  return defineProtocol({
    name,
    family: 'ollama',
    kind: 'management',
    methods,
    path,
    operation: 'none',
    body: 'none',
    errorBody: ollamaErrorBody,
    errorInStream: ollamaErrorInStream,
  });
}

/** Ordered; the first stem that fits names the path. */
export const managementProtocols: readonly Protocol[] = [
  /** Downloads from any host the caller names, this machine's own ports included. */
  managementProtocol('ollamaPull', '/api/pull', ['POST']),
  managementProtocol('ollamaPush', '/api/push', ['POST']),
  managementProtocol('ollamaCreate', '/api/create', ['POST']),
  managementProtocol('ollamaCopy', '/api/copy', ['POST']),
  managementProtocol('ollamaDelete', '/api/delete', ['DELETE']),
  /** `/api/blobs/:digest`: uploads of any size. */
  managementProtocol('ollamaBlobs', '/api/blobs', ['POST', 'HEAD']),
  /** The box's account at ollama.com. */
  managementProtocol('ollamaMe', '/api/me', ['POST']),
  managementProtocol('ollamaSignout', '/api/signout', ['POST']),
  managementProtocol('ollamaUserKeys', '/api/user', ['DELETE']),
  /** web_search and web_fetch, signed with the box's key. */
  managementProtocol('ollamaExperimental', '/api/experimental', ['GET', 'POST']),
  managementProtocol('ollamaStatus', '/api/status', ['GET']),
];

export interface ManagementMatch {
  readonly protocol: Protocol;
  /** The path as the box spells it, with what follows the stem. */
  readonly path: string;
}

/** The management path that stands anywhere in these segments (a prefix may be rewritten away later), or undefined. */
export function managementIn(segments: readonly string[]): ManagementMatch | undefined {
  for (let start = 0; start + 1 < segments.length; start++) {
    if (!isWord(segments[start], 'api')) continue;
    const protocol = managementProtocols.find((one) => isWord(segments[start + 1], one.path.slice('/api/'.length)));
    if (protocol === undefined) continue;
    const rest = segments.slice(start + 2).map((segment) => `/${encodeURIComponent(segment).replaceAll('%3A', ':')}`);
    return { protocol, path: protocol.path + rest.join('') };
  }
  return undefined;
}
