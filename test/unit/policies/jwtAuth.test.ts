import fc from 'fast-check';
import { CompactSign, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import { GatewayError } from '../../../src/errors.ts';
import { readingWith } from '../../../src/fields/files.ts';
import type { SideCall } from '../../../src/http/side-calls.ts';
import { keySetOf } from '../../../src/policies/jwk-set.ts';
import { type JwtAuthOptions, jwtAuth } from '../../../src/policies/jwtAuth.ts';
import { createMemoryState } from '../../../src/state/memory.ts';
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts';
import { ask, type FakeRequest, fakeAttempt, fakeScope } from './fake-exchange.ts';

/** The fake clock begins at 2026-01-01T00:00:00Z. */
const nowS = Date.UTC(2026, 0, 1) / 1000;

interface Signer {
  readonly jwk: JWK;
  sign(claims?: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>;
}

async function createSigner(alg: string, kid: string): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  const jwk: JWK = { ...(await exportJWK(publicKey)), kid, use: 'sig' };
  return {
    jwk,
    sign: (claims = {}, header = {}) =>
      new SignJWT({ iss: 'https://iss', aud: 'aud1', sub: 'bob', exp: nowS + 60, ...claims })
        .setProtectedHeader({ alg, kid, ...header })
        .sign(privateKey),
  };
}

let es: Signer;
let other: Signer;
let rsa: Signer;
let ed: Signer;
beforeAll(async () => {
  es = await createSigner('ES256', 'k1');
  other = await createSigner('ES256', 'k2');
  rsa = await createSigner('RS256', 'rsa');
  ed = await createSigner('EdDSA', 'ed');
});

const setOf = (...signers: Signer[]): string => JSON.stringify({ keys: signers.map(({ jwk }) => jwk) });
const parsed = (options: unknown): JwtAuthOptions => readingWith(undefined, () => jwtAuth.options.parse(options));
const bearer = (token: string): FakeRequest => ({ headers: { authorization: `Bearer ${token}` } });

function openDoor(options: object, given = fakeScope()) {
  const middleware = jwtAuth.onRequest?.(parsed(options), given);
  if (middleware === undefined) throw new Error('no middleware');
  return (request: FakeRequest) => ask(middleware, request);
}

const one = (more: object = {}) => ({ issuer: 'https://iss', audiences: ['aud1'], jwks: setOf(es, rsa, ed), ...more });

describe('jwtAuth', () => {
  it('lets in who has a token of its issuer, and knows the claims', async () => {
    for (const signer of [es, rsa, ed]) {
      const token = await signer.sign({ groups: ['a', 'b'] });
      const { reached, exchange } = await openDoor(one())(bearer(token));
      expect(reached).toBe(true);
      expect(exchange.claims).toEqual({
        jwt: { iss: 'https://iss', aud: 'aud1', sub: 'bob', exp: nowS + 60, groups: ['a', 'b'] },
        rawToken: token,
      });
      // No claim gives a scope.
      expect(exchange.identity).toEqual({ name: 'bob', isAdmin: false, allowedModels: undefined, metadata: {} });
      expect([...exchange.consumedHeaders]).toEqual(['authorization']);
    }
  });

  it('is strict unless told otherwise', async () => {
    const { response, message } = await openDoor(one())({});
    expect([response.status, message]).toEqual([401, 'authentication failure: no bearer token found']);
    expect(response.headers.get('www-authenticate')).toBe('Bearer');
    expect((await openDoor(one())({ headers: { authorization: 'Basic abc' } })).code).toBe('jwt_missing');
    for (const mode of ['optional', 'permissive']) {
      expect((await openDoor(one({ mode }))({})).reached).toBe(true);
      expect(jwtAuth.protects?.(parsed(one({ mode })))).toBe(false);
    }
    expect(jwtAuth.protects?.(parsed(one()))).toBe(true);
  });

  it.each<[string, () => Promise<string> | string, string]>([
    ['is too old', () => es.sign({ exp: nowS - 1 }), 'the token is invalid or malformed: Error(ExpiredSignature)'],
    ['ends this second', () => es.sign({ exp: nowS }), 'the token is invalid or malformed: Error(ExpiredSignature)'],
    ['begins in a second', () => es.sign({ nbf: nowS + 1 }), 'the token is invalid or malformed: Error(ImmatureSignature)'],
    ['is of another issuer', () => es.sign({ iss: 'https://evil' }), 'the token is invalid or malformed: Error(InvalidIssuer)'],
    [
      'is of no issuer',
      () => es.sign({ iss: undefined }),
      'the token is invalid or malformed: Error(MissingRequiredClaim("iss"))',
    ],
    ['is for others', () => es.sign({ aud: ['aud2'] }), 'the token is invalid or malformed: Error(InvalidAudience)'],
    ['is for nobody', () => es.sign({ aud: undefined }), 'the token is invalid or malformed: Error(MissingRequiredClaim("aud"))'],
    ['never ends', () => es.sign({ exp: undefined }), 'the token is invalid or malformed: Error(MissingRequiredClaim("exp"))'],
    ['ends in words', () => es.sign({ exp: 'never' }), 'the token is invalid or malformed: Error(InvalidClaimFormat("exp"))'],
    [
      'is signed by another key',
      () => other.sign({}, { kid: 'k1' }),
      'the token is invalid or malformed: Error(InvalidSignature)',
    ],
    ['names an unknown key', () => es.sign({}, { kid: 'zz' }), 'token uses the unknown key "zz"'],
    ['names no key', () => es.sign({}, { kid: undefined }), 'the token header does not specify a `kid`'],
    ['is no token', () => 'abc', 'the token header is malformed: Error(InvalidToken)'],
    ['is not signed', () => unsigned({ alg: 'none', kid: 'k1' }), 'the token header is malformed: Error(InvalidAlgorithmName)'],
    [
      'is signed with the public key as a secret',
      () => signedWithPublicKey('k1'),
      'the token is invalid or malformed: Error(InvalidAlgorithm)',
    ],
    [
      'is signed with another algorithm than its key is for',
      () => rsa.sign({}, { kid: 'k1' }),
      'the token is invalid or malformed: Error(InvalidAlgorithm)',
    ],
    [
      'asks for something that must be understood',
      () => es.sign({}, { crit: ['x'], x: 1 } as never).catch(() => unsigned({ alg: 'ES256', kid: 'k1', crit: ['x'], x: 1 })),
      'the token is invalid or malformed: Error(InvalidToken)',
    ],
  ])('refuses a token that %s', async (_, make, message) => {
    const token = await make();
    for (const mode of ['strict', 'optional']) {
      const asked = await openDoor(one({ mode }))(bearer(token));
      expect([asked.response.status, asked.code, asked.message]).toEqual([
        401,
        'jwt_invalid',
        `authentication failure: ${message}`,
      ]);
      expect(asked.response.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
    }
    const { reached, exchange } = await openDoor(one({ mode: 'permissive' }))(bearer(token));
    expect([reached, exchange.claims, exchange.identity, exchange.consumedHeaders.size]).toEqual([true, undefined, undefined, 0]);
  });

  it('has no leeway, and minds time as it passes', async () => {
    const clock = createFakeClock();
    const door = openDoor(one(), fakeScope({ clock }));
    const token = await es.sign({ nbf: nowS + 10, exp: nowS + 20 });
    const codes: (string | undefined)[] = [];
    for (const ms of [9_999, 1, 9_999, 1]) {
      await clock.advance(ms);
      codes.push((await door(bearer(token))).code);
    }
    expect(codes).toEqual(['jwt_invalid', undefined, undefined, 'jwt_invalid']);
  });

  it('asks for the claims it is told to, and for the end of a token where it is told not to', async () => {
    const needs = (requiredClaims: string[]) => openDoor(one({ jwtValidationOptions: { requiredClaims } }));
    expect((await needs([])(bearer(await es.sign({ exp: undefined })))).reached).toBe(true);
    expect((await needs([])(bearer(await es.sign({ exp: nowS - 1 })))).code).toBe('jwt_invalid');
    expect((await needs(['email'])(bearer(await es.sign()))).message).toContain('MissingRequiredClaim("email")');
    expect((await needs(['email'])(bearer(await es.sign({ email: 'a@b.c' })))).reached).toBe(true);
  });

  it('does not look at the audience where none is named', async () => {
    for (const audiences of [undefined, null, []]) {
      const door = openDoor({ ...one(), audiences });
      expect((await door(bearer(await es.sign({ aud: undefined })))).reached).toBe(true);
    }
  });

  it('knows several issuers, also with keys of one name, and one issuer twice', async () => {
    const twin = await createSigner('ES256', 'k1');
    const door = openDoor({
      providers: [
        { issuer: 'https://one', jwks: setOf(es) },
        { issuer: 'https://two', jwks: setOf(twin) },
        { issuer: 'https://two', audiences: ['b'], jwks: setOf(other) },
        { issuer: 'https://two', audiences: ['c'], jwks: setOf(other) },
      ],
    });
    const reached = async (signer: Signer, claims: Record<string, unknown>) =>
      (await door(bearer(await signer.sign(claims)))).reached;
    expect(await reached(es, { iss: 'https://one' })).toBe(true);
    expect(await reached(twin, { iss: 'https://two' })).toBe(true);
    expect(await reached(other, { iss: 'https://two', aud: 'c' })).toBe(true);
    expect(await reached(other, { iss: 'https://two', aud: 'd' })).toBe(false);
    expect(await reached(twin, { iss: 'https://one' })).toBe(false);
    expect(await reached(es, { iss: 'https://two' })).toBe(false);
  });

  it('reads another place, and takes it out of what leaves', async () => {
    const options = one({ location: { cookie: { name: 'token' } } });
    const cookie = `a=1; token=${await es.sign()}`;
    const { reached, exchange } = await openDoor(options)({ headers: { cookie } });
    expect(reached).toBe(true);
    const attempt = { ...fakeAttempt({ outgoing: { cookie } }), exchange };
    jwtAuth.onAttempt?.(parsed(options), fakeScope())?.(attempt);
    expect(attempt.outgoing.headers.cookie).toBe('a=1');
  });

  it('reads claims whose names are written with escapes, although V8 was taught others (nodejs/node issue 63785)', async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k1' };
    const payload = '{"iss":"https://iss","\\u006dodel":"small"}';
    const token = await new CompactSign(new TextEncoder().encode(payload))
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .sign(privateKey);
    const jwtValidationOptions = { requiredClaims: [] };
    const door = openDoor({ issuer: 'https://iss', jwks: JSON.stringify({ keys: [jwk] }), jwtValidationOptions });
    for (let times = 0; times < 3; times++) JSON.parse('{"iss":"a","\\\\u006":1}');
    const { exchange } = await door(bearer(token));
    expect(exchange.claims?.jwt).toEqual({ iss: 'https://iss', model: 'small' });
  });

  it('lets no tampered token in', async () => {
    const token = await es.sign({ role: 'reader' });
    const door = openDoor(one());
    expect((await door(bearer(token))).reached).toBe(true);
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=';
    const signatureAt = token.lastIndexOf('.') + 1;
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom(...letters), async (at, letter) => {
        const tampered = token.slice(0, at) + letter + token.slice(at + 1);
        fc.pre(tampered !== token);
        // Of a signature's last letter two bits are padding, which mean nothing.
        fc.pre(at !== token.length - 1 || at < signatureAt);
        expect([tampered, (await door(bearer(tampered))).reached]).toEqual([tampered, false]);
      }),
      { numRuns: 300 },
    );
  });
});

function base64url(value: object): string {
  return btoa(JSON.stringify(value)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function unsigned(header: object): string {
  return `${base64url(header)}.${base64url({ iss: 'https://iss', aud: 'aud1', exp: nowS + 60 })}.`;
}

/** The classic forgery: a verifier that lets the token choose would take the public key for a shared secret. */
function signedWithPublicKey(kid: string): Promise<string> {
  return new SignJWT({ iss: 'https://iss', aud: 'aud1', exp: nowS + 60 })
    .setProtectedHeader({ alg: 'HS256', kid })
    .sign(new TextEncoder().encode(JSON.stringify(es.jwk)));
}

describe('key sets', () => {
  const p256 = () => es.jwk;

  it('take only what may verify, with the algorithms that a key is for', () => {
    const keys = keySetOf(
      JSON.stringify({
        keys: [
          { ...p256(), kid: 'ec' },
          { ...rsa.jwk, kid: 'any' },
          { ...rsa.jwk, kid: 'ps', alg: 'PS256' },
          { ...ed.jwk, kid: 'ed' },
          { ...rsa.jwk, kid: 'enc', use: 'enc', alg: 'RSA-OAEP' },
          { ...rsa.jwk, kid: 'foreign', alg: 'ES256' },
          { kty: 'oct', k: 'c2VjcmV0', kid: 'secret' },
        ],
      }),
    );
    expect([...keys].map(([kid, { algorithms }]) => [kid, algorithms.join(' ')])).toEqual([
      ['ec', 'ES256'],
      ['any', 'RS256 RS384 RS512 PS256 PS384 PS512'],
      ['ps', 'PS256'],
      ['ed', 'EdDSA Ed25519'],
    ]);
  });

  it.each<[string, () => unknown, string]>([
    ['no JSON', () => 'x', 'this is no JSON'],
    ['no set', () => p256(), 'expected a JSON Web Key Set'],
    ['nothing', () => ({ keys: [] }), 'it is empty'],
    ['a shared secret', () => ({ keys: [{ kty: 'oct', k: 'YQ', kid: 'a' }] }), 'key 1 is a shared secret; use a key pair'],
    ['a key without kid', () => ({ keys: [{ ...p256(), kid: undefined }] }), 'key 1 has no kid'],
    ['a key for encryption', () => ({ keys: [{ ...p256(), use: 'enc' }] }), 'is for "enc", not for signatures'],
    ['a key for signing only', () => ({ keys: [{ ...p256(), key_ops: ['sign'] }] }), 'not for verifying'],
    ['half a key', () => ({ keys: [{ ...p256(), y: 'AA' }] }), 'no whole EC key'],
    ['a curve that is none', () => ({ keys: [{ ...p256(), crv: 'constructor' }] }), 'curve that is not supported'],
    ['a weak key', () => ({ keys: [{ kty: 'RSA', n: 'A'.repeat(171), e: 'AQAB', kid: 'a' }] }), 'less than 2048 bits'],
    ['an algorithm of another kind', () => ({ keys: [{ ...p256(), alg: 'HS256' }] }), 'has the alg "HS256"'],
    ['201 keys', () => ({ keys: Array(201).fill(p256()) }), '200 keys at most'],
  ])('refuse %s', (_, make, message) => {
    const made = make();
    const jwks = typeof made === 'string' ? made : JSON.stringify(made);
    const result = jwtAuth.options.safeParse({ issuer: 'i', jwks });
    expect(result.error?.issues[0]?.path).toEqual(['jwks']);
    expect(result.error?.issues[0]?.message).toContain(message);
  });

  it('come without their private parts', () => {
    const [key] = keySetOf(JSON.stringify({ keys: [{ ...p256(), d: 'c2VjcmV0' }] })).values();
    expect(key?.jwk).not.toHaveProperty('d');
  });
});

describe('jwtAuth options', () => {
  it.each<[string, () => object, string]>([
    ['no issuer', () => ({ jwks: setOf(es) }), 'the issuer is missing'],
    ['no keys', () => ({ issuer: 'i' }), 'the keys are missing'],
    ['a provider without keys', () => ({ providers: [{ issuer: 'i' }] }), 'the keys are missing'],
    ['both forms', () => ({ ...one(), providers: [{ issuer: 'i', jwks: setOf(es) }] }), 'providers or one issuer, not both'],
    ['no providers', () => ({ providers: [] }), '>=1'],
    ['a URL that is none', () => ({ issuer: 'i', jwks: { url: 'login.example.com' } }), 'http or https URL'],
    ['a URL with a password', () => ({ issuer: 'i', jwks: { url: 'https://a:b@c' } }), 'user and password'],
    ['a file that is not there', () => ({ issuer: 'i', jwks: { file: 'nowhere' } }), 'cannot be read'],
    ['a number', () => ({ issuer: 'i', jwks: 5 }), 'expected a JSON Web Key Set as text'],
  ])('refuses %s', (_, make, message) => {
    expect(JSON.stringify(jwtAuth.options.safeParse(make()).error?.issues)).toContain(message);
  });

  it('warns of keys that come over plain http from elsewhere', () => {
    const warned = (url: string) => {
      const said: string[] = [];
      jwtAuth.onRequest?.(parsed({ issuer: 'i', jwks: { url } }), fakeScope({ warn: (message) => said.push(message) }));
      return said.length;
    };
    expect([
      warned('http://login.example.com/k'),
      warned('http://localhost:8080/k'),
      warned('https://login.example.com/k'),
    ]).toEqual([1, 0, 0]);
  });
});

describe('jwtAuth with keys of a URL', () => {
  interface Net {
    readonly clock: FakeClock;
    readonly calls: SideCall[];
    answer: () => { status?: number; text?: string } | GatewayError | Promise<never>;
    door: (mode?: string) => ReturnType<typeof openDoor>;
  }

  function openNet(): Net {
    const clock = createFakeClock();
    const state = createMemoryState();
    const net: Net = {
      clock,
      calls: [],
      answer: () => ({ text: setOf(es) }),
      door: (mode = 'strict') =>
        openDoor(
          { mode, issuer: 'https://iss', jwks: { url: 'https://iss.example/keys?v=1' } },
          fakeScope({
            clock,
            state,
            sideCalls: {
              async call(call) {
                net.calls.push(call);
                const answer = net.answer();
                if (answer instanceof GatewayError) throw answer;
                const { status = 200, text = '' } = await answer;
                return { status, headers: new Headers(), bytes: new TextEncoder().encode(text) };
              },
            },
          }),
        ),
    };
    return net;
  }

  const gone = () => new GatewayError('upstream_refused', 'iss.example refused the connection');

  it('asks nobody until a token comes, then once, bounded, for all who wait', async () => {
    const net = openNet();
    const door = net.door();
    expect(net.calls).toHaveLength(0);
    const token = bearer(await es.sign());
    const asked = await Promise.all(Array.from({ length: 20 }, () => door(token)));
    expect(asked.every(({ reached }) => reached)).toBe(true);
    expect(net.calls).toMatchObject([
      { method: 'GET', path: '/keys?v=1', timeoutMs: 5_000, maxBytes: 262_144, server: { baseUrl: 'https://iss.example' } },
    ]);
    // A reload finds them again.
    expect((await net.door()(token)).reached).toBe(true);
    expect(net.calls).toHaveLength(1);
  });

  it('says so while there are no keys, asks again after 5 s, and lets permissive requests pass', async () => {
    const net = openNet();
    net.answer = gone;
    const door = net.door();
    const token = bearer(await es.sign());
    const { response, message, exchange } = await door(token);
    expect(response.status).toBe(503);
    expect(message).toBe(
      'authentication failure: the keys that tokens are checked with cannot be fetched right now; try again in a moment',
    );
    // For the log, not for strangers.
    expect(exchange.error?.cause).toEqual(new Error('https://iss.example/keys: iss.example refused the connection'));
    expect(response.headers.get('retry-after')).toBe('5');
    expect((await door(token)).response.status).toBe(503);
    expect((await net.door('permissive')(token)).reached).toBe(true);
    expect((await net.door('optional')(token)).response.status).toBe(503);
    expect(net.calls).toHaveLength(1);
    net.answer = () => ({ text: setOf(es) });
    await net.clock.advance(4_999);
    expect((await door(token)).response.status).toBe(503);
    await net.clock.advance(1);
    expect((await door(token)).reached).toBe(true);
  });

  it.each([
    ['another status', () => ({ status: 404, text: setOf(es) }), 'it answered with status 404'],
    ['what are no keys', () => ({ text: '<html>' }), 'this is no JSON'],
    ['no key that can verify', () => ({ text: '{"keys":[]}' }), 'it is empty'],
  ])('takes no keys from %s', async (_, answer, reason) => {
    const net = openNet();
    net.answer = answer;
    const { exchange } = await net.door()(bearer(await es.sign()));
    expect(String(exchange.error?.cause)).toContain(reason);
  });

  it('asks again for a key that it does not know, every 30 s at most', async () => {
    const net = openNet();
    const door = net.door();
    await door(bearer(await es.sign()));
    net.answer = () => ({ text: setOf(es, other) });
    const rotated = bearer(await other.sign());
    expect((await door(rotated)).message).toBe('authentication failure: token uses the unknown key "k2"');
    expect(net.calls).toHaveLength(1);
    await net.clock.advance(30_000);
    expect((await door(rotated)).reached).toBe(true);
    expect(net.calls).toHaveLength(2);
    for (let guess = 0; guess < 10; guess++) await door(bearer(await es.sign({ exp: nowS + 600 }, { kid: `guess ${guess}` })));
    expect(net.calls).toHaveLength(2);
  });

  it('does not ask its issuer for tokens of others', async () => {
    const net = openNet();
    const { message } = await net.door()(bearer(await es.sign({ iss: 'https://evil' })));
    expect(message).toBe('authentication failure: token uses the unknown key "k1"');
    expect(net.calls).toHaveLength(0);
  });

  it('looks again every ten minutes, without letting anybody wait, and keeps what it has meanwhile', async () => {
    const net = openNet();
    const door = net.door();
    await door(bearer(await es.sign()));
    await net.clock.advance(600_000);
    net.answer = gone;
    const token = bearer(await es.sign({ exp: nowS + 3_000 }));
    expect((await door(token)).reached).toBe(true);
    await net.clock.settle();
    expect(net.calls).toHaveLength(2);
    expect((await door(token)).reached).toBe(true);
    await net.clock.advance(30_000);
    net.answer = () => ({ text: setOf(other) });
    expect((await door(token)).reached).toBe(true);
    await net.clock.settle();
    // The issuer has given the key up.
    expect((await door(token)).message).toBe('authentication failure: token uses the unknown key "k1"');
  });

  it('says that it cannot tell when a key is unknown and the issuer is gone', async () => {
    const net = openNet();
    const door = net.door();
    await door(bearer(await es.sign()));
    await net.clock.advance(30_000);
    net.answer = gone;
    expect((await door(bearer(await other.sign({ exp: nowS + 600 })))).response.status).toBe(503);
    expect((await door(bearer(await es.sign({ exp: nowS + 600 })))).reached).toBe(true);
  });

  it('gives up on a fetch that never ends, and begins another one', async () => {
    const net = openNet();
    net.answer = () => new Promise(() => undefined);
    const door = net.door();
    const token = bearer(await es.sign({ exp: nowS + 600 }));
    const first = door(token);
    await net.clock.advance(6_000);
    expect(String((await first).exchange.error?.cause)).toContain('no answer came in time');
    net.answer = () => ({ text: setOf(es) });
    expect((await door(token)).reached).toBe(true);
  });
});
