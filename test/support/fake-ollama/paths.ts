import { type Answer, wholeAnswer } from './answer.ts';

/** Ollama's routes (server/routes.go GenerateRoutes); management paths are there so that a test sees when one is reached. */
const table: Readonly<Record<string, readonly string[]>> = {
  '/': ['HEAD', 'GET'],
  '/api/version': ['HEAD', 'GET'],
  '/api/tags': ['HEAD', 'GET'],
  '/api/status': ['GET'],
  '/api/ps': ['GET'],
  '/api/show': ['POST'],
  '/api/generate': ['POST'],
  '/api/chat': ['POST'],
  '/api/embed': ['POST'],
  '/api/embeddings': ['POST'],
  '/api/pull': ['POST'],
  '/api/push': ['POST'],
  '/api/create': ['POST'],
  '/api/copy': ['POST'],
  '/api/delete': ['DELETE'],
  '/api/me': ['POST'],
  '/api/signout': ['POST'],
  '/v1/chat/completions': ['POST'],
  '/v1/completions': ['POST'],
  '/v1/embeddings': ['POST'],
  '/v1/responses': ['POST'],
  '/v1/messages': ['POST'],
  '/v1/models': ['GET'],
  '/v1/audio/transcriptions': ['POST'],
};

/** Methods of a path, `undefined` for a path that Ollama does not have. */
export function methodsOf(pathname: string): readonly string[] | undefined {
  if (Object.hasOwn(table, pathname)) return table[pathname];
  if (/^\/v1\/models\/[^/]+$/.test(pathname)) return ['GET'];
  if (/^\/api\/blobs\/[^/]+$/.test(pathname)) return ['POST', 'HEAD'];
  return undefined;
}

/** The `Allow` header of a path. */
export function allowOf(pathname: string): string | undefined {
  return methodsOf(pathname)?.join(', ');
}

/** What gin answers by itself: redirects, 404 and 405 (recordings http-*). Undefined: a handler has to answer. */
export function routerAnswer(method: string, pathname: string): Answer | undefined {
  const methods = methodsOf(pathname);
  if (methods?.includes(method) === true) return undefined;
  const clean = pathname.replaceAll(/\/{2,}/g, '/');
  if (clean !== pathname && methodsOf(clean) !== undefined) return redirect(method, 307, clean);
  const trimmed = pathname.replace(/\/$/, '');
  if (trimmed !== pathname && methodsOf(trimmed)?.includes(method) === true)
    return redirect(method, method === 'GET' ? 301 : 307, trimmed);
  if (methods !== undefined)
    return wholeAnswer(405, { Allow: methods.join(', '), 'Content-Type': 'text/plain' }, '405 method not allowed');
  return wholeAnswer(404, { 'Content-Type': 'text/plain' }, '404 page not found');
}

function redirect(method: string, status: 301 | 307, to: string): Answer {
  if (method !== 'GET') return wholeAnswer(status, { Location: to }, '');
  const words = status === 301 ? 'Moved Permanently' : 'Temporary Redirect';
  return wholeAnswer(status, { 'Content-Type': 'text/html; charset=utf-8', Location: to }, `<a href="${to}">${words}</a>.\n\n`);
}
