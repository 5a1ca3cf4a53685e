/** A runtime at which nobody is reached and nothing is said. */
import { GatewayError } from '../../src/errors.ts';
import type { Platform } from '../../src/platform.ts';
import { createFakeClock } from './fake-clock.ts';

export function createQuietPlatform(more: Partial<Platform> = {}): Platform {
  return {
    runtime: 'node',
    clock: createFakeClock(),
    hasBackground: true,
    send: () => Promise.reject(new GatewayError('upstream_refused', 'nobody there')),
    respond: () => new Response(),
    refuses: () => undefined,
    print: () => undefined,
    report: () => undefined,
    ...more,
  };
}
