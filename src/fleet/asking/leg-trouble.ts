/** What keeps the leg to a relay from working, with the mend. */
import { relayHeader } from '../../http/signed-caller.ts';
import { messageOf } from './advice.ts';
import { isAccessRefusal, type Seen } from './relay.ts';
import { type Advice, AdvisedTrouble } from './trouble.ts';

/** What the answer to a probe says of the leg; undefined: nothing is wrong with that. */
export function legTrouble({ status, headers }: Seen, text: string | undefined, name: string): AdvisedTrouble | undefined {
  if (isAccessRefusal(status, headers)) {
    return new AdvisedTrouble({
      why: `${name} stands behind Cloudflare Access, which did not let this gateway in.`,
      mend: 'Make a service token there, allow it in a policy with the action Service Auth, and give it here: fleet.relay.accessClientId and accessClientSecret, with access: true at this box in fleet.boxes (https addresses only). No other box gets to see it.',
    });
  }
  if (status !== 401 || headers.get(relayHeader) === null) return undefined;
  return new AdvisedTrouble(relayRefusalAdvice(name, messageOf(text ?? '') ?? ''));
}

/** Whether a relay has turned a request away because of the leg (`answers/leg.ts`, `policies/relayLock.ts`). */
export function isRelayRefusal(status: number, text: string): boolean {
  return status === 401 && (messageOf(text)?.startsWith('this Corral relay ') ?? false);
}

export function relayRefusalAdvice(name: string, said: string): Advice {
  return {
    why: `${name} is a Corral relay and does not let this gateway in.`,
    mend: said === '' ? 'Give both ends the same CORRAL_RELAY_SECRET (or fleet.relay.secret).' : `It says: ${said}.`,
  };
}
