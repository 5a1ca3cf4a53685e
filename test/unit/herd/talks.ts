/** Small talks, written where a test needs them. */
import type { HerdModel } from '../../support/herd/setting.ts';
import type { SurfacePath, Talk, Turn } from '../../support/herd/trace.ts';

const gigabyte = 1_000_000_000;

/** Loads of 5 s (1 s of starting, 4 s of reading). */
export const small: HerdModel = { name: 'small:latest', sizeBytes: 4 * gigabyte };
export const other: HerdModel = { name: 'other:latest', sizeBytes: 4 * gigabyte };

export const allSurfaces: readonly SurfacePath[] = [
  '/v1/chat/completions',
  '/v1/messages',
  '/v1/responses',
  '/api/chat',
  '/api/generate',
];

export function turn(told: Partial<Turn> = {}): Turn {
  return { user: 'Why is the sky blue?', outputTokens: 20, thinkMs: 0, ...told };
}

export function talk(told: Partial<Talk> = {}): Talk {
  return {
    atMs: 0,
    model: small.name,
    surface: '/v1/chat/completions',
    isStream: true,
    system: 'Be brief.',
    turns: [turn()],
    ...told,
  };
}

/** What is to be over when the last answer has ended. */
export function traceOf(talks: readonly Talk[]) {
  return { name: 'test', about: '', boxes: [], events: [], talks };
}
