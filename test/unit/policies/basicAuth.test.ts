import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readingWith } from '../../../src/fields/files.ts';
import { type BasicAuthOptions, basicAuth } from '../../../src/policies/basicAuth.ts';
import { apr1Of, usersOf } from '../../../src/policies/htpasswd.ts';
import { createPasswordCheck } from '../../../src/policies/password-check.ts';
import type { PolicyScope } from '../../../src/policies/policy.ts';
import { createWorkGate } from '../../../src/policies/work-gate.ts';
import { ask, type FakeRequest, fakeAttempt, fakeScope } from './fake-exchange.ts';

/** Written by htpasswd and openssl, not by the code under test. */
const bcryptLine = 'user1:$2y$05$LMZ.8WGNqvagmtJz2Gw6VuiE6khXc2zc0FDTHrfWJyLT66HM8BMAa'; // agentgateway
const apr1Line = 'bob:$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/'; // secret
const shaLine = 'sha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ='; // secret
const htpasswd = [bcryptLine, apr1Line, shaLine].join('\n');

const parsed = (options: unknown): BasicAuthOptions => readingWith(undefined, () => basicAuth.options.parse(options));

const basic = (pair: string): FakeRequest => ({
  headers: { authorization: `Basic ${btoa(String.fromCharCode(...new TextEncoder().encode(pair)))}` },
});

function openDoor(options: object = {}, scope: PolicyScope = fakeScope()) {
  const middleware = basicAuth.onRequest?.(parsed({ htpasswd, ...options }), scope);
  if (middleware === undefined) throw new Error('no middleware');
  return (request: FakeRequest) => ask(middleware, request);
}

describe('basicAuth', () => {
  it.each([
    ['bcrypt', 'user1', 'agentgateway'],
    ['MD5-apr1', 'bob', 'secret'],
    ['SHA', 'sha', 'secret'],
  ])('lets in who has the password: %s', async (_, user, password) => {
    const door = openDoor();
    for (const time of ['first', 'remembered']) {
      const { reached, exchange } = await door(basic(`${user}:${password}`));
      expect([time, reached]).toEqual([time, true]);
      expect(exchange.claims).toEqual({ basicAuth: { username: user } });
      expect(exchange.identity).toEqual({ name: user, isAdmin: false, allowedModels: undefined, metadata: {} });
      expect([...exchange.consumedHeaders]).toEqual(['authorization']);
    }
  });

  it.each([
    ['another password', basic('user1:agentgatewaz')],
    ['no password', basic('user1:')],
    ['another user with that password', basic('bob:agentgateway')],
    ['somebody who is not there', basic('eve:secret')],
    ['no user', basic(':secret')],
    ['the hash', basic(bcryptLine)],
    ['no colon', basic('user1')],
    ['what is no base64', { headers: { authorization: 'Basic !!!' } }],
    ['what is no UTF-8', { headers: { authorization: 'Basic dXNlcjE6/w==' } }],
    ['a name of an object’s own', basic('constructor:secret')],
  ])('refuses %s', async (_, request) => {
    for (const mode of ['strict', 'optional']) {
      const { response, code, message, exchange } = await openDoor({ mode })(request);
      expect(response.status).toBe(401);
      expect(code).toBe('basic_auth_invalid');
      expect(message).toBe('basic authentication failure: invalid credentials');
      expect(response.headers.get('www-authenticate')).toBe('Basic realm="Restricted"');
      expect([exchange.identity, exchange.claims]).toEqual([undefined, undefined]);
    }
  });

  it('asks for a password when there is none, unless it is optional', async () => {
    for (const request of [{}, { headers: { authorization: 'Bearer x' } }]) {
      const { response, message } = await openDoor({ realm: 'my "realm"' })(request);
      expect(message).toBe('basic authentication failure: no basic authentication credentials found');
      expect(response.status).toBe(401);
      expect(response.headers.get('www-authenticate')).toBe('Basic realm="my \\"realm\\""');
      expect((await openDoor({ mode: 'optional' })(request)).reached).toBe(true);
    }
    expect([basicAuth.protects?.(parsed({ htpasswd })), basicAuth.protects?.(parsed({ htpasswd, mode: 'optional' }))]).toEqual([
      true,
      false,
    ]);
  });

  it('reads another place, and takes it out of what leaves', async () => {
    const options = { authorizationLocation: { queryParameter: { name: 'auth' } } };
    const path = `/x?auth=${encodeURIComponent(btoa('bob:secret'))}&a=1`;
    const { exchange, reached } = await openDoor(options)({ path });
    expect(reached).toBe(true);
    const attempt = { ...fakeAttempt({ path }), exchange };
    basicAuth.onAttempt?.(parsed({ htpasswd, ...options }), fakeScope())?.(attempt);
    expect(attempt.outgoing.query).toBe('?a=1');
  });

  it('leaves a key that has been accepted who is calling', async () => {
    const middleware = basicAuth.onRequest?.(parsed({ htpasswd }), fakeScope());
    if (middleware === undefined) throw new Error('no middleware');
    const key = { name: 'key', isAdmin: false, allowedModels: ['small'], metadata: {} };
    const { exchange } = await ask(
      [
        async (c, next) => {
          c.env.identity = key;
          await next();
        },
        middleware,
      ],
      basic('bob:secret'),
    );
    expect(exchange.identity).toBe(key);
    expect(exchange.claims?.basicAuth).toEqual({ username: 'bob' });
  });

  it('turns requests away when too many passwords wait, but never one that is known to be good', async () => {
    const scope = fakeScope();
    const door = openDoor({}, scope);
    expect((await door(basic('bob:secret'))).reached).toBe(true);
    const gate = scope.state.kept('basicAuth/checks', () => createWorkGate({ maxRunning: 0, maxWaiting: 0 }));
    let end = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      end = resolve;
    });
    const busy = Array.from({ length: 66 }, () => gate.run(() => held));
    const { response, code } = await door(basic('user1:agentgateway'));
    expect([response.status, code, response.headers.get('retry-after')]).toEqual([503, 'overloaded', '1']);
    expect((await door(basic('bob:secret'))).reached).toBe(true);
    end();
    await Promise.all(busy);
    expect((await door(basic('user1:agentgateway'))).reached).toBe(true);
  });

  it.each([
    ['plain text', 'ann:secret', 'line 1 ("ann"): the password stands there in plain text'],
    [
      'crypt(3)',
      'ann:rl.3StKT.4T8M',
      'crypt(3), which is not the same everywhere, is not supported; make the line anew with: htpasswd -nB USER',
    ],
    ['SHA-crypt', 'ann:$6$abc$def', 'crypt(3)'],
    ['MD5-crypt', 'ann:$1$abcdefgh$abcdefghijklmnopqrstu1', 'crypt(3)'],
    ['half a bcrypt hash', 'ann:$2y$05$LMZ.8WGNqvag', 'no whole bcrypt hash'],
    ['a cost of minutes', bcryptLine.replace('$05$', '$20$'), 'a bcrypt cost is from 4 to 15'],
    ['half an MD5 hash', 'ann:$apr1$abc', 'no whole MD5 hash'],
    ['half a SHA hash', 'ann:{SHA}abc', 'no whole SHA hash'],
    ['a line without colon', `${apr1Line}\n\nann`, 'line 3: expected "user:hash"'],
    ['a user twice', `${apr1Line}\n${apr1Line}`, 'line 2 ("bob"): this user stands in it twice'],
    ['nobody', '# nobody\n', 'there are no users in it'],
  ])('refuses a file with %s, and does not repeat the hash', (_, text, message) => {
    const result = basicAuth.options.safeParse({ htpasswd: text });
    const said = JSON.stringify(result.error?.issues.map((issue) => issue.message));
    expect(result.error?.issues[0]?.path).toEqual(['htpasswd']);
    expect(said.replaceAll('\\"', '"')).toContain(message);
    expect(said).not.toMatch(/secret"|rl\.3St|LMZ|h9FWg/);
  });

  it('reads a file, comments, empty lines and Windows line ends', async () => {
    const files = (path: string): string => {
      if (path !== 'users') throw new Error('no such file');
      return `# users\r\n\r\n${apr1Line}\r\n${shaLine}:a comment\r\n`;
    };
    const options = readingWith(files, () => basicAuth.options.parse({ htpasswd: { file: 'users' } }));
    expect(options.htpasswd.map(([user, { kind }]) => [user, kind])).toEqual([
      ['bob', 'apr1'],
      ['sha', 'sha'],
    ]);
    const missing = readingWith(files, () => basicAuth.options.safeParse({ htpasswd: { file: 'nowhere' } }));
    expect(missing.error?.issues[0]?.message).toContain('no such file');
  });
});

describe('apr1', () => {
  it.each([
    ['', '$apr1$abcdefgh$L.PT565ESX4Tp2bqNs7Ie.'],
    ['a', '$apr1$abcdefgh$G8IsPsylW5ROvIKsQMRG61'],
    ['secret', '$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/'],
    ['exactly16bytes!!', '$apr1$abcdefgh$rhV8fu.Ml1p5UP5KqKDi3/'],
    ['a password of more than sixteen bytes', '$apr1$abcdefgh$EJvhw845MtIPi.xyhIm.Y/'],
    ['pässwörd €', '$apr1$abcdefgh$jeWGxyr/9Pjks2tAXDZ9m.'],
  ])('is what openssl makes of %j', (password, hash) => {
    expect(apr1Of(password, 'abcdefgh')).toBe(hash);
  });

  it('takes short salts', () => {
    expect(apr1Of('short', 'x.')).toBe('$apr1$x.$24NWSNdelIFndFeLp95O80');
  });
});

describe('the check of passwords', () => {
  const check = () => createPasswordCheck({ users: usersOf(htpasswd), gate: createWorkGate({ maxRunning: 2, maxWaiting: 64 }) });

  it('lets no other password in, whatever is done to the right one', async () => {
    const { check: ask } = check();
    expect(await ask('bob', 'secret')).toBe('good');
    const tampered = fc
      .tuple(fc.nat(6), fc.nat(2), fc.string({ minLength: 1, maxLength: 3, unit: 'binary' }))
      .map(([at, cut, put]) => 'secret'.slice(0, at) + put + 'secret'.slice(at + cut));
    await fc.assert(
      fc.asyncProperty(fc.oneof(tampered, fc.string({ unit: 'binary' })), async (password) => {
        fc.pre(password !== 'secret');
        expect([password, await ask('bob', password)]).toEqual([password, 'wrong']);
        expect([password, await ask('sha', password)]).toEqual([password, 'wrong']);
      }),
      { numRuns: 60 },
    );
  });

  it('refuses what bcrypt would cut or fold into a right password', async () => {
    const users = usersOf(
      `long:$2b$04$B1sn3QcxpmLo8bBDpieHI.UNOYhi9tV/z1oEY3Li6cBBKEnK6OtrS\nshort:$2y$04$R9z86L07n1DPDkHqIqNN1ese9E6qi00Cic6t2YrLgKR2vTi8zdWSK`,
    );
    const { check: ask } = createPasswordCheck({ users, gate: undefined });
    expect(await ask('long', 'x'.repeat(72))).toBe('good');
    expect(await ask('long', 'x'.repeat(73))).toBe('wrong');
    expect(await ask('short', 's3cret')).toBe('good');
    // bcrypt reads a key round and round, with a zero byte between: these two are one to it.
    expect(await ask('short', 's3cret\0s3cret')).toBe('wrong');
    expect(await ask('short', 'x'.repeat(100_000))).toBe('wrong');
  });

  it('remembers one password a user, and no guesses', async () => {
    const { check: ask, ...passwords } = check();
    expect(ask('bob', 'secret')).toBeInstanceOf(Promise);
    const seen = createPasswordCheck({ users: usersOf(htpasswd), gate: undefined });
    for (let guess = 0; guess < 20; guess++) await seen.check('bob', `guess ${guess}`);
    for (let guess = 0; guess < 20; guess++) await seen.check(`somebody ${guess}`, 'secret');
    expect(seen.knownCount).toBe(0);
    await seen.check('bob', 'secret');
    await seen.check('sha', 'secret');
    expect(seen.knownCount).toBe(2);
    expect(seen.check('bob', 'secret')).toBe('good');
    expect(passwords.knownCount).toBeLessThanOrEqual(1);
  });

  it('makes a name that is not there cost what another one costs', async () => {
    const works: string[] = [];
    const gate = {
      waiting: 0,
      run: <Result>(work: () => Result | Promise<Result>): Promise<Result> => {
        works.push('check');
        return Promise.resolve(work());
      },
    };
    const only = createPasswordCheck({ users: usersOf(bcryptLine), gate });
    // The right password of the one who is there: even then the answer is no.
    expect(await only.check('nobody', 'agentgateway')).toBe('wrong');
    expect(works).toEqual(['check']);
    expect(only.knownCount).toBe(0);
  });

  it('checks what comes at once only once', async () => {
    let runs = 0;
    const gate = {
      waiting: 0,
      run: async <Result>(work: () => Result | Promise<Result>): Promise<Result> => {
        runs++;
        return await work();
      },
    };
    const shared = createPasswordCheck({ users: usersOf(bcryptLine), gate });
    const verdicts = await Promise.all(Array.from({ length: 50 }, () => shared.check('user1', 'agentgateway')));
    expect(new Set(verdicts)).toEqual(new Set(['good']));
    expect(runs).toBe(1);
  });
});

describe('the gate', () => {
  it('runs so many, lets so many wait, and hands places on in order', async () => {
    const gate = createWorkGate({ maxRunning: 2, maxWaiting: 2 });
    const ends: (() => void)[] = [];
    const begun: number[] = [];
    const work = (id: number) => () => {
      begun.push(id);
      return new Promise<number>((resolve) => ends.push(() => resolve(id)));
    };
    const results = [1, 2, 3, 4, 5].map((id) => gate.run(work(id)));
    expect(results[4]).toBeUndefined();
    expect([begun, gate.waiting]).toEqual([[1, 2], 2]);
    ends[1]?.();
    expect(await results[1]).toBe(2);
    await Promise.resolve();
    expect([begun, gate.waiting]).toEqual([[1, 2, 3], 1]);
    const late = gate.run(work(6));
    expect(late).toBeDefined();
    ends[0]?.();
    await results[0];
    await Promise.resolve();
    expect(begun).toEqual([1, 2, 3, 4]);
    while (ends.length < 4) await Promise.resolve();
    ends[2]?.();
    ends[3]?.();
    await Promise.all([results[2], results[3]]);
    await Promise.resolve();
    ends[4]?.();
    expect(await late).toBe(6);
  });

  it('gives a place back after a failure', async () => {
    const gate = createWorkGate({ maxRunning: 1, maxWaiting: 0 });
    await expect(gate.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await expect(gate.run(() => 'yes')).resolves.toBe('yes');
  });
});
