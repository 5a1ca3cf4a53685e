/** What a box's refusal means for the call: whether another box may serve it, and whether this one is to blame. Pure. */
import { isBusy, isForeignHostRefusal, isModelMissing, isOutOfMemory, messageOf } from './advice.ts';
import { isRelayRefusal } from './leg-trouble.ts';
import { tunnelFault } from './tunnels.ts';

export interface Fault {
  /** Another box may do better. */
  readonly mayMoveOn: boolean;
  /** It speaks of the box, and not of the request or of a moment's crowd: it counts for the breaker. */
  readonly isOfBox: boolean;
  /** The model's runner seems to have died: it is not in memory, whatever the box lists. */
  readonly isCrash?: true;
  /** A few words for the log. */
  readonly why: string;
}

/** Ollama answers 500 where the request is at fault (api/types.go FromMap, llm/server.go Format): any box would. */
const ofRequest = /^option "[^"]*" must be of type|^invalid format/;
/**
 * The runner ended, could not be started, or does not answer. Ollama server/routes.go, server/sched.go, llm/llama_server.go;
 * the words about the running model are recorded.
 */
const ofRunner =
  /encountered while running the model|runner (?:process )?(?:has )?(?:terminated|exited|crashed|no longer running)|llama-server|llama runner|error loading model|unable to load model|failed to load model|model failed to load|timed out waiting for|do load request|connection refused|connection reset|unexpected EOF|signal: killed/i;

const nobodys: Fault = { mayMoveOn: false, isOfBox: false, why: '' };

/** `text` is the refusal's body. Only for boxes: what other servers' statuses mean is the configuration's to say. */
export function faultOf(status: number, text: string): Fault {
  if (isModelMissing(status, text)) return { mayMoveOn: true, isOfBox: false, why: 'the model is not there' };
  // Ollama refuses every request that comes in this way, and a relay every one of this Corral.
  if (isForeignHostRefusal(status, text)) return { mayMoveOn: true, isOfBox: true, why: 'it refuses the Host header' };
  if (isRelayRefusal(status, text)) return { mayMoveOn: true, isOfBox: true, why: 'its relay does not let this Corral in' };
  const tunnel = tunnelFault(status, text, '');
  if (tunnel !== undefined) return { mayMoveOn: true, isOfBox: true, why: tunnel.why };
  if (status < 500) return nobodys;
  // The queue of a relay is full, or was waited in too long.
  if (status === 503 && messageOf(text)?.includes('(fleet.queue.') === true)
    return { mayMoveOn: true, isOfBox: false, why: 'busy' };
  if (isBusy(status, text)) return { mayMoveOn: true, isOfBox: false, why: 'busy' };
  if (isOutOfMemory(text)) return { mayMoveOn: true, isOfBox: true, isCrash: true, why: 'out of memory' };
  const said = messageOf(text);
  // What stands in front of the box, or a proxy's page, answers in its place.
  if (status === 502 || status === 503 || status === 504) return { mayMoveOn: true, isOfBox: true, why: `${status}` };
  if (status !== 500) return nobodys;
  if (said !== undefined && ofRequest.test(said)) return nobodys;
  const isOfBox = said === undefined || ofRunner.test(said);
  if (isOfBox && said !== undefined) return { mayMoveOn: true, isOfBox, isCrash: true, why: 'its runner failed' };
  return { mayMoveOn: true, isOfBox, why: '500' };
}
