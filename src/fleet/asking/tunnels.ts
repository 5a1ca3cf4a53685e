/**
 * What the pages of tunnels and CDNs mean that answer in a box's place. They are HTML or a line of text in nobody's protocol; here they
 * become what is wrong and what to do. Statuses 520 to 530 are Cloudflare's own, and no Ollama ever gives them. Pure.
 */
import type { Advice } from './trouble.ts';

export interface TunnelFault {
  readonly advice: Advice;
  /** For the client: 504 where time ran out, else 503. */
  readonly status: number;
  /** A few words for the log. */
  readonly why: string;
}

type Words = Advice;

const relayMend =
  'Put `corral --relay` beside the box: it answers at once and keeps the tunnel awake. Or keep the model in memory (OLLAMA_KEEP_ALIVE=-1).';

/** By Cloudflare's number: developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors. */
const cloudflare: Readonly<Record<number, (name: string) => Words>> = {
  520: (name) => ({
    why: `Cloudflare got an empty or broken answer from ${name} (520).`,
    mend: 'Ollama or the tunnel beside it was restarted or crashed in the middle: look at the logs of both on that machine.',
  }),
  521: (name) => ({
    why: `The machine of ${name} refused Cloudflare's connection (521).`,
    mend: 'Ollama is not running there, listens on 127.0.0.1 only (OLLAMA_HOST=0.0.0.0), or a firewall turns Cloudflare away; with a tunnel none of this matters.',
  }),
  522: (name) => ({
    why: `The machine of ${name} did not accept Cloudflare's connection in time (522).`,
    mend: 'It is off or asleep, or its firewall or router drops the connection: wake it and check the port; a tunnel (cloudflared) needs no open port.',
  }),
  523: (name) => ({
    why: `Cloudflare cannot reach the machine of ${name} (523).`,
    mend: 'Its address in the DNS record is out of date or has no route: correct the record, or use a tunnel (cloudflared).',
  }),
  524: (name) => ({
    why: `The tunnel gave up on ${name} (524): no byte came within its limit of 100 s, most often because the model was still loading.`,
    mend: relayMend,
  }),
  525: (name) => ({
    why: `The TLS handshake between Cloudflare and ${name} failed (525).`,
    mend: 'Ollama speaks plain HTTP: set the zone to SSL "Flexible" for it, or use a tunnel with service: http://localhost:11434.',
  }),
  526: (name) => ({
    why: `Cloudflare does not accept the certificate of ${name} (526).`,
    mend: 'Use a valid one there, or a tunnel with service: http://localhost:11434.',
  }),
  530: (name) => ({
    why: `Cloudflare could not find the way to ${name} (530).`,
    mend: 'Look at the number in its page: 1033 is a tunnel that is not connected, 1016 a name that does not resolve.',
  }),
  1016: (name) => ({
    why: `Cloudflare cannot resolve the name behind ${name} (530, error 1016).`,
    mend: 'The DNS record names a host that does not exist, or a tunnel that was deleted: correct it (cloudflared tunnel route dns TUNNEL NAME).',
  }),
  1033: (name) => ({
    why: `cloudflared is not connected for ${name} (530, error 1033).`,
    mend: 'Start it on that machine (`cloudflared tunnel run`, or `systemctl restart cloudflared`) and check that the machine is awake: `cloudflared tunnel info` lists its connections.',
  }),
  502: (name) => ({
    why: `cloudflared runs at ${name} but does not reach Ollama there (502).`,
    mend: 'Start Ollama, and check `service:` in the configuration of cloudflared: http://localhost:11434.',
  }),
};

/** By ngrok's number: ngrok.com/docs/errors. */
const ngrok: Readonly<Record<number, (name: string) => Words>> = {
  3004: (name) => ({
    why: `ngrok got no proper HTTP answer from ${name} (ERR_NGROK_3004).`,
    mend: 'Give its agent the whole URL with its scheme: `ngrok http http://localhost:11434`.',
  }),
  3200: (name) => ({
    why: `The ngrok tunnel to ${name} is not connected (ERR_NGROK_3200).`,
    mend: 'Start it on that machine: `ngrok http 11434 --host-header="localhost:11434"`; a free name may have changed.',
  }),
  6024: (name) => ({
    why: `ngrok shows its warning page instead of ${name} (ERR_NGROK_6024).`,
    mend: 'Send its header: fleet.boxes with headers: { ngrok-skip-browser-warning: "1" }.',
  }),
  8012: (name) => ({
    why: `ngrok runs at ${name} but does not reach Ollama there (ERR_NGROK_8012).`,
    mend: 'Start Ollama, and check the port that the agent was given: 11434.',
  }),
};

/** Undefined: nobody answered in the box's place, as far as can be told. `name` is the box's. */
export function tunnelFault(status: number, text: string, name: string): TunnelFault | undefined {
  if (status < 400) return undefined;
  const [, told] = /\bERR_NGROK_(\d{1,6})\b/.exec(text.slice(0, maxLooked)) ?? [];
  if (told !== undefined) {
    const words = ngrok[Number(told)]?.(name) ?? {
      why: `ngrok answered in the place of ${name} (ERR_NGROK_${told}).`,
      mend: `What it means: https://ngrok.com/docs/errors/err_ngrok_${told}`,
    };
    return { advice: words, status: 503, why: `ERR_NGROK_${told}` };
  }
  const number = cloudflareNumberOf(status, text);
  if (number === undefined) return undefined;
  const words = cloudflare[number]?.(name) ?? {
    why: `Cloudflare answered in the place of ${name} (${number}).`,
    mend: 'What stands between Cloudflare and Ollama is broken: look at the tunnel and the zone.',
  };
  return { advice: words, status: number === 524 ? 504 : 503, why: `Cloudflare ${number}` };
}

/** Its pages begin with a lot of markup. */
const maxLooked = 64 * 1024;

function cloudflareNumberOf(status: number, text: string): number | undefined {
  if (status === 530) {
    const [, number] = /\berror(?: code)?:? ?(1\d{3})\b/i.exec(text.slice(0, maxLooked)) ?? [];
    return number === undefined ? 530 : Number(number);
  }
  if (status >= 520 && status <= 527) return status;
  return status === 502 && /cloudflare/i.test(text.slice(0, maxLooked)) ? 502 : undefined;
}
