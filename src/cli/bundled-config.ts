/// <reference types="node" />
/** config/gateway.yaml: what Corral does when told nothing. A build has its text inside, the source reads the file. */
import { fileURLToPath } from 'node:url';
import type { ConfigText } from '../entry/settings.ts';

/** Put in by scripts/build.ts. */
declare const CORRAL_BUNDLED_CONFIG: string;

export const bundledName = 'config/gateway.yaml';

export function bundledConfig(readFile: (path: string) => string): ConfigText {
  const name = bundledName;
  if (typeof CORRAL_BUNDLED_CONFIG === 'string') return { text: CORRAL_BUNDLED_CONFIG, name };
  return { text: readFile(fileURLToPath(new URL(`../../${name}`, import.meta.url))), name };
}
