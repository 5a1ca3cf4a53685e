/** The answer where only a box that is out of service could serve. */
import { GatewayError } from '../errors.ts';
import type { Protocol } from './protocol.ts';

export function cordonedError(boxName: string): GatewayError {
  return new GatewayError(
    'box_cordoned',
    `${boxName} is out of service and no other box can take this. Put it back with \`corral fleet uncordon ${boxName}\`, or try again later`,
    { headers: { 'retry-after': '30' } },
  );
}

/** Whether a box that is out of service refuses it: lists, probes and what manages the box go on. */
export function isWork(protocol: Protocol | undefined): boolean {
  return protocol === undefined || protocol.kind === 'inference';
}
