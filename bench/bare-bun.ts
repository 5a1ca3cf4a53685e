/** Bun's own server and client, and Hono between them. */
import { Hono } from 'hono';

const app = new Hono();
const box = process.env.BOX ?? '';

app.post('*', async (c) => {
  const body: { model?: string } = await c.req.json();
  const answer = await fetch(box + c.req.path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: c.req.raw.signal,
  });
  return new Response(answer.body, { status: answer.status, headers: new Headers(answer.headers) });
});

export default { port: Number(process.env.PORT), hostname: '127.0.0.1', idleTimeout: 0, fetch: app.fetch };

process.on('SIGTERM', () => process.exit(0)); // so that a CPU profile gets written
