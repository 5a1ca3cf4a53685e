/** Edits the headers that an upstream sees: add, then set, then remove (agentgateway http/filters.rs). */
import type { Outgoing } from '../exchange.ts';
import { type HeaderEditOptions, headerEditsField, headerEditsOf, ordinaryName } from './header-edits.ts';
import { definePolicy } from './policy.ts';

const isAuthority = (name: string): boolean => name === 'host' || name === ':authority';

export const requestHeaderModifier = definePolicy<HeaderEditOptions>({
  name: 'requestHeaderModifier',
  about: 'Adds, sets and removes request headers before they reach an upstream. `host` sets the Host that it sees.',
  places: ['route', 'backend'],
  options: headerEditsField((name) => (isAuthority(name.toLowerCase()) ? undefined : ordinaryName(name))),
  example: `requestHeaderModifier:
  set:
    x-team: research
  remove: [user-agent]
`,

  inherits: 'both',

  onAttempt(options) {
    const { add, set, remove } = headerEditsOf(options);
    return ({ outgoing }) => {
      for (const [name, value] of add) addTo(outgoing, name, value);
      for (const [name, value] of set) {
        if (isAuthority(name)) outgoing.authority = value;
        else outgoing.headers[name] = value;
      }
      for (const name of remove) delete outgoing.headers[name];
    };
  },
});

/** Headers of one name travel as one line here; cookies alone are not joined by commas (RFC 6265 §5.4). */
function addTo(outgoing: Outgoing, name: string, value: string): void {
  if (isAuthority(name)) {
    outgoing.authority = value;
    return;
  }
  const held = outgoing.headers[name];
  outgoing.headers[name] = held === undefined ? value : `${held}${name === 'cookie' ? '; ' : ', '}${value}`;
}
