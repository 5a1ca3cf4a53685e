import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** Vitest's own count leaves one core idle, which is half of a machine with two. One count for all, so that they fill each other's gaps. */
const maxWorkers = Math.max(2, Math.floor(availableParallelism() / 2));

/** Unit files that change what the whole process sees, or look at it: each has a process of its own. */
export const alone = [
  // The server package puts a Request and a Response of its own in place of the platform's.
  'test/unit/entry/**/*.test.ts',
  'test/unit/cli/validate.test.ts',
  'test/unit/support/runtimes/**/*.test.ts',
  // vi.mock holds for whoever imports the module afterwards.
  'test/unit/compile/golden.test.ts',
  // What is loaded on demand is not loaded yet.
  'test/unit/fields/on-demand.test.ts',
  // Measures the memory of its process.
  'test/unit/answers/memory.test.ts',
];

/** Properties run hundreds of cases; on a busy machine that takes longer than a second or five. */
const testTimeout = 30_000;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/contract/**/*.test.ts', 'test/support/**/*.test.ts'],
          exclude: alone,
          setupFiles: ['test/support/as-found.ts', 'test/support/on-demand.ts'],
          // Most of a file's time went into loading the same modules again; as-found.ts sees to it that they do not mind company.
          isolate: false,
          testTimeout,
          maxWorkers,
        },
      },
      {
        test: {
          name: 'alone',
          include: alone,
          setupFiles: ['test/support/on-demand.ts'],
          testTimeout,
          maxWorkers,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // Cases that wait side by side; each starts programs, and a start takes a core.
          maxConcurrency: 3,
          maxWorkers,
        },
      },
    ],
  },
});
