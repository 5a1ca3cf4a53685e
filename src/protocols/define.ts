/** Writing a protocol down: what most of them have in common is said once. */
import type { CallReading, Protocol } from '../exchange.ts';

/** Nothing asked for, nothing changed. Also the reading of requests without a body. */
export const plainReading: CallReading = { isStream: false, wantsUsage: false, boxChanges: new Map(), warnings: [] };

type Required = 'name' | 'family' | 'kind' | 'methods' | 'path' | 'operation' | 'body' | 'errorBody' | 'errorInStream';

/** A protocol that never streams, tells no usage and changes nothing, but for what is given. */
export function defineProtocol(given: Pick<Protocol, Required> & Partial<Protocol>): Protocol {
  return {
    streamsByDefault: false,
    stream: undefined,
    usageOf: () => undefined,
    readCall: () => plainReading,
    ...given,
  };
}
