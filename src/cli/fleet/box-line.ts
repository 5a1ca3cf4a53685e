/** One box of the configuration, asked directly: with its headers, its TLS and, where a relay stands before it, signed. */
import type { CompiledPlan } from '../../compile/compile.ts';
import { GatewayError, gatewayErrorOf } from '../../errors.ts';
import type { Upstream } from '../../exchange.ts';
import { troubleAdvice, wordsOf } from '../../fleet/asking/advice.ts';
import { standingOf } from '../../fleet/asking/answers.ts';
import { type Answer, ask, createStop, type Stop } from '../../fleet/asking/ask.ts';
import { legTrouble } from '../../fleet/asking/leg-trouble.ts';
import { operator, RelayLeg, secretsFor } from '../../fleet/asking/relay.ts';
import { placeOf } from '../../fleet/boxes.ts';
import { isEarly, openEarly } from '../../http/early-answer.ts';
import type { Platform, UpstreamResponse } from '../../platform.ts';
import { CommandError, exitCodes } from '../command.ts';
import { listText } from '../table.ts';

export interface BoxLine {
  readonly upstream: Upstream;
  readonly name: string;
  /** Why it cannot be worked with, and the mend; undefined: it can. Two seconds at most. To be asked first. */
  trouble(): Promise<string | undefined>;
  /** Never rejects. */
  get(path: string, limitMs: number): Promise<Answer | GatewayError>;
  post(path: string, body: unknown, limitMs: number, stop?: Stop): Promise<Answer | GatewayError>;
  /** The answer as it comes, without a limit of its own. Rejects with GatewayError, or the signal's reason. */
  stream(path: string, body: unknown, signal: AbortSignal): Promise<UpstreamResponse>;
}

const lifeLimitMs = 2_000;
const maxBytes = 16 * 1024 * 1024;

type Plan = Pick<CompiledPlan, 'upstreams' | 'headersFor' | 'leg'>;

export function openBoxLine(upstream: Upstream, plan: Plan, platform: Platform): BoxLine {
  const leg = new RelayLeg(platform.clock, operator);
  leg.adopt(secretsFor(upstream, plan.leg));
  const headers = plan.headersFor(upstream);
  const asked = (path: string, json: string | undefined, limitMs: number, stop: Stop = createStop()) =>
    ask(platform, { upstream, path, headers, leg, ...(json === undefined ? {} : { json }), limitMs, maxBytes, stop });
  return {
    upstream,
    name: upstream.name,
    async trouble() {
      let answer = await asked('/api/version', undefined, lifeLimitMs);
      // A relay tells what it wants to be shown.
      if (!(answer instanceof GatewayError) && leg.mayAskAgain(answer, answer.shown))
        answer = await asked('/api/version', undefined, lifeLimitMs);
      if (answer instanceof GatewayError) return wordsOf(troubleAdvice(upstream, answer));
      const refused = legTrouble(answer, answer.text, upstream.name);
      if (refused !== undefined) return wordsOf(refused.advice);
      const standing = standingOf(answer, upstream.name);
      if (standing.is === 'box') return undefined;
      return standing.is === 'other' ? `${upstream.name} is no Ollama.` : wordsOf(troubleAdvice(upstream, standing.trouble));
    },
    get: (path, limitMs) => asked(path, undefined, limitMs),
    post: (path, body, limitMs, stop) => asked(path, JSON.stringify(body), limitMs, stop),
    async stream(path, body, signal) {
      const url = upstream.baseUrl + path;
      try {
        const legHeaders = await leg.headersFor({ method: 'POST', url });
        const received = await platform.send({
          method: 'POST',
          url,
          headers: { 'content-type': 'application/json', ...headers, ...legHeaders },
          body: new TextEncoder().encode(JSON.stringify(body)),
          signal,
          tls: upstream.tls,
        });
        return isEarly(received, legHeaders) ? await openEarly(received, upstream.name) : received;
      } catch (thrown) {
        if (signal.aborted) throw signal.reason;
        throw gatewayErrorOf(thrown);
      }
    },
  };
}

/** All boxes of the plan, each place once and by its first name, in the order of the configuration. */
export function boxLinesOf(plan: Plan, platform: Platform): readonly BoxLine[] {
  const places = new Map<string, Upstream>();
  for (const upstream of plan.upstreams) {
    const place = placeOf({ upstream, headers: plan.headersFor(upstream) });
    if (upstream.kind === 'box' && !places.has(place)) places.set(place, upstream);
  }
  return [...places.values()].map((upstream) => openBoxLine(upstream, plan, platform));
}

/** Throws CommandError with the names where one is not known. `text`: names between commas. */
export function linesNamed(text: string, lines: readonly BoxLine[]): readonly BoxLine[] {
  const names = [...new Set(text.split(',').map((name) => name.trim()))].filter((name) => name !== '');
  return names.map((name) => {
    const found = lines.find((line) => line.name === name);
    if (found === undefined) throw unknownBox(name, lines);
    return found;
  });
}

export function unknownBox(name: string, lines: readonly { readonly name: string }[]): CommandError {
  const there =
    lines.length === 0
      ? 'there is none'
      : `there are: ${listText(
          lines.map((line) => line.name),
          50,
        )}`;
  return new CommandError(`no box is called "${name.slice(0, 100)}"; ${there}`, exitCodes.wrongLine);
}
