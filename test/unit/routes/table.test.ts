import { describe, expect, test } from 'vitest';
import { ruleOf } from '../../../src/compile/routes.ts';
import { matchField } from '../../../src/config/matches.ts';
import type { Exchange } from '../../../src/exchange.ts';
import { createRouteTable, type RouteEntry } from '../../../src/routes/table.ts';
import { type FakeRequest, fakeExchange } from '../policies/fake-exchange.ts';

/** A match as the YAML writes it. */
interface Match {
  readonly path?: { exact: string } | { pathPrefix: string } | { regex: string };
  readonly method?: string;
  readonly headers?: readonly { name: string; value: { exact: string } | { regex: string } }[];
  readonly query?: readonly { name: string; value: { exact: string } | { regex: string } }[];
}

function entry(route: string, matches: readonly Match[] = [{}], hostnames: readonly string[] = []): RouteEntry<string> {
  const rules = matches.map((match) => ruleOf(matchField.parse(match)));
  return { route, hostnames, rules };
}

function routeFor(entries: readonly RouteEntry<string>[], request: FakeRequest | Exchange): string | undefined {
  return createRouteTable(entries).match('clock' in request ? request : fakeExchange(request))?.route;
}

const exact = (path: string): Match => ({ path: { exact: path } });
const prefix = (path: string): Match => ({ path: { pathPrefix: path } });
const regex = (pattern: string): Match => ({ path: { regex: pattern } });
const header = (name: string, value: string) => ({ name, value: { exact: value } });

/** agentgateway.md §2, row 5: each pair in the wrong order in the file, the first one asked first. */
describe('precedence inside one host', () => {
  const pairs: readonly [name: string, first: Match, second: Match, request: FakeRequest][] = [
    ['exact before a longer regex', exact('/v1/x'), regex('/v1/[a-z][a-z]*'), { path: '/v1/x' }],
    ['exact before a prefix', exact('/v1'), prefix('/v1'), { path: '/v1' }],
    ['the longer prefix', prefix('/v1/chat'), prefix('/v1'), { path: '/v1/chat/completions' }],
    ['the longer of prefix and regex: regex', regex('/v1/.*'), prefix('/v1'), { path: '/v1/x' }],
    ['the longer of prefix and regex: prefix', prefix('/v1/chat'), regex('/v1/.*'), { path: '/v1/chat' }],
    ['a longer path before a method', prefix('/v1'), { ...prefix('/'), method: 'POST' }, { path: '/v1', method: 'POST' }],
    [
      'a longer path before headers',
      prefix('/v1'),
      { ...prefix('/'), headers: [header('x-a', '1'), header('x-b', '1')] },
      { path: '/v1', headers: { 'x-a': '1', 'x-b': '1' } },
    ],
    ['a method before none', { method: 'POST' }, {}, { method: 'POST' }],
    [
      'a method before headers',
      { method: 'POST' },
      { headers: [header('x-a', '1')] },
      { method: 'POST', headers: { 'x-a': '1' } },
    ],
    [
      'more headers before fewer',
      { headers: [header('x-a', '1'), header('x-b', '1')] },
      { headers: [header('x-a', '1')] },
      { headers: { 'x-a': '1', 'x-b': '1' } },
    ],
    [
      'headers before query',
      { headers: [header('x-a', '1')] },
      { query: [header('q', '1'), header('r', '1')] },
      { path: '/?q=1&r=1', headers: { 'x-a': '1' } },
    ],
    [
      'more query before less',
      { query: [header('q', '1'), header('r', '1')] },
      { query: [header('q', '1')] },
      { path: '/?q=1&r=1' },
    ],
  ];

  test.each(pairs)('%s', (_name, first, second, request) => {
    expect(routeFor([entry('second', [second]), entry('first', [first])], request)).toBe('first');
    expect(routeFor([entry('first', [first]), entry('second', [second])], request)).toBe('first');
    // The one that comes second is not impossible: without the first it is taken.
    expect(routeFor([entry('second', [second])], request)).toBe('second');
  });

  test('equal rules keep the order of the file, beyond ten and whatever their names', () => {
    const many = Array.from({ length: 12 }, (_, index) => entry(`route${index}`));
    expect(routeFor(many, {})).toBe('route0');
    expect(routeFor([...many.slice(2), ...many.slice(0, 2)], {})).toBe('route2');
    expect(routeFor([entry('b'), entry('a')], {})).toBe('b');
  });

  test('each of several matches of a route takes its own place', () => {
    const entries = [entry('both', [prefix('/'), exact('/v1')]), entry('prefix', [prefix('/v1')])];
    expect(routeFor(entries, { path: '/v1' })).toBe('both');
    expect(routeFor(entries, { path: '/v1/x' })).toBe('prefix');
    expect(routeFor(entries, { path: '/x' })).toBe('both');
  });
});

describe('hosts', () => {
  const entries = [
    entry('any', [prefix('/')]),
    entry('wide', [prefix('/wide'), prefix('/both')], ['*.example.com']),
    entry('narrow', [prefix('/narrow'), prefix('/both')], ['*.a.example.com']),
    entry('exact', [prefix('/exact'), prefix('/both')], ['x.a.example.com']),
  ];

  test.each([
    ['x.a.example.com', '/both', 'exact'],
    ['y.a.example.com', '/both', 'narrow'],
    ['y.example.com', '/both', 'wide'],
    ['example.com', '/both', 'any'],
    ['other.test', '/both', 'any'],
    // What an inner bucket does not match falls through to the next.
    ['x.a.example.com', '/narrow', 'narrow'],
    ['x.a.example.com', '/wide', 'wide'],
    ['x.a.example.com', '/none', 'any'],
  ])('%s%s is for %s', (host, path, route) => {
    expect(routeFor(entries, { host, path })).toBe(route);
  });

  test('the host counts before every other rule', () => {
    const byPath = entry('path', [exact('/v1')]);
    expect(routeFor([byPath, entry('host', [{}], ['llm.test'])], { host: 'llm.test', path: '/v1' })).toBe('host');
  });

  test('one route may serve several names, and "*" is every host', () => {
    const route = entry('named', [{}], ['a.test', 'b.test', '*.c.test']);
    expect(['a.test', 'b.test', 'x.c.test', 'c.test'].map((host) => routeFor([route], { host }))).toEqual([
      'named',
      'named',
      'named',
      undefined,
    ]);
    expect(routeFor([entry('all', [{}], ['*'])], { host: 'whatever.test' })).toBe('all');
  });

  test('two routes of one name are both asked', () => {
    const both = [entry('v1', [prefix('/v1')], ['a.test']), entry('v2', [prefix('/v2')], ['a.test'])];
    expect(routeFor(both, { host: 'a.test', path: '/v2' })).toBe('v2');
  });

  test('no route: no match', () => {
    expect(routeFor([entry('named', [{}], ['a.test'])], { host: 'b.test' })).toBeUndefined();
    expect(routeFor([], {})).toBeUndefined();
  });
});

describe('paths', () => {
  test.each([
    ['/v1', '/v1', true],
    ['/v1', '/v1/', true],
    ['/v1', '/v1/x', true],
    ['/v1/', '/v1', true],
    ['/v1/', '/v1/x', true],
    ['/v1', '/v1x', false],
    ['/v1', '/v1;a=b', false],
    ['/v1', '/v1%2Fx', false],
    ['/v1', '/V1', false],
    ['/v1', '//v1', false],
    ['/', '/anything', true],
    ['/', '/', true],
  ])('prefix %s, path %s: %s', (value, path, holds) => {
    expect(routeFor([entry('r', [prefix(value)])], { path })).toBe(holds ? 'r' : undefined);
  });

  test.each([
    ['/v1', '/v1', true],
    ['/v1', '/v1/', false],
    ['/v1', '/V1', false],
    ['/v1', '/v1?q=1', true],
    ['/a%20b', '/a%20b', true],
  ])('exact %s, path %s: %s', (value, path, holds) => {
    expect(routeFor([entry('r', [exact(value)])], { path })).toBe(holds ? 'r' : undefined);
  });

  test.each([
    ['/v[12]', '/v1', true],
    ['/v[12]', '/v1/x', false],
    ['/v[12]', '/x/v1', false],
    ['/a|/b', '/b', true],
    ['/a|/b', '/bx', false],
    ['/a|/b', '/xa', false],
    ['/v1', '/v1?q=1', true],
    ['/v1.q=1', '/v1?q=1', false],
  ])('regex %s covers the whole path %s: %s', (pattern, path, holds) => {
    expect(routeFor([entry('r', [regex(pattern)])], { path })).toBe(holds ? 'r' : undefined);
  });

  test('the prefix that matched is told, without its trailing slash; other rules tell none', () => {
    const prefixOf = (match: Match, path: string) =>
      createRouteTable([entry('r', [match])]).match(fakeExchange({ path }))?.prefix;
    expect(prefixOf(prefix('/ollama/'), '/ollama/x')).toBe('/ollama');
    expect(prefixOf(prefix('/'), '/x')).toBe('');
    expect(prefixOf(exact('/x'), '/x')).toBeUndefined();
    expect(prefixOf(regex('/x'), '/x')).toBeUndefined();
  });
});

describe('methods, headers and query', () => {
  test('the method is compared as it stands', () => {
    expect(routeFor([entry('r', [{ method: 'POST' }])], { method: 'POST' })).toBe('r');
    expect(routeFor([entry('r', [{ method: 'POST' }])], { method: 'GET' })).toBeUndefined();
  });

  test('names of headers in any case, values letter by letter', () => {
    const route = [entry('r', [{ headers: [header('X-Team', 'Red')] }])];
    expect(routeFor(route, { headers: { 'x-team': 'Red' } })).toBe('r');
    expect(routeFor(route, { headers: { 'X-TEAM': 'Red' } })).toBe('r');
    expect(routeFor(route, { headers: { 'x-team': 'red' } })).toBeUndefined();
    expect(routeFor(route, { headers: { 'x-team': 'Redder' } })).toBeUndefined();
    expect(routeFor(route, {})).toBeUndefined();
  });

  test('of a repeated header one value is enough; a value may hold a comma itself', () => {
    const withHeader = (value: string) =>
      routeFor([entry('r', [{ headers: [header('x-a', value)] }])], { headers: { 'x-a': '1, 9' } });
    expect(withHeader('1')).toBe('r');
    expect(withHeader('9')).toBe('r');
    expect(withHeader('1, 9')).toBe('r');
    expect(withHeader('1,')).toBeUndefined();
  });

  test('a regex covers the whole value', () => {
    const route = [entry('r', [{ headers: [{ name: 'x-a', value: { regex: 'a+' } }] }])];
    expect(routeFor(route, { headers: { 'x-a': 'aaa' } })).toBe('r');
    expect(routeFor(route, { headers: { 'x-a': 'aab' } })).toBeUndefined();
  });

  test('all headers must hold', () => {
    const route = [entry('r', [{ headers: [header('x-a', '1'), header('x-b', '2')] }])];
    expect(routeFor(route, { headers: { 'x-a': '1' } })).toBeUndefined();
    expect(routeFor(route, { headers: { 'x-a': '1', 'x-b': '2' } })).toBe('r');
  });

  test('pseudo headers stand for the request line', () => {
    const asked = { method: 'POST', path: '/v1/x?q=1', host: 'LLM.test:3000' };
    const holds = (name: string, value: string) => routeFor([entry('r', [{ headers: [header(name, value)] }])], asked) === 'r';
    expect(holds(':method', 'POST')).toBe(true);
    expect(holds(':path', '/v1/x?q=1')).toBe(true);
    expect(holds(':path', '/v1/x')).toBe(false);
    expect(holds(':authority', 'LLM.test:3000')).toBe(true);
    expect(holds(':scheme', 'http')).toBe(true);
    expect(holds(':scheme', 'https')).toBe(false);
  });

  test.each([
    ['?model=llama3.2', true],
    ['?model=llama3%2E2', true],
    ['?other=1&model=llama3.2', true],
    ['?model=x&model=llama3.2', true],
    ['?model=llama3.2&model=x', true],
    ['?Model=llama3.2', false],
    ['?model=llama3.2x', false],
    ['?model', false],
    ['', false],
  ])('query %s: %s', (query, holds) => {
    const route = [entry('r', [{ query: [header('model', 'llama3.2')] }])];
    expect(routeFor(route, { path: `/${query}` })).toBe(holds ? 'r' : undefined);
  });

  test('in a query "+" is a space, and %XX is decoded in names too', () => {
    const route = [entry('r', [{ query: [header('a b', 'c d')] }])];
    expect(routeFor(route, { path: '/?a+b=c%20d' })).toBe('r');
  });
});
