/** Which further paths are opened on boxes (`fleet.openPaths`). */
import type { OpenPaths } from '../backends/target.ts';
import type { FleetConfig } from '../config/schema.ts';

/** A segment that `*` stands for: nothing that could be read as more segments, or as a step back. */
const segment = '(?!\\.{1,2}(?:/|$))[A-Za-z0-9._~:@!$&()+,;=-]+';

export function compileOpenPaths(paths: FleetConfig['openPaths']): OpenPaths {
  const written = [...new Set(paths.map(({ method, path }) => `${method} ${path}`))];
  const exact = new Set(written);
  const patterns = written
    .filter((text) => text.includes('*'))
    .map((text) => new RegExp(`^${text.split('*').map(escaped).join(segment)}$`));
  return {
    written,
    opens(method, path) {
      if (written.length === 0) return false;
      const asked = `${method} ${path}`;
      return exact.has(asked) || patterns.some((pattern) => pattern.test(asked));
    },
  };
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
