/// <reference types="node" />
/**
 * Corral on Bun. Bun's `fetch` runs 256 requests at once unless a variable says otherwise, and reads it before any code of
 * ours runs. So where it is unset this process replaces itself, once, by one that has it: same process id, same
 * terminal, about 5 ms. The rest is imported afterwards, so that it is not read twice.
 */
import process from 'node:process';

const variable = 'BUN_CONFIG_MAX_HTTP_REQUESTS';
/** The most that Bun takes. */
const maxRequests = '65535';

if (process.env[variable] === undefined) {
  // A compiled binary's script is inside it, and is found again without being named.
  const script =
    process.argv[1]?.startsWith('/$bunfs/') === true || process.argv[1]?.startsWith('B:/~BUN/') === true
      ? []
      : process.argv.slice(1, 2);
  try {
    process.execve?.(process.execPath, [process.execPath, ...process.execArgv, ...script, ...process.argv.slice(2)], {
      ...process.env,
      [variable]: maxRequests,
    });
  } catch {
    // Windows has no execve. Corral works all the same, 256 streams at once.
  }
}

const { serveOnBun } = await import('./bun-serve.ts');
await serveOnBun();

// No `fetch` in the default export: Bun would open a second port for it.
export default undefined;
