/** Edits the headers that the client sees, errors of Corral's own included: add, then set, then remove (agentgateway http/filters.rs). */
import { type HeaderEditOptions, headerEditsField, headerEditsOf, ordinaryName } from './header-edits.ts';
import { definePolicy } from './policy.ts';

export const responseHeaderModifier = definePolicy<HeaderEditOptions>({
  name: 'responseHeaderModifier',
  about: 'Adds, sets and removes response headers on the way to the client.',
  places: ['route', 'backend'],
  options: headerEditsField(ordinaryName),
  example: `responseHeaderModifier:
  set:
    x-served-by: corral
  remove: [server]
`,

  inherits: 'both',

  onRequest(options) {
    const edit = responseEditOf(options);
    return async (c, next) => {
      await next();
      // In place: a rebuilt Response would lose the bytes that some runtimes pipe to the client beside it.
      edit(c.res.headers);
    };
  },

  onBackendAnswer(options) {
    const edit = responseEditOf(options);
    return (_exchange, { headers }) => edit(headers);
  },
});

function responseEditOf(options: HeaderEditOptions): (headers: Headers) => void {
  const { add, set, remove } = headerEditsOf(options);
  return (headers) => {
    for (const [name, value] of add) headers.append(name, value);
    for (const [name, value] of set) headers.set(name, value);
    for (const name of remove) headers.delete(name);
  };
}
