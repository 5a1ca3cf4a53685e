/** The path on the wire. */
import type { PathQuestion, Target } from '../backends/target.ts';
import { vendors } from '../config/providers.ts';
import type { Protocol } from '../exchange.ts';
import { type PathRewrite, pathRewriteOf, type UrlRewriteOptions } from '../policies/urlRewrite.ts';
import type { PolicyLayer } from './policy-stack.ts';
import type { ProviderTarget } from './provider-target.ts';

/** The path that `urlRewrite` makes of the client's: it decides the protocol, and is what leaves where no protocol's path does. */
export function compilePathRewrite(layers: readonly PolicyLayer[]): PathRewrite {
  const layer = layers.findLast(({ options }) => options.urlRewrite !== undefined);
  if (layer === undefined) return (path) => path;
  const scope = { yamlPath: `${layer.yamlPath}.urlRewrite` };
  return pathRewriteOf(layer.options.urlRewrite as UrlRewriteOptions, scope) ?? ((path) => path);
}

/**
 * On a box the protocol's own path, whatever spelling the client used; below the prefix where the box stands behind a
 * reverse proxy. Elsewhere as agentgateway: the client's path, or the prefix and the protocol's suffix, or a format's own path.
 */
export function compilePaths(
  { pathOverride, pathPrefix, formats, provider, address }: ProviderTarget,
  rewrite: PathRewrite,
): Target['pathFor'] {
  if (pathOverride !== undefined) {
    const queryStart = pathOverride.indexOf('?');
    const path = queryStart < 0 ? pathOverride : pathOverride.slice(0, queryStart);
    const query = queryStart < 0 ? '' : pathOverride.slice(queryStart);
    return () => ({ path, query });
  }
  const boxRoot = (pathPrefix ?? '').replace(/\/v1$/, '');
  const keepsPath =
    pathPrefix === undefined && (provider.kind === 'openAI' || provider.kind === 'anthropic') && address !== undefined;
  const root = pathPrefix ?? (provider.kind === 'gemini' ? new URL(vendors.gemini.baseUrl).pathname : '/v1');
  const ownPaths = new Map(formats.flatMap(({ type, path }) => (path === undefined ? [] : [[type as string, path] as const])));
  return ({ protocol, clientPath, matchedPrefix, query: asSent, isBox, isTranslated }: PathQuestion) => {
    const usual = protocol === undefined ? undefined : wholePathOf(protocol);
    if (isBox) return { path: boxRoot + (usual ?? rewrite(clientPath, matchedPrefix)), query: asSent };
    // Anthropic's SDK says so of features in the making; elsewhere it means nothing, and some servers ask what it is.
    const query = isTranslated && asSent === '?beta=true' ? '' : asSent;
    const own = protocol === undefined ? undefined : ownPaths.get(protocol.name);
    if (own !== undefined) return { path: own, query };
    const asked = rewrite(clientPath, matchedPrefix);
    // agentgateway keeps the client's path even where the body has been translated.
    if (keepsPath && !isTranslated) return { path: asked, query };
    return { path: root + (usual ?? asked).replace(/^\/v1(?=\/)/, ''), query };
  };
}

/** Undefined where a protocol's path is only the start of what a request asks for: a model's name or a digest follows. */
function wholePathOf({ kind, path }: Protocol): string | undefined {
  return kind === 'management' || path.endsWith(':id') ? undefined : path;
}
