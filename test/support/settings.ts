/** What a start was told when it was told nothing but a configuration. */
import type { Settings } from '../../src/entry/settings.ts';

export function plainSettings(text: string, more: Partial<Settings> = {}): Settings {
  return {
    config: { text, name: 'x.yaml' },
    host: undefined,
    port: undefined,
    allowAnonymous: false,
    allowedHosts: [],
    hasDemo: false,
    apiKey: undefined,
    adminToken: undefined,
    originPatterns: [],
    env: () => undefined,
    readFile: undefined,
    ...more,
  };
}
