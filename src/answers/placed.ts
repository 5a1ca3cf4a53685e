/** Tells which box gave an answer, and, to whom it concerns, why that one: `x-corral-box` and `x-corral-why`. */
import type { Candidate } from '../backends/target.ts';
import { addAnswerHeader, type Exchange, type Fleet, type Prediction, type Upstream } from '../exchange.ts';

export const boxHeader = 'x-corral-box';
const whyHeader = 'x-corral-why';
const maxBoxesTold = 8;

/** Names are people's to choose; headers hold ASCII. */
function asciiOf(name: string): string {
  return name.replace(/[^\x21-\x7e]/gu, '?');
}

/** On every answer that a box gave; what stood there was another Corral's name for it. */
export function tellBox(headers: Headers, upstream: Upstream, fleet: Fleet): void {
  if (!fleet.isBox(upstream)) return;
  if (upstream.name !== lastName) {
    lastName = upstream.name;
    lastText = asciiOf(lastName);
  }
  headers.set(boxHeader, lastText);
}

/** Most answers come from the box of the one before. */
let lastName = '';
let lastText = '';

/** The same for an answer that several have given together. */
export function tellBoxes(headers: Headers, upstreams: readonly Upstream[], fleet: Fleet): void {
  const names = upstreams.filter((upstream) => fleet.isBox(upstream)).map(({ name }) => asciiOf(name));
  const more = names.length > maxBoxesTold ? ' ...' : '';
  if (names.length > 0) headers.set(boxHeader, names.slice(0, maxBoxesTold).join(' ') + more);
}

/** Costs nothing where there was no choice, or nobody may know. */
export function tellWhy(exchange: Exchange, candidates: readonly Candidate[], explain: 'admin' | 'always' | 'never'): void {
  if (explain === 'never' || candidates.length < 2) return;
  if (explain === 'admin' && exchange.identity?.isAdmin !== true) return;
  const told = candidates.filter(({ prediction }) => prediction !== undefined).slice(0, maxBoxesTold);
  const why = told.map(({ target, prediction }) => (prediction === undefined ? '' : whyOf(target.upstream, prediction)));
  if (why.length > 0) addAnswerHeader(exchange, whyHeader, why.join(' '));
}

/** `gpu1=120ms(queue 0,load 0,prompt 140,cached -20)`; milliseconds. */
function whyOf({ name }: Upstream, { totalMs, queueMs, loadMs, evictionMs, promptMs, cachedMs }: Prediction): string {
  const parts = [`queue ${Math.round(queueMs)}`, `load ${Math.round(loadMs)}`];
  if (evictionMs > 0) parts.push(`eviction ${Math.round(evictionMs)}`);
  parts.push(`prompt ${Math.round(promptMs)}`);
  if (cachedMs > 0) parts.push(`cached -${Math.round(cachedMs)}`);
  return `${asciiOf(name)}=${Math.round(totalMs)}ms(${parts.join(',')})`;
}
