/** Secrets that stand in clear in a file that others on this machine may read. */
import { clearSecretsIn } from '../config/clear-secrets.ts';
import type { Settings } from '../entry/settings.ts';

/** `modeOf`: the permission bits of a file; undefined where there are none. */
export function clearSecretWarnings(
  { config }: Settings,
  modeOf: (path: string) => number | undefined,
): readonly { path: string; message: string }[] {
  const mode = config.path === undefined ? undefined : modeOf(config.path);
  if (config.path === undefined || mode === undefined || (mode & 0o004) === 0) return [];
  const message = `this secret stands in clear in a file that every user of this machine may read: chmod 600 ${config.path}, or write a variable or {file: path}`;
  return clearSecretsIn(config.text).map((path) => ({ path, message }));
}
