/** One request as most tests of expressions see it. */
import type { Exchange } from '../../../src/exchange.ts';
import { fakeExchange } from '../policies/fake-exchange.ts';

const body = {
  model: 'llama3.2',
  n: 2,
  half: 0.5,
  list: [1, 2, 3],
  map: { a: 1, b: 'x' },
  messages: [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: [{ type: 'text', text: 'Hi' }, { type: 'image_url' }, { type: 'text', text: 'there' }] },
  ],
};

export async function sceneOf(changes: Partial<Exchange> = {}): Promise<Exchange> {
  const exchange = fakeExchange({
    path: '/v1/chat?a=1&a=2&b=x+y',
    host: 'API.example:3000',
    headers: { 'X-Env': 'internal', cookie: 'a=b; session=q=1', authorization: 'Bearer s3cret', accept: 'a, b' },
    address: '10.1.2.3',
    body: JSON.stringify(body),
  });
  await exchange.bodies.read(exchange);
  exchange.identity = {
    name: 'bob',
    isAdmin: false,
    allowedModels: undefined,
    metadata: { user: 'bob', groups: ['dev', 'ops'], level: 3 },
  };
  exchange.claims = {
    jwt: { sub: 'alice', exp: 1_700_000_000, roles: ['admin'], score: 1.5 },
    rawToken: 'a.b.c',
    basicAuth: { username: 'carol' },
    user: { id: 'u1', email: 'u@example.com' },
  };
  return Object.assign(exchange, changes);
}
