/** The three things that transformations edit: a request, a try at an upstream, an answer. */
import type { CelExtras } from '../cel/expression.ts';
import { type Attempt, type Exchange, editHeaders } from '../exchange.ts';
import { authorityOf, methodOf, type Subject, statusOf, targetOf } from './transformation-edits.ts';

/** The request as all further policies, route matching included, see it. */
export function requestSubject(exchange: Exchange): Subject {
  const setAuthority = (value: unknown): void => {
    const authority = authorityOf(value);
    if (authority === undefined) return;
    exchange.host = authority.replace(/:\d+$/, '').toLowerCase();
    editHeaders(exchange).set('host', authority);
  };
  return {
    evaluate: (expression) => expression.evaluate(exchange),
    add(name, value) {
      if (name === 'host') setAuthority(value);
      // A key that was used up must not be sent on because something is added to it.
      else if (exchange.consumedHeaders.delete(name)) editHeaders(exchange).set(name, value);
      else editHeaders(exchange).append(name, value);
    },
    set(name, value) {
      if (name === 'host') return setAuthority(value);
      exchange.consumedHeaders.delete(name);
      editHeaders(exchange).set(name, value);
    },
    delete(name) {
      if (name !== 'host') editHeaders(exchange).delete(name);
    },
    replace(headers) {
      const before = exchange.headers;
      const after = new Headers();
      for (const [name, value] of headers) if (name !== 'host') after.append(name, value);
      for (const name of kept) after.set(name, before.get(name) ?? '');
      for (const name of kept) if (!before.has(name)) after.delete(name);
      for (const name of exchange.consumedHeaders) {
        if (after.get(name) !== before.get(name)) exchange.consumedHeaders.delete(name);
      }
      exchange.headers = after;
    },
    setPseudo(name, value) {
      if (name === ':authority') setAuthority(value);
      else if (name === ':method') exchange.method = methodOf(value) ?? exchange.method;
      else if (name === ':path') {
        const { path, query } = targetOf(value) ?? exchange;
        exchange.path = path;
        exchange.query = query;
      }
    },
  };
}

/** These say how the body came, and who is asked: no map of headers changes that. */
const kept = ['host', 'content-length', 'content-encoding', 'transfer-encoding', 'x-corral-via'];

/** One try, where the policy stands on the backend. */
export function attemptSubject({ exchange, outgoing }: Attempt, extras: CelExtras): Subject {
  return {
    evaluate: (expression) => expression.evaluate(exchange, extras),
    add(name, value) {
      const held = outgoing.headers[name];
      if (name === 'host') outgoing.authority = authorityOf(value) ?? outgoing.authority;
      else outgoing.headers[name] = held === undefined ? value : `${held}${name === 'cookie' ? '; ' : ', '}${value}`;
    },
    set(name, value) {
      if (name === 'host') outgoing.authority = authorityOf(value) ?? outgoing.authority;
      else outgoing.headers[name] = value;
    },
    delete(name) {
      delete outgoing.headers[name];
    },
    replace(headers) {
      const before = outgoing.headers;
      outgoing.headers = {};
      for (const [name, value] of headers) if (!kept.includes(name)) this.add(name, value);
      for (const name of kept) if (before[name] !== undefined) outgoing.headers[name] = before[name];
    },
    setPseudo(name, value) {
      if (name === ':authority') outgoing.authority = authorityOf(value) ?? outgoing.authority;
      else if (name === ':method') outgoing.method = methodOf(value) ?? outgoing.method;
      else if (name === ':path') {
        const { path, query } = targetOf(value) ?? outgoing;
        outgoing.path = path;
        outgoing.query = query;
      }
    },
  };
}

/** The headers of an answer, in place, and its status by way of `setStatus`. */
export function answerSubject(
  exchange: Exchange,
  headers: Headers,
  extras: CelExtras,
  setStatus: (status: number) => void,
): Subject {
  return {
    evaluate: (expression) => expression.evaluate(exchange, extras),
    add: (name, value) => headers.append(name, value),
    set: (name, value) => headers.set(name, value),
    delete: (name) => headers.delete(name),
    replace(given) {
      for (const name of [...headers.keys()]) if (!keptInAnswers.has(name)) headers.delete(name);
      for (const [name, value] of given) if (!keptInAnswers.has(name)) headers.append(name, value);
    },
    setPseudo(_, value) {
      const status = statusOf(value);
      if (status !== undefined) setStatus(status);
    },
  };
}

/** These speak of the body's bytes. */
const keptInAnswers = new Set(['content-length', 'content-encoding', 'transfer-encoding', 'connection']);
