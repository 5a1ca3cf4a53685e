/** @hono/node-server and undici.request, the answer piped to the socket. */
import { type HttpBindings, serve } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { Hono } from 'hono';
import { Agent, request } from 'undici';

const app = new Hono<{ Bindings: HttpBindings }>();
const box = process.env.BOX ?? '';
const dispatcher = new Agent({ connections: 1024, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });

app.post('*', async (c) => {
  const body: { model?: string } = await c.req.json();
  const answer = await request(box + c.req.path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    dispatcher,
  });
  const { outgoing } = c.env;
  outgoing.writeHead(answer.statusCode, answer.headers);
  answer.body.pipe(outgoing);
  return RESPONSE_ALREADY_SENT;
});

serve({ fetch: app.fetch, port: Number(process.env.PORT), hostname: '127.0.0.1' });

process.on('SIGTERM', () => process.exit(0)); // so that a CPU profile gets written
